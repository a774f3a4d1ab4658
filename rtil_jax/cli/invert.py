r"""Recovers images from measurements with a trained prior.

python invert.py --config configs/invert/ilo.py --workdir runs/ilo \
    --config.priors.rtil=runs/rtil --config.priors.vanilla=runs/vanilla

Run the same command again to continue: it does only what is missing. SIGTERM, SIGUSR1
and Ctrl-C stop it after the current batch, which is saved, or at once while it compiles
programs.
"""

import argparse
import os

from rtil_jax.cli.flags import Parser, integer
from rtil_jax.experiments.inversion.shards import find_shard
from rtil_jax.experiments.inversion.sweep import run_sweep


def add_arguments(parser: Parser) -> None:
    # Users name their priors, so the config is open; `run_sweep` checks other fields.
    parser.add_config(
        "Inversion configuration, FILE[:variant].",
        "Directory of the results.",
        open=True,
    )
    parser.add_switch("--dry_run", "Check all inputs, print the plan and stop.")
    parser.add_argument(
        "--num_shards",
        "--num-shards",
        type=integer,
        help="How many processes share the work. Those of a SLURM array or of srun are "
        "found without it.",
    )
    parser.add_argument(
        "--shard", type=integer, help="Which of these processes this one is, from 0."
    )


def run(arguments: argparse.Namespace) -> None:
    shard = find_shard(arguments.shard, arguments.num_shards, os.environ)
    run_sweep(
        arguments.config,
        arguments.workdir,
        arguments.dry_run,
        arguments.command_line,
        shard,
    )
