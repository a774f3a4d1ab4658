"""Recovers images from measurements with a trained prior.

python invert.py --config configs/invert/ilo.py --workdir runs/ilo \
    --config.priors.rtil=runs/rtil --config.priors.vanilla=runs/vanilla

The same command does what is missing. SIGTERM, SIGUSR1 and Ctrl-C end it after the
batch at hand, which is saved, and at once while programs are compiled.
"""

import os
import shlex
import sys

from absl import flags
from ml_collections import config_flags

from rtil_jax.cli.command_line import run_main
from rtil_jax.experiments.inversion.shards import find_shard
from rtil_jax.experiments.inversion.sweep import run_sweep

# Priors have names of their own, so the config is open; `run_sweep` checks the others.
CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "Inversion configuration, FILE[:variant].",
    lock_config=False,
    accept_new_attributes=True,
)
flags.mark_flag_as_required("config")
WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory of the results.", required=True
)
DRY_RUN = flags.DEFINE_bool(
    "dry_run", False, "Check all inputs, print the plan and stop."
)
NUM_SHARDS = flags.DEFINE_integer(
    "num_shards",
    None,
    "Processes that share the work; those of a SLURM array or of srun are found.",
)
SHARD = flags.DEFINE_integer("shard", None, "Which of them this is, from 0.")
flags.DEFINE_alias("num-shards", "num_shards")


def main(_: list[str]) -> None:
    command = shlex.join(["python", *sys.argv])
    shard = find_shard(SHARD.value, NUM_SHARDS.value, os.environ)
    run_sweep(CONFIG.value, WORKDIR.value, DRY_RUN.value, command, shard)


if __name__ == "__main__":
    run_main(main)
