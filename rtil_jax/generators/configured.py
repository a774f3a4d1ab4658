"""Builds the generator that a training config describes."""

from typing import Any

from rtil_jax.errors import UserError
from rtil_jax.generators.dcgan import DCGANGenerator
from rtil_jax.generators.interface import Generator
from rtil_jax.generators.pggan import PGGANGenerator
from rtil_jax.generators.stylegan2 import StyleGAN2Generator

ARCHITECTURES = {
    "stylegan2": StyleGAN2Generator,
    "pggan": PGGANGenerator,
    "dcgan": DCGANGenerator,
}


def architecture_of(config: Any) -> str:
    """Returns the name of the architecture in a training config.

    A config of version 0.1 does not name it; it means StyleGAN2.

    Raises:
        UserError: if the architecture is unknown.
    """
    architecture = config.get("architecture", "stylegan2")
    if architecture not in ARCHITECTURES:
        raise UserError(
            f"config.architecture: found {architecture!r}, expected one of "
            f"{', '.join(ARCHITECTURES)}"
        )
    return architecture


def network_fields(section: Any) -> dict[str, Any]:
    """Returns the fields of `config.generator` or `.discriminator`, made hashable.

    A config that was saved as JSON has lists in place of tuples.
    """
    return {k: tuple(v) if isinstance(v, list) else v for k, v in section.items()}


def build_generator(config: Any, **changes: Any) -> Generator:
    """Builds the generator of a training config; `changes` replace its attributes.

    Raises:
        UserError: if the architecture or an attribute is unknown.
    """
    architecture = architecture_of(config)
    attributes = {"resolution": config["resolution"], "channels": config["channels"]}
    attributes |= network_fields(config["generator"])
    if architecture == "stylegan2":
        attributes["style_mixing"] = 0.0  # the config's is for training
    try:
        return ARCHITECTURES[architecture](**attributes | changes)
    except TypeError as error:
        raise UserError(
            f"config.generator: found {', '.join(config['generator'])}, expected the "
            f"fields of {architecture} ({error})"
        ) from error


def steps_to_grow(config: Any) -> int:
    """Returns after how many steps the network has grown to its full resolution.

    `config` is a training config with all defaults filled in.
    """
    if architecture_of(config) != "pggan" or config["growing"] == "none":
        return 0
    return growing_steps(
        len(config["phases"]["resolutions"]), config["phases"]["steps"]
    )


def growing_steps(num_phases: int, steps: int) -> int:
    """Returns when the last of several phases of `steps` steps has faded in.

    A phase fades in over the first half of its steps.
    """
    return steps * (num_phases - 1) + (steps // 2 if num_phases > 1 else 0)
