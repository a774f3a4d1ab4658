"""What a GPU does here, in one table: inversion, training, compiling, convolutions.

    python -m benchmarks.gpu --write gpu.md

takes at most eight minutes on a machine with empty caches. Each part is a process of
its own, so that none keeps memory from the next, and is ended when its time is over;
the table then has the rows that it had printed. Rows name the device. PyTorch is
measured if it is installed. On a CPU the same runs at sizes that take minutes, to try
the command; its numbers say nothing about a GPU.

Inversion is the solver's own step (`benchmarks.inversion` compares it with PyTorch step
by step), with the rates that it reaches of what the device can do. Training is what
`train.py` runs: whole cycles of 16 steps in one call, images on the device. The first
step is that of `configs/invert/demo.py` in a fresh process, and of a training, from an
empty compilation cache and from the one that this leaves. Convolutions are summed over
what a search needs, forms as in `benchmarks.convolutions`.
"""

import argparse
import dataclasses
import functools
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

from benchmarks.timing import table

HEADER = ("device", "part", "what", "result", "first call, s", "of the device's rates")
SECONDS = 480.0
PRECISIONS = ("float32", "bfloat16")

Row = list[str]


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How large the networks and batches are.

    Attributes:
        steps: (method, pixels, batch) of the inversions.
        torch: the same, of those that PyTorch is measured on.
        config: of the training.
        batch: of the training.
        cycles: of 16 steps that are timed.
        convolutions: flags of `benchmarks.convolutions`.
    """

    steps: tuple = (
        ("ilo 0", 64, 64),
        ("ilo 0", 256, 1),
        ("ilo 0", 256, 64),
        ("mganprior", 256, 4),
    )
    torch: tuple = (("ilo 0", 256, 64),)
    config: str = "stylegan2_faces64"
    batch: int = 128
    cycles: int = 4
    convolutions: tuple = ("--pixels", "16,64,256", "--rounds", "3")


SMALL = Sizes(
    steps=(("ilo 0", 32, 2), ("mganprior", 32, 1)),
    torch=(("ilo 0", 32, 2),),
    config="stylegan2_faces64:cpu",
    batch=4,
    cycles=1,
    convolutions=("--pixels", "16", "--rounds", "1"),
)


def sizes() -> Sizes:
    import jax

    return SMALL if jax.default_backend() == "cpu" else Sizes()


def inversion() -> Iterator[Row]:
    """Milliseconds of a solver step per image."""
    from benchmarks import timing
    from benchmarks.machine import Machine
    from benchmarks.ours import make_task
    from rtil_jax.inversion.at_once import STEPS_AT_ONCE

    machine = Machine.measure()
    yield ["machine", str(machine), "", "", ""]
    for method, pixels, batch in sizes().steps:
        for precision in PRECISIONS:
            task = make_task(method, pixels, batch, precision)
            count = STEPS_AT_ONCE * batch
            taken = timing.alternate({"": (task.steps(), count)}, 5)[""]
            seconds = float(taken.wall.min())
            rates = machine.achieved(task.cost(), seconds * batch)
            what = f"{method}, {pixels} px, batch {batch}, {precision}"
            result = f"{timing.milliseconds(taken.wall)} ms per image-step"
            yield ["inversion", what, result, f"{taken.first:.1f}", rates]


def in_torch() -> Iterator[Row]:
    """The best that PyTorch does, in float32 and in bfloat16, and the public loop."""
    if not importlib.util.find_spec("torch"):
        yield ["inversion, PyTorch", "torch is not installed", "", "", ""]
        return
    from benchmarks import timing
    from benchmarks.inversion import contenders

    for method, pixels, batch in sizes().torch:
        _, chosen = contenders(method, pixels, batch, True)
        for name, contender in chosen.items():
            if name.startswith("ours") or name == "best":
                continue
            taken = timing.alternate({name: contender}, 3)[name]
            what = f"{name}, {method}, {pixels} px, batch {batch}"
            result = f"{timing.milliseconds(taken.wall)} ms per image-step"
            yield ["inversion, PyTorch", what, result, f"{taken.first:.1f}", ""]


def training() -> Iterator[Row]:
    """Images per second of whole cycles of 16 steps."""
    from benchmarks import timing
    from benchmarks.training import CYCLE, make_config, training_cycle

    size = sizes()
    for family in ("vanilla", "rtil"):
        for precision in PRECISIONS:
            config = make_config(size.config, family, "drawn", size.batch)
            config.precision = precision
            call, count = training_cycle(config), CYCLE * size.batch
            taken = timing.alternate({"": (call, count)}, size.cycles, warm_up=1)[""]
            what = f"{size.config}, {family}, batch {size.batch}, {precision}"
            result = f"{1 / taken.wall.mean():.0f} images/s"
            yield ["training", what, result, f"{taken.first:.1f}", ""]


def first_steps() -> Iterator[Row]:
    """Seconds until the first step of an inversion in a fresh process."""
    from benchmarks.first_step import first_step

    with tempfile.TemporaryDirectory() as cache:
        for state in ("empty", "full"):
            wall, _ = first_step(["--config", "configs/invert/demo.py"], cache)
            what = f"the demo's inversion, {state} compilation cache"
            yield ["first step", what, f"{wall:.1f} s", "", ""]


def convolutions() -> Iterator[Row]:
    """The forms of the convolutions, as `benchmarks.convolutions` sums them."""
    command = [sys.executable, "-m", "benchmarks.convolutions", *sizes().convolutions]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    lines = [line.split(" | ") for line in done.stdout.splitlines() if " | " in line]
    names = lines[0]
    for line in lines[2:]:
        cells = dict(zip(names, line, strict=True))
        if "all" in cells["pixels"]:
            what = f"{cells['operation']}, {cells['type']}, {cells['part']}"
            forms = [f"{name} {cells[name]}" for name in names[7:]]
            result = "; ".join([f"plain {cells['plain, ms']} ms", *forms])
            yield ["convolutions", what, result.replace(" |", ""), "", ""]


# The most wanted come first, in case the time runs out; with the most seconds of each.
PARTS: dict[str, tuple[Callable[[], Iterator[Row]], float]] = {
    "inversion": (inversion, 150),
    "training": (training, 150),
    "first_steps": (first_steps, 90),
    "in_torch": (in_torch, 120),
    "convolutions": (convolutions, 120),
}


def rows_of(part: str, seconds: float) -> Iterator[Row]:
    """The rows that a part prints within so many seconds, in a process of its own."""
    environment = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} | os.environ
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gpu", "--part", part],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    kill = functools.partial(os.killpg, process.pid, 9)
    alarm = threading.Timer(seconds, kill)
    alarm.start()
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.append(process.stderr.read()))
    reader.start()
    for line in process.stdout:
        if line.startswith("["):
            yield json.loads(line)
    code = process.wait()
    over = not alarm.is_alive()
    alarm.cancel()
    reader.join()
    if code:
        last = (said[0].strip().splitlines() or ["no message"])[-1]
        why = f"ended after {seconds:.0f} s" if over else f"failed: {last[:200]}"
        yield [part, why, "", "", ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", default="", help="a file for the table")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        for row in PARTS[options.part][0]():
            print(json.dumps(row), flush=True)
        return
    end, rows, device = time.monotonic() + SECONDS, [], "?"
    for part, (_, most) in PARTS.items():
        for row in rows_of(part, min(most, max(end - time.monotonic(), 1.0))):
            if row[0] == "machine":
                device = row[1].partition("device ")[2].partition(",")[0] or row[1]
            rows.append([device, *row])
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
            if options.write:
                with open(options.write, "w", encoding="utf-8") as file:
                    file.write(table(HEADER, rows) + "\n")
    print(table(HEADER, rows))


if __name__ == "__main__":
    main()
