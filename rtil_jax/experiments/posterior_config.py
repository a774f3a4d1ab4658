"""The config of `rtil posterior`: that of an inversion by ILO, and `chain`."""

import dataclasses

from ml_collections import ConfigDict

from rtil_jax.config import require
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.inversion_entries import require_symmetric
from rtil_jax.experiments.inversion.inversion_run import (
    InversionRun,
    parse_inversion,
)
from rtil_jax.experiments.parsing import parse
from rtil_jax.fields import POSITIVE, at_least, field


@dataclasses.dataclass(frozen=True)
class Chain:
    """Fields of the Langevin chains; see `rtil_jax.inversion.posterior_samples`."""

    samples: int = field(16, "Samples per image, each the end of a chain.", at_least(2))
    steps: int = field(2_000, "Number of steps of each chain.", at_least(0))
    learning_rate: float = field(
        0.2, "Highest learning rate of the chain's schedule.", POSITIVE
    )


def parse_posterior(config: ConfigDict) -> tuple[InversionRun, Chain]:
    """Parses a config to an inversion with one setting, and the fields of its chains.

    Raises:
        UserError: if a field cannot be used; reports the first one.
    """
    if "chain" not in config:
        raise UserError(
            "--config: found a config without config.chain, expected one for the "
            "posterior, such as configs/ablations/posterior.py"
        )
    config = config.copy_and_resolve_references().unlock()
    chain = parse(Chain, config.chain, "config.chain")
    del config.chain
    run = parse_inversion(config)
    if len(run.settings) > 1:
        raise UserError(
            f"--config: found {len(run.settings)} settings, expected one label in "
            "config.settings, one config.problem and one config.select, because the "
            "files of a posterior are named by prior and ratio only"
        )
    entry = run.entries[0]
    require(entry.noise_std > 0, "noise_std", entry.noise_std, "above 0")
    name = config.method.name
    require(name == "ilo", "method.name", name, "ilo, whose z_k the chain draws")
    exact = "float32, in which the chains run"
    require(entry.precision == "float32", "precision", entry.precision, exact)
    require_symmetric(run.images.range, "the spread of posterior samples")
    return run, chain
