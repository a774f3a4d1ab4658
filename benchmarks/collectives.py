"""Counts the bytes that devices exchange in a training step, and models 64 GPUs.

    python -m benchmarks.collectives

Compiles every program of the paper's configs for virtual devices, without running any,
and reads off the compiled programs the bytes that each collective sends and the
floating-point operations. It then models the time of a step: operations divided by a
rate, plus bytes divided by a bandwidth. The rates and bandwidths are assumptions, which
options change: nothing about a GPU is measured here.
"""

import argparse
import dataclasses
import importlib
import math
import re
import sys
from collections.abc import Callable

import jax

from benchmarks.timing import table
from rtil_jax import devices
from rtil_jax.experiments.estimate import QUICK
from rtil_jax.experiments.training.configured_recipe import build_recipe, resolved
from rtil_jax.experiments.training.training_plan import abstract_state, how_often
from rtil_jax.training.recipe import Recipe

KINDS = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "collective-permute",
    "all-to-all",
)
_OPERATION = re.compile(rf"= (.*?) ({'|'.join(KINDS)})(?:-start)?\(")
_ARRAY = re.compile(r"\b(pred|[a-z]+(\d+))\[([\d,]*)\]")
DEVICES = 4
# Compiled for: whole minibatch-stddev groups and, of PGGAN's members, equal shares on
# each device. What is printed is for one image.
BATCHES = {"stylegan2": 16, "pggan": 24}
PAPER_BATCH = 6
CONFIGS = (
    "stylegan2_ffhq256:vanilla",
    "stylegan2_ffhq256:rtil",
    "pggan_ffhq256:vanilla",
    "pggan_ffhq256:rtil",
)
GPUS = (1, 2, 3, 6, 8, 16, 64)


