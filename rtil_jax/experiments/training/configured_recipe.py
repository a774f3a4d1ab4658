"""The recipe that a training config describes."""

import math

from ml_collections import ConfigDict

from rtil_jax.discriminators import PGGANDiscriminator, StyleGAN2Discriminator
from rtil_jax.errors import UserError
from rtil_jax.experiments.training.training_checks import (
    check_trainable,
    check_training_config,
)
from rtil_jax.families import AdditiveFamily, MultiCodeFamily, member_weights
from rtil_jax.generators import check_blocks
from rtil_jax.generators.configured import (
    architecture_of,
    build_generator,
    network_fields,
)
from rtil_jax.training.pggan import PGGANRecipe, Phase, growing_phases
from rtil_jax.training.recipe import Recipe
from rtil_jax.training.stylegan2 import StyleGAN2Recipe


def resolved(config: ConfigDict, num_devices: int) -> ConfigDict:
    """A checked copy with the phases of growing written out.

    A run that is continued to more steps must keep the phases that it began with.

    Raises:
        UserError: for the first field that cannot be used.
    """
    check_training_config(config, num_devices)
    config = config.copy_and_resolve_references()
    if architecture_of(config) != "pggan" or config.growing == "none":
        return config
    phases = config.phases
    last = int(math.log2(config.resolution))
    phases.resolutions = tuple(phases.resolutions) or tuple(
        2**n for n in range(2, last + 1)
    )
    count = len(phases.resolutions)
    phases.batch_sizes = (
        tuple(phases.batch_sizes) or (config.training.batch_size,) * count
    )
    phases.steps = phases.steps or config.training.steps // count
    return config


def build_recipe(config: ConfigDict) -> Recipe:
    """The training recipe of a config that `resolved` has returned.

    Raises:
        UserError: if there is no recipe for the architecture, or the family does not
            fit the generator or the batch.
    """
    if check_trainable(config) == "pggan":
        return _pggan(config)
    return _stylegan2(config)


def _weights(config: ConfigDict, num_members: int) -> tuple[float, ...]:
    family = config.family
    return member_weights(num_members, family.weighting, family.base_weight)


def _stylegan2(config: ConfigDict) -> StyleGAN2Recipe:
    generator = build_generator(config, style_mixing=config.generator.style_mixing)
    blocks = tuple(config.family.blocks)
    check_blocks(generator, blocks, "config.family.blocks")
    training = config.training.to_dict()
    del training["steps"]  # the loop's affair
    weights = _weights(config, len(blocks) + 1)
    return StyleGAN2Recipe(
        generator=generator,
        discriminator=StyleGAN2Discriminator(**network_fields(config.discriminator)),
        family=AdditiveFamily(blocks, config.family.sigma, weights),
        enumerate_family=config.family.members == "enumerated",
        **training,
    )


def _pggan(config: ConfigDict) -> PGGANRecipe:
    training, codes = config.training, tuple(config.family.codes)
    if config.growing == "none":
        phases: tuple[Phase, ...] = (
            Phase(config.resolution, training.batch_size, 0, 0, 0),
        )
    else:
        phases = growing_phases(
            tuple(config.phases.resolutions),
            tuple(config.phases.batch_sizes),
            config.phases.steps,
        )
    weights = _weights(config, len(codes))
    recipe = PGGANRecipe(
        generator=build_generator(config),
        discriminator=PGGANDiscriminator(**network_fields(config.discriminator)),
        family=MultiCodeFamily(codes, config.family.block, weights),
        enumerate_family=config.family.members == "enumerated",
        phases=phases,
        learning_rate=training.learning_rate,
        penalty_weight=training.penalty_weight,
        drift=training.drift,
        ema_decay=training.ema_decay,
    )
    for phase in phases:
        try:
            recipe.members(phase)
        except UserError as error:
            raise UserError(f"batch at {phase.resolution} pixels: {error}") from error
    return recipe
