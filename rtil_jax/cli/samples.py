"""Draws samples of every member of the families that priors were trained with.

python -m rtil_jax samples --config configs/ablations/fig8.py --workdir runs/fig8
"""

from absl import flags
from ml_collections import config_flags

from rtil_jax.cli.command_line import run_main
from rtil_jax.experiments.family_samples import draw_family_samples


def run(_: list[str]) -> None:
    print(f"figure    {draw_family_samples(flags.FLAGS.config, flags.FLAGS.workdir)}")


def main() -> None:
    config_flags.DEFINE_config_file(
        "config",
        None,
        "Priors and columns, FILE[:variant].",
        lock_config=False,
        accept_new_attributes=True,
    )
    flags.DEFINE_string("workdir", None, "Directory of the picture.")
    flags.mark_flags_as_required(["config", "workdir"])
    run_main(run)
