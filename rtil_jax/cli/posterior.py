"""Draws from the posterior of test images by Langevin chains; see `inversion.langevin`.

python -m rtil_jax posterior --config configs/ablations/posterior.py \
    --workdir runs/posterior
"""

import numpy as np
from absl import flags
from ml_collections import config_flags

from rtil_jax.cli.command_line import run_main
from rtil_jax.experiments.posterior import QUALITY, run_posterior


def run(_: list[str]) -> None:
    rows = run_posterior(flags.FLAGS.config, flags.FLAGS.workdir)
    for name in dict.fromkeys(row["prior"] for row in rows):
        own = [row for row in rows if row["prior"] == name]
        means = {c: np.mean([row[c] for row in own]) for c in QUALITY}
        print(f"{name}: " + ", ".join(f"{c} {value:.3g}" for c, value in means.items()))


def main() -> None:
    config_flags.DEFINE_config_file(
        "config",
        None,
        "Inversion configuration with `chain`, FILE[:variant].",
        lock_config=False,
        accept_new_attributes=True,
    )
    flags.DEFINE_string("workdir", None, "Directory of the results.")
    flags.mark_flags_as_required(["config", "workdir"])
    run_main(run)
