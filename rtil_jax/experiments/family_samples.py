"""Draws samples of every member of the families that priors were trained with."""

import dataclasses
import os
from collections.abc import Mapping

from ml_collections import ConfigDict

from rtil_jax.config import require
from rtil_jax.errors import UserError
from rtil_jax.experiments import report
from rtil_jax.experiments.inversion.inversion_fields import priors_field
from rtil_jax.experiments.member_names import member_names
from rtil_jax.experiments.parsing import parse
from rtil_jax.experiments.training.configured_recipe import build_recipe, saved_run
from rtil_jax.fields import at_least, field
from rtil_jax.files import local_path
from rtil_jax.priors import locate
from rtil_jax.priors.prior import load_prior, load_training_config


@dataclasses.dataclass(frozen=True)
class SamplesRun:
    """The fields of the config of `rtil samples`."""

    priors: Mapping[str, str] = priors_field(
        'Name -> training directory or `pretrained:NAME`; "" leaves a prior out. Rows '
        "are in alphabetical order, with `vanilla` first."
    )
    columns: int = field(10, "Number of images per row.", at_least(1))


def draw_family_samples(config: ConfigDict, workdir: str) -> str:
    """Writes `family_samples.png`, one row per prior and member (Figures 8 and 10).

    G^0 is the base model, and G^k the k-th member of the family that was trained.

    Args:
        config: has the fields of `SamplesRun`.
        workdir: the directory of the picture, made if it does not exist.

    Returns:
        The path of the picture.

    Raises:
        UserError: if a field cannot be used, a prior cannot be loaded, or the directory
            cannot be written.
    """
    workdir = local_path(workdir, "--workdir")
    wanted = parse(SamplesRun, config)
    named = {name: path for name, path in wanted.priors.items() if path}
    require(bool(named), "priors", "no directory", "at least one that train.py wrote")
    rows = {}
    for name in sorted(named, key=lambda name: (name != "vanilla", name)):
        locate(named[name], f"config.priors.{name}")
        prior = load_prior(named[name])
        run = saved_run(load_training_config(named[name]))
        recipe, steps = build_recipe(run), run.training.steps
        samples = recipe.sample(prior.variables, steps, wanted.columns)
        for member, images in zip(member_names(recipe.family), samples, strict=True):
            rows[f"{name}, {member}"] = images
    path = os.path.join(workdir, "family_samples.png")
    try:
        os.makedirs(workdir, exist_ok=True)
        report.labelled_rows(rows, path)
    except OSError as error:
        raise UserError(
            f"--workdir={workdir}: cannot be written ({error.strerror})"
        ) from error
    return path
