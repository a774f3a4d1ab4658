"""Times ILO and mGANprior per image-step, against PyTorch.

    pip install torch
    python -m benchmarks.inversion --resolution 64 --batch 1,4,16

An image-step is one step of the optimiser on one image. Ours are the solver's own
steps, ten to a call as `invert` makes them, at the paper's channels and with its
operator (partial circulant, 10 % of the pixels measured). Four opponents, all with
frozen weights:

    public loop      what the public code does: one image at a time, grouped
                     convolution with the image's own kernels, depthwise 4 x 4 blur, the
                     filter transformed anew by a complex FFT; codes one by one
    public batched   the same operations on the whole batch (which it never does)
    best             dense convolution, separable blur, real FFT with a kept spectrum,
                     fused Adam, all images and codes in one batch
    best compiled    the same through torch.compile

Contenders take turns (see `benchmarks.timing`). ILO is timed in stages 0 and 2,
mGANprior with 20 codes mixed at 16 pixels (64-pixel images) or 32 (256). The last
column compares XLA's own count of our step's arithmetic on one image with the rates
that this machine reached in the same run. Both libraries share a GPU if there is one;
XLA must not take all of its memory: XLA_PYTHON_CLIENT_PREALLOCATE=false.
"""

import argparse
from collections.abc import Iterable

import jax
import torch

from benchmarks import ours, timing, torch_inversion
from benchmarks.machine import Machine
from benchmarks.torch_baselines import (
    ON_GPU,
    PGGAN,
    BestStyle,
    PublicStyle,
    StyleGAN2,
)
from rtil_jax import generators
from rtil_jax.inversion.at_once import STEPS_AT_ONCE

METHODS = ("ilo 0", "ilo 2", "mganprior")
BLOCKS = {32: 2, 64: 3, 128: 4, 256: 4}  # where mGANprior mixes its codes
OURS = "ours"
# Of PyTorch's best in a call: a GPU works through several without waiting for Python.
BEST_STEPS = STEPS_AT_ONCE if ON_GPU else 1


def make_task(method: str, resolution: int, batch: int) -> ours.Task:
    """Ours, with random weights: they do not change the time."""
    if method == "mganprior":
        generator = generators.PGGANGenerator(resolution)
        variables = generators.init(generator, jax.random.key(0))
        return ours.mganprior(generator, variables, BLOCKS[resolution], batch)
    generator = generators.StyleGAN2Generator(resolution)
    variables = generators.init(generator, jax.random.key(0))
    return ours.ilo(generator, variables, int(method.split()[1]), batch)


def opponents(method: str, task: ours.Task) -> dict:
    """name -> a step in PyTorch on all images of the task."""
    problem = torch_inversion.Circulant.of(task.problem)
    variables = task.prior.variables
    if method == "mganprior":
        network, block = PGGAN(variables), task.stage.block
        start = ours.mganprior_variables(task)
        public, best = (
            torch_inversion.mganprior_render(network, block, loop)
            for loop in (True, False)
        )
    else:
        constants, start = ours.ilo_constants(task), ours.ilo_variables(task)
        public, best = (
            torch_inversion.ilo_render(StyleGAN2(variables, style), **constants)
            for style in (PublicStyle, BestStyle)
        )
    make_public, make_best = torch_inversion.public_steps, torch_inversion.best_steps
    trainable = torch_inversion.trainable
    return {
        "public": make_public(public, problem.public_losses(), trainable(start)),
        "best": make_best(best, problem.best_losses(), trainable(start), BEST_STEPS),
        "best compiled": make_best(
            # CUDA graphs, where there are any.
            torch.compile(best, mode="reduce-overhead" if ON_GPU else None),
            problem.best_losses(),
            trainable(start),
            BEST_STEPS,
        ),
    }


def contenders(method: str, resolution: int, batch: int, compiled: bool) -> tuple:
    """(our task of one image, name -> (a step, image-steps in it)).

    The public loop is timed on one image: its second takes as long as its first.
    """
    task = make_task(method, resolution, batch)
    rivals = opponents(method, task)
    if not compiled:
        del rivals["best compiled"]
    alone = make_task(method, resolution, 1)
    chosen = {
        OURS: (task.steps(), STEPS_AT_ONCE * batch),
        "public loop": (opponents(method, alone)["public"], 1),
    }
    if batch > 1 and method != "mganprior":
        chosen["public batched"] = (rivals["public"], batch)
    del rivals["public"]
    count = BEST_STEPS * batch
    return alone, chosen | {name: (step, count) for name, step in rivals.items()}


def rows_of(
    method: str, resolution: int, batch: int, rounds: int, compiled: bool, machine
) -> Iterable[list]:
    """A row of the table for each contender."""
    alone, chosen = contenders(method, resolution, batch, compiled)
    times = timing.alternate(chosen, rounds)
    for name, taken in times.items():
        slower = cpu_slower = achieved = ""
        if name == OURS:
            achieved = machine.achieved(alone.cost(), taken.wall.min())
        else:
            slower = timing.ratio(taken.wall, times[OURS].wall)
            cpu_slower = timing.ratio(taken.cpu, times[OURS].cpu)
        yield [
            *(method, resolution, batch, name),
            *(timing.milliseconds(taken.wall), slower),
            *(timing.milliseconds(taken.cpu), cpu_slower),
            *(f"{taken.first:.1f}", achieved),
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resolution", default="64")
    parser.add_argument("--batch", default="1,4,16")
    parser.add_argument("--method", default=",".join(METHODS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--no_compile", action="store_true", help="no torch.compile")
    arguments = parser.parse_args()

    machine = Machine.measure()
    print(f"{machine}; torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    header = ["method", "pixels", "batch", "contender", "ms per image-step", "/ ours"]
    header += ["CPU ms", "/ ours", "first call, s", "of the machine's rates"]
    rows = []
    for resolution in map(int, arguments.resolution.split(",")):
        for method in arguments.method.split(","):
            for batch in map(int, arguments.batch.split(",")):
                setting = method, resolution, batch, arguments.rounds
                new = list(rows_of(*setting, not arguments.no_compile, machine))
                print(*(" ".join(map(str, row)) for row in new), sep="\n", flush=True)
                rows += new
    print("\n" + timing.table(header, rows))
    print(f"\nafterwards: {Machine.measure()}")


if __name__ == "__main__":
    main()
