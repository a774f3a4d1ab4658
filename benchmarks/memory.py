"""Prints the peak device memory of every program at the paper's size, without running.

    python -m benchmarks.memory

XLA decides at compile time where each array lies; its own analysis of the compiled
program is what `--dry_run` of the two scripts prints, and this table collects: the
arguments (weights, optimisers, variables) and the temporaries of one step on one
device. The runtime's own needs are not included. Inversion is compiled as for a GPU,
which computes all images of a batch at once; a CPU computes two at a time and needs
memory for two.
"""

import argparse
import importlib
import sys

import jax
import jax.numpy as jnp

from benchmarks.timing import table
from rtil_jax import devices, generators
from rtil_jax.experiments.inversion import inversion_plan
from rtil_jax.experiments.inversion.inversion_run import build_method
from rtil_jax.experiments.training import training_plan
from rtil_jax.experiments.training.configured_recipe import build_recipe, resolved
from rtil_jax.inversion import Prior, at_once
from rtil_jax.priors.prior import StyleFit, has_styles

TRAINING = ("stylegan2_ffhq256", "pggan_ffhq256")
INVERSION = {
    "ilo": "stylegan2_ffhq256",
    "csgm": "stylegan2_ffhq256",
    "surgery": "stylegan2_ffhq256",
    "mganprior": "pggan_ffhq256",
}
BATCHES = (1, 8)


def recipe_of(name: str, variant: str = "rtil"):
    """The training recipe of a config."""
    config = importlib.import_module(f"configs.{name}").get_config(variant)
    return build_recipe(resolved(config, jax.device_count()))


def blank_prior(name: str) -> Prior:
    """A prior of the config's shape."""
    generator = recipe_of(name).generator
    if has_styles(generator):
        generator = generator.clone(style_mixing=0.0)
    shapes = jax.eval_shape(
        lambda key: generators.init(generator, key), jax.random.key(0)
    )
    variables = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    fit = None
    if has_styles(generator):
        fit = StyleFit(jnp.zeros(generator.latent_dim), jnp.ones(generator.latent_dim))
    return Prior(generator, variables, fit)


def gib(size: int) -> str:
    return f"{size / 2**30:.2f}"


def training_rows() -> list[list]:
    """One row per variant: the costliest program."""
    rows = []
    for name in TRAINING:
        for variant in ("vanilla", "rtil"):
            recipe = recipe_of(name, variant)
            memory = training_plan.step_memory(recipe, devices.data_mesh())
            costliest = max(memory, key=memory.get)
            batch = recipe.batch_at(recipe.first_steps()[-1]).size
            rows.append([f"{name}:{variant}", batch, costliest, gib(memory[costliest])])
    return rows


def inversion_rows() -> list[list]:
    """One row per method and batch size: the costliest stage."""
    rows = []
    for method, prior_name in INVERSION.items():
        config = importlib.import_module(f"configs.invert.{method}").get_config()
        prior, steps = blank_prior(prior_name), build_method(config, "rtil")
        for batch in BATCHES:
            memory = inversion_plan.step_memory(
                prior, steps, "compressed_sensing", 0.1, batch
            )
            name = f"invert/{method} of {prior_name}"
            row = [name, batch, "costliest stage", gib(memory)]
            print(row, file=sys.stderr, flush=True)
            rows.append(row)
    return rows


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    at_once.IMAGES_AT_ONCE = max(BATCHES)
    header = ["config", "batch", "program", "GiB"]
    print(table(header, inversion_rows() + training_rows()))


if __name__ == "__main__":
    main()
