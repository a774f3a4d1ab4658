"""Draws samples of every member of the families that priors were trained with.

python -m rtil_jax.family_samples --config configs/ablations/fig8.py --workdir runs/fig8
"""

import os

from absl import flags
from ml_collections import ConfigDict, config_flags

from rtil_jax import report
from rtil_jax.command_line import run_main
from rtil_jax.config import require
from rtil_jax.errors import UserError
from rtil_jax.files import local_path
from rtil_jax.inversion.prior import load_prior, load_training_config
from rtil_jax.pretrained import locate
from rtil_jax.training.recipes import build_recipe


def draw_family_samples(config: ConfigDict, workdir: str) -> str:
    """Writes `family_samples.png`, one row per prior and member (Figures 8 and 10).

    G^0 is the base model, G^k the family's k-th member, in training's own terms.

    Args:
        config: `priors` (name -> directory or `pretrained:NAME`, "" to leave one out)
            and `columns`.
        workdir: made if it is not there.

    Returns:
        The path of the picture.

    Raises:
        UserError: if a prior cannot be loaded, or the directory not written.
    """
    workdir = local_path(workdir, "--workdir")
    require(config.columns >= 1, "columns", config.columns, "at least 1")
    named = {name: path for name, path in config.priors.items() if path}
    require(bool(named), "priors", "no directory", "at least one that train.py wrote")
    rows = {}
    for name in sorted(named, key=lambda name: (name != "vanilla", name)):
        locate(named[name], f"config.priors.{name}")
        prior = load_prior(named[name])
        training = load_training_config(named[name])
        recipe, steps = build_recipe(training), training.training.steps
        samples = recipe.sample(prior.variables, steps, config.columns)
        for member, images in enumerate(samples):
            rows[f"{name}, G^{member}"] = images
    path = os.path.join(workdir, "family_samples.png")
    try:
        os.makedirs(workdir, exist_ok=True)
        report.labelled_rows(rows, path)
    except OSError as error:
        raise UserError(
            f"--workdir={workdir}: cannot be written ({error.strerror})"
        ) from error
    return path


def main(_: list[str]) -> None:
    print(f"figure    {draw_family_samples(flags.FLAGS.config, flags.FLAGS.workdir)}")


if __name__ == "__main__":
    config_flags.DEFINE_config_file(
        "config",
        None,
        "Priors and columns, FILE[:variant].",
        lock_config=False,
        accept_new_attributes=True,
    )
    flags.DEFINE_string("workdir", None, "Directory of the picture.")
    flags.mark_flags_as_required(["config", "workdir"])
    run_main(main)
