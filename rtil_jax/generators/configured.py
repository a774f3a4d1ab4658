"""The generator that a training config describes."""

from ml_collections import ConfigDict

from rtil_jax.generators.interface import Generator
from rtil_jax.generators.pggan import PGGANGenerator
from rtil_jax.generators.stylegan2 import StyleGAN2Generator

ARCHITECTURES = ("stylegan2", "pggan")


def architecture_of(config: ConfigDict | dict) -> str:
    """Of a training config; those of the first version had StyleGAN2 only."""
    return config.get("architecture", "stylegan2")


def build_generator(config: ConfigDict, **changes: float) -> Generator:
    """The generator of a training config, with `changes` of its attributes."""
    attributes = {"resolution": config.resolution, "channels": config.channels}
    if architecture_of(config) == "pggan":
        kind = PGGANGenerator
        attributes |= config.generator.to_dict()
    else:
        kind = StyleGAN2Generator
        attributes |= config.generator.to_dict() | {"style_mixing": 0.0}
    return kind(**attributes | changes)