def collectives(program: str) -> list[tuple[str, int]]:
    """(kind, bytes of its result on one device) of each collective in XLA's text."""
    found = []
    for line in program.splitlines():
        if match := _OPERATION.search(line):
            size = 0
            for dtype, bits, shape in _ARRAY.findall(match[1]):
                count = math.prod(int(n) for n in shape.split(",") if n)
                size += count * (1 if dtype == "pred" else int(bits) // 8)
            found.append((match[2], size))
    return found


@dataclasses.dataclass(frozen=True)
class Program:
    """One jitted function of a training step.

    Attributes:
        collectives: (kind, bytes) of each.
        flops: on one device.
    """

    collectives: list[tuple[str, int]]
    flops: float

    def sent(self, *kinds: str) -> int:
        """Bytes of the collectives of these kinds."""
        return sum(size for kind, size in self.collectives if kind in kinds)


def step_programs(
    recipe: Recipe, mesh: jax.sharding.Mesh, options: dict | None = None
) -> dict[str, Program]:
    """The programs of a recipe's step, compiled for the devices of `mesh`."""

    def images_at(batch):
        size, channels = batch.resolution, recipe.generator.channels
        return jax.ShapeDtypeStruct(
            (batch.size, size, size, channels),
            "float32",
            sharding=devices.batch_sharded(mesh),
        )

    key = jax.eval_shape(lambda: jax.random.key(0))
    found = {}
    with jax.set_mesh(mesh):
        state = abstract_state(recipe, mesh)
        for name, (function, *arguments) in recipe.programs(
            state, images_at, key
        ).items():
            compiled = function.lower(*arguments).compile(options)
            flops = compiled.cost_analysis()["flops"]
            found[name] = Program(collectives(compiled.as_text()), flops)
    return found


def recipe_of(name: str) -> Recipe:
    """Of `CONFIG:VARIANT`; a PGGAN at its full resolution, where it trains longest."""
    name, _, variant = name.partition(":")
    config = importlib.import_module(f"configs.{name}").get_config(variant)
    config.training.batch_size = BATCHES[config.architecture]
    if config.architecture == "pggan":
        config.growing = "none"
    return build_recipe(resolved(config, DEVICES))


@dataclasses.dataclass(frozen=True)
class Step:
    """Means over steps, for each device.

    Attributes:
        flops: for one image.
        reduced: bytes of gradients, whatever the batch.
        moved: bytes of anything else, for one image.
    """

    flops: float
    reduced: float
    moved: float


def measure(name: str) -> tuple[Step, list[list]]:
    """The step of a config, and a row of the table for each of its programs."""
    recipe = recipe_of(name)
    flops, reduced, moved, rows = 0.0, 0.0, 0.0, []
    each = recipe.batch_at(0).size // DEVICES
    for program, found in step_programs(
        recipe, devices.data_mesh(DEVICES), QUICK
    ).items():
        often = how_often(recipe, program)
        sums = found.sent("all-reduce")
        others = (found.sent(*KINDS) - sums) / each
        flops += often * found.flops / each
        reduced += often * sums
        moved += often * others
        count = sum(kind == "all-reduce" for kind, _ in found.collectives)
        cells = [f"{often:.3g}", f"{found.flops / each / 1e9:.1f}", count]
        cells += [f"{sums / 1e6:.1f}", f"{others / 1e6:.1f}"]
        rows.append([name, program, *cells])
        print(rows[-1], file=sys.stderr, flush=True)
    return Step(flops, reduced, moved), rows


def seconds_per_step(step: Step, gpus: int, each: float, options) -> float:
    """The model: operations over a rate, then bytes over the slowest link.

    A ring hands on 2 (n - 1) / n times the bytes of an all-reduce. What XLA could hide
    behind operations is not hidden.
    """
    machine = gpus <= options.gpus_per_machine
    bandwidth = (options.inside if machine else options.between) * 1e9
    ring = 2 * (gpus - 1) / gpus * step.reduced
    moved = step.moved * each * (gpus > 1)
    return each * step.flops / (options.rate * 1e12) + (ring + moved) / bandwidth


def model_rows(name: str, step: Step, options: argparse.Namespace) -> list[list]:
    """At the paper's batch while GPUs divide it; at one and at six images for each."""

    def row(batch: int, gpus: int, seconds: Callable[[int, float], float]) -> list:
        taken, alone = seconds(gpus, batch / gpus), seconds(1, PAPER_BATCH)
        speed = batch / taken / (PAPER_BATCH / alone)
        cells = [f"{1e3 * taken:.1f}", f"{speed:.1f}", f"{speed / gpus:.0%}"]
        return [name, batch, gpus, *cells]

    def seconds(gpus: int, each: float) -> float:
        return seconds_per_step(step, gpus, each, options)

    more = [gpus for gpus in GPUS if gpus > PAPER_BATCH]
    batches = [(PAPER_BATCH, gpus) for gpus in GPUS if PAPER_BATCH % gpus == 0]
    batches += [(gpus, gpus) for gpus in more]
    batches += [(PAPER_BATCH * gpus, gpus) for gpus in more]
    return [row(batch, gpus, seconds) for batch, gpus in batches]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--rate", type=float, default=20.0, help="TFLOP/s that a GPU reaches")
    add("--inside", type=float, default=300.0, help="GB/s between GPUs of a machine")
    add("--between", type=float, default=40.0, help="GB/s between machines, per GPU")
    add("--gpus_per_machine", type=int, default=8)
    options = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", DEVICES)
    rows, modelled = [], []
    for name in CONFIGS:
        step, more = measure(name)
        rows += more
        modelled += model_rows(name, step, options)
    header = ["config", "program", "runs per step", "GFLOP per image", "all-reduces"]
    print(table([*header, "MB all-reduced", "MB else per image"], rows))
    header = ["config", "batch", "GPUs", "ms per step", "images/s against one GPU"]
    print(f"\nThe model, {vars(options)}:\n")
    print(table([*header, "efficiency"], modelled))


if __name__ == "__main__":
    main()
