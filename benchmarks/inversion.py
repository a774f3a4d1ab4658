"""Times ILO and mGANprior per image-step, against PyTorch.

    pip install torch
    python -m benchmarks.inversion --resolution 64 --batch 1,4,16

An image-step is one step of the optimiser on one image. Ours are the solver's own
steps, ten to a call as `invert` makes them, at the paper's channels and with its
operator (partial circulant, 10 % of the pixels measured). `ours bfloat16` are the same
steps with `precision=bfloat16`. Five opponents, all with frozen weights:

    public loop      what the public code does: one image at a time, grouped
                     convolution with the image's own kernels, depthwise 4 x 4 blur, the
                     filter transformed anew by a complex FFT; codes one by one
    public batched   the same operations on the whole batch (which it never does)
    best             dense convolution, separable blur, real FFT with a kept spectrum,
                     fused Adam, all images and codes in one batch
    best compiled    the same through torch.compile
    best bfloat16    the same with kernels in bfloat16 and channels last, under autocast

Contenders take turns (see `benchmarks.timing`). ILO is timed in stages 0 and 2,
mGANprior with 20 codes mixed at 16 pixels (64-pixel images) or 32 (256). The last
column compares XLA's own count of our step's arithmetic on one image with the rates
that this machine reached in the same run. Both libraries share a GPU if there is one;
XLA must not take all of its memory: XLA_PYTHON_CLIENT_PREALLOCATE=false.
"""

import argparse
from collections.abc import Iterable

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
from rtil_jax.inversion.at_once import STEPS_AT_ONCE

METHODS = ("ilo 0", "ilo 2", "mganprior")
OURS = "ours"
OURS_NARROW = "ours bfloat16"
# Of PyTorch's best in a call: a GPU works through several without waiting for Python.
BEST_STEPS = STEPS_AT_ONCE if ON_GPU else 1


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
        narrow = torch_inversion.mganprior_render(
            PGGAN(variables).narrowed(), block, False
        )
    else:
        constants, start = ours.ilo_constants(task), ours.ilo_variables(task)
        public, best = (
            torch_inversion.ilo_render(StyleGAN2(variables, style), **constants)
            for style in (PublicStyle, BestStyle)
        )
        narrow = torch_inversion.ilo_render(
            StyleGAN2(variables, BestStyle).narrowed(), **constants
        )
    make_public, make_best = torch_inversion.public_steps, torch_inversion.best_steps
    trainable = torch_inversion.trainable

    def compiled(render):
        # CUDA graphs, where there are any.
        render = torch.compile(render, mode="reduce-overhead" if ON_GPU else None)
        return make_best(render, problem.best_losses(), trainable(start), BEST_STEPS)

    return {
        "public": make_public(public, problem.public_losses(), trainable(start)),
        "best": make_best(best, problem.best_losses(), trainable(start), BEST_STEPS),
        "best compiled": compiled(best),
        "best bfloat16": compiled(torch_inversion.autocast(narrow)),
    }


def contenders(method: str, resolution: int, batch: int, compiled: bool) -> tuple:
    """(our task of one image, name -> (a step, image-steps in it)).

    The public loop is timed on one image: its second takes as long as its first.
    """
    task = ours.make_task(method, resolution, batch)
    rivals = opponents(method, task)
    if not compiled:
        del rivals["best compiled"], rivals["best bfloat16"]
    narrow = ours.make_task(method, resolution, batch, "bfloat16")
    alone = ours.make_task(method, resolution, 1)
    chosen = {
        OURS: (task.steps(), STEPS_AT_ONCE * batch),
        OURS_NARROW: (narrow.steps(), STEPS_AT_ONCE * batch),
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
