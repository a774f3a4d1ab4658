"""Builds the training run that a config describes, and its recipe."""

import dataclasses
import math
from typing import Any

from ml_collections import ConfigDict

from rtil_jax.config import require
from rtil_jax.discriminators import PGGANDiscriminator, StyleGAN2Discriminator
from rtil_jax.errors import UserError
from rtil_jax.experiments.parsing import parse
from rtil_jax.experiments.training.training_checks import check_run
from rtil_jax.experiments.training.training_config import (
    RUNS,
    PGGANRun,
    StyleGAN2Run,
    StyleGAN2Training,
    TrainingRun,
)
from rtil_jax.families import AdditiveFamily, MultiCodeFamily, member_weights
from rtil_jax.generators import check_blocks
from rtil_jax.generators.configured import architecture_of, build_generator
from rtil_jax.training.hyperparameters import (
    PGGANHyperparameters,
    StyleGAN2Hyperparameters,
)
from rtil_jax.training.pggan import PGGANRecipe, Phase, growing_phases
from rtil_jax.training.recipe import Recipe
from rtil_jax.training.stylegan2 import StyleGAN2Recipe

# Names in a saved config besides the fields of a run.
BESIDE = ("runs", "converted")


def resolved(config: ConfigDict, num_devices: int) -> TrainingRun:
    """Parses and checks a config, and fills in the phases of growing.

    So a run that is continued to more steps keeps the phases that it began with.

    Raises:
        UserError: if a field cannot be used; reports the first one.
    """
    if "training" not in config:
        raise UserError(
            "--config: found a config without config.training, expected one for "
            "train.py, such as configs/quickstart.py"
        )
    kind = _kind_of(config)
    _check_made_for(kind, config)
    run = parse(kind, config)
    check_run(run, num_devices)
    if not isinstance(run, PGGANRun) or run.growing == "none":
        return run
    sizes = run.phases.resolutions or tuple(
        2**n for n in range(2, int(math.log2(run.resolution)) + 1)
    )
    phases = dataclasses.replace(
        run.phases,
        resolutions=sizes,
        batch_sizes=run.phases.batch_sizes or (run.training.batch_size,) * len(sizes),
        steps=run.phases.steps or run.training.steps // len(sizes),
    )
    return dataclasses.replace(run, phases=phases)


def saved_run(config: dict[str, Any]) -> TrainingRun:
    """Parses the saved config of a checkpoint or a packaged prior.

    Fields that were added later get their defaults.

    Raises:
        UserError: if no recipe trains its architecture, or a field cannot be used.
    """
    fields = {name: value for name, value in config.items() if name not in BESIDE}
    return parse(_kind_of(fields), ConfigDict(fields))


def _kind_of(config: dict | ConfigDict) -> type[StyleGAN2Run] | type[PGGANRun]:
    """Returns the class of its run; raises UserError if no recipe trains it."""
    architecture, known = architecture_of(config), " or ".join(RUNS)
    expected = f"{known}, which have a training recipe"
    require(architecture in RUNS, "architecture", architecture, expected)
    return RUNS[architecture]


def _check_made_for(
    kind: type[StyleGAN2Run] | type[PGGANRun], config: ConfigDict
) -> None:
    """Raises UserError if a field is missing, as it is for another architecture."""
    architecture, known = architecture_of(config), dataclasses.asdict(kind())
    missing = []
    for section, fields in known.items():
        if isinstance(config.get(section), ConfigDict) and isinstance(fields, dict):
            names = (name for name in fields if name not in config[section])
            missing += [f"{section}.{name}" for name in names]
    missing += [name for name in known if name not in {"architecture", *config}]
    if missing:
        raise UserError(
            f"config.architecture: found {architecture!r}, but this config has no "
            f"config.{missing[0]}: expected a config made for {architecture}"
        )


def build_recipe(run: TrainingRun) -> Recipe:
    """Builds the recipe of a run from `resolved` or `saved_run`.

    Raises:
        UserError: if the family does not fit the generator or the batch.
    """
    if isinstance(run, PGGANRun):
        return _pggan(run)
    assert isinstance(run, StyleGAN2Run)
    return _stylegan2(run)


def _weights(run: TrainingRun, num_members: int) -> tuple[float, ...]:
    family = run.family
    return member_weights(num_members, family.weighting, family.base_weight)


def _values(section: Any, kind: type) -> dict[str, Any]:
    """Returns the fields of a section that are attributes of `kind`."""
    names = (field.name for field in dataclasses.fields(kind))
    return {name: getattr(section, name) for name in names}


def _stylegan2(run: StyleGAN2Run) -> StyleGAN2Recipe:
    changes = {"style_mixing": run.generator.style_mixing, "precision": run.precision}
    generator = build_generator(dataclasses.asdict(run), **changes)
    blocks = run.family.blocks
    check_blocks(generator, blocks, "config.family.blocks")
    weights = _weights(run, len(blocks) + 1)
    return StyleGAN2Recipe(
        generator=generator,
        discriminator=StyleGAN2Discriminator(
            **dataclasses.asdict(run.discriminator), precision=run.precision
        ),
        family=AdditiveFamily(
            blocks, run.family.sigma, weights, run.family.sigma_units
        ),
        enumerate_family=run.family.members == "enumerated",
        **_values(_for_batch(run.training), StyleGAN2Hyperparameters),
    )


def _for_batch(training: StyleGAN2Training) -> StyleGAN2Training:
    """The numbers of `reference_batch` as they are for `batch_size`."""
    times = training.batch_size / (training.reference_batch or training.batch_size)
    if times == 1:
        return training
    return dataclasses.replace(
        training,
        r1_weight=training.r1_weight / times,
        ema_decay=training.ema_decay**times,
    )


def _pggan(run: PGGANRun) -> PGGANRecipe:
    if run.growing == "none":
        phases: tuple[Phase, ...] = (
            Phase(run.resolution, run.training.batch_size, 0, 0, 0),
        )
    else:
        growing = run.phases
        phases = growing_phases(growing.resolutions, growing.batch_sizes, growing.steps)
    codes = run.family.codes
    recipe = PGGANRecipe(
        generator=build_generator(dataclasses.asdict(run), precision=run.precision),
        discriminator=PGGANDiscriminator(
            **dataclasses.asdict(run.discriminator), precision=run.precision
        ),
        family=MultiCodeFamily(codes, run.family.block, _weights(run, len(codes))),
        enumerate_family=run.family.members == "enumerated",
        phases=phases,
        **_values(run.training, PGGANHyperparameters),
    )
    for phase in phases:
        try:
            recipe.members(phase)
        except UserError as error:
            raise UserError(f"batch at {phase.resolution} pixels: {error}") from error
    return recipe
