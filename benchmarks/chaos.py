"""Kills a tiny training at random instants and compares it with an uninterrupted one.

    python benchmarks/chaos.py --kills 20

for each recipe: trains once without interruption; then again in another directory,
ended by SIGKILL at random instants (every second time while a checkpoint is being
written) and by one each of the signals that ask for an end, and continued by the same
command. Weights, optimisers, EMA, path means, `metrics.jsonl` (except for its rates)
and samples must be the same bits. Exits with 1 if they are not.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
from orbax.checkpoint import v1 as ocp
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIELDS = {
    "stylegan2": {"family.blocks": (1,), "training.r1_every": 4},
    "pggan": {"family.codes": (1, 2, 3), "training.batch_size": 6},
}
COMMON = {
    "resolution": 16,
    "training.steps": 240,
    "checkpoint.every": 10,
    "checkpoint.keep": 2,
    "checkpoint.keep_every": 60,
    "sample.every": 40,
    "sample.columns": 2,
    "log.every": 7,
    "data.count": 0,
}
GENTLE = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


def make_images(folder: pathlib.Path) -> None:
    """Some dozen of random pictures."""
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (50, 16, 16, 3), np.uint8)
    for index, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{index:02d}.png")


def command(recipe: str, images: pathlib.Path, workdir: pathlib.Path) -> list[str]:
    """The one command that starts and continues a run."""
    variant = "pggan,tiny" if recipe == "pggan" else "tiny"
    fields = {
        **COMMON,
        **FIELDS[recipe],
        "data.source": images,
        "data.cache_dir": images.parent / "cache",
    }
    return [
        sys.executable,
        str(ROOT / "train.py"),
        f"--config={ROOT}/configs/quickstart.py:{variant}",
        f"--workdir={workdir}",
        *(f"--config.{name}={value}" for name, value in fields.items()),
    ]


def start(arguments: list[str]) -> subprocess.Popen:
    """Starts a run whose programs, all of them, are compiled once."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return subprocess.Popen(arguments, cwd=ROOT, env=environment, **pipes)


def newest(workdir: pathlib.Path) -> int:
    """Step of the newest complete checkpoint, 0 if there is none."""
    names = [path.name for path in workdir.glob("checkpoints/*")]
    return max((int(name) for name in names if name.isdigit()), default=0)


def being_written(workdir: pathlib.Path, since: float) -> list[str]:
    """Checkpoints that were begun, after `since`, and are not complete."""
    try:
        return [
            path.name.partition(".")[0]
            for path in workdir.glob("checkpoints/*.orbax-checkpoint-tmp")
            if path.stat().st_mtime > since
        ]
    except FileNotFoundError:  # It has just been completed.
        return []


def wait(process, began: float, lifetime: float, workdir, writing: bool) -> None:
    """For a lifetime; where `writing`, then until a checkpoint is being written."""
    while process.poll() is None and time.time() < began + lifetime:
        time.sleep(0.001)
    while process.poll() is None and writing and not being_written(workdir, began):
        time.sleep(0.0005)
    if writing:
        time.sleep(random.uniform(0, 0.05))


def end(arguments, number, lifetime: float, workdir: pathlib.Path, writing: bool):
    """Runs for `lifetime` seconds, then sends a signal; whether it hit a run."""
    before = newest(workdir)
    began, process = time.time(), start(arguments)
    wait(process, began, lifetime, workdir, writing)
    hit = process.poll() is None
    unfinished = being_written(workdir, began)
    process.send_signal(number)
    output, _ = process.communicate()
    expected = -number if hit and number == signal.SIGKILL else 0
    if process.returncode != expected:
        sys.exit(f"exit code {process.returncode}:\n{output}")
    said = [line for line in output.splitlines() if line.startswith("stopped by")]
    during = f"while writing {unfinished[0]} " if unfinished else ""
    print(
        f"  {number.name:8} after {lifetime:5.2f} s: checkpoints {before} -> "
        f"{newest(workdir)} {during}{said[0] if said else ''}",
        flush=True,
    )
    return hit


def content(workdir: pathlib.Path) -> dict:
    """All that must be the same: checkpoints kept for good, metrics and pictures."""
    found = {}
    with ocp.training.Checkpointer(workdir / "checkpoints") as checkpointer:
        for checkpoint in checkpointer.checkpoints:
            # Those between are kept only while they are the newest.
            if checkpoint.step % COMMON["checkpoint.keep_every"] == 0:
                items = checkpointer.load_checkpointables(checkpoint.step)
                found[checkpoint.step] = items
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    found["metrics"] = [
        {**json.loads(line), "images_per_second": 0.0} for line in lines
    ]
    for path in sorted((workdir / "samples").iterdir()):
        found[path.name] = path.read_bytes()
    return found


def same(a, b) -> bool:
    """Whether two trees of dicts, lists and arrays are equal bit for bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if hasattr(a, "dtype") and hasattr(b, "dtype"):
        a, b = np.asarray(a), np.asarray(b)
        return (a.dtype, a.shape) == (b.dtype, b.shape) and a.tobytes() == b.tobytes()
    return type(a) is type(b) and a == b


def round_of_chaos(recipe: str, kills: int, folder: pathlib.Path) -> bool:
    """Whether the killed run of one recipe ends like the one left in peace."""
    images, peace = folder / "images", folder / "peace"
    make_images(images)
    for _ in range(2):  # The second is timed: nothing left to compile.
        subprocess.run(["rm", "-rf", str(peace)], check=True)
        began = time.monotonic()
        process = start(command(recipe, images, peace))
        output, _ = process.communicate()
        if process.returncode:
            sys.exit(output)
        seconds = time.monotonic() - began
    print(f"{recipe}: {seconds:.1f} s without interruption", flush=True)

    signals = [signal.SIGKILL] * kills + list(GENTLE)
    random.shuffle(signals)
    equal, rounds = True, 0
    while signals:
        rounds += 1
        workdir = folder / f"chaos{rounds}"
        arguments = command(recipe, images, workdir)
        while signals and newest(workdir) < COMMON["training.steps"]:
            lifetime = random.uniform(0.0, 0.8 * seconds)
            # The gentle ones are for a training that is on its way.
            writing = signals[-1] in GENTLE or len(signals) % 2 == 0
            if end(arguments, signals[-1], lifetime, workdir, writing):
                signals.pop()
        process = start(arguments)
        output, _ = process.communicate()
        if process.returncode:
            sys.exit(output)
        found, expected = content(workdir), content(peace)
        differing = [
            name
            for name in found.keys() | expected.keys()
            if not same(found.get(name), expected.get(name))
        ]
        print(f"  round {rounds}: differing from peace: {differing or 'nothing'}")
        equal &= not differing
    return equal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the instants")
    parser.add_argument("--recipes", nargs="+", default=list(FIELDS))
    options = parser.parse_args()
    random.seed(options.seed)
    warnings.filterwarnings("ignore", message="Sharding info not provided")
    equal = True
    for recipe in options.recipes:
        with tempfile.TemporaryDirectory() as folder:
            equal &= round_of_chaos(recipe, options.kills, pathlib.Path(folder))
    sys.exit(0 if equal else "chaos: the killed run is another")


if __name__ == "__main__":
    main()
