"""Milliseconds of the convolutions in every form, on the device at hand.

    python -m benchmarks.convolutions                   # a GPU: batch 64, 4 to 256
    python -m benchmarks.convolutions --batch 2 --pixels 8,32

Forward, and both adjoints, in float32 and bfloat16, at the paper's channels. Pixels are
those of the larger side. Forms are those of `benchmarks.convolution_forms`; they take
turns (see `benchmarks.timing`), and a call runs each a few times without waiting.

"plain" is a time; the other forms are ratios to it, medians over rounds: below 1 is
quicker. A kernel of another shape is prepared before the clock runs, as a search does
it once; the part "kernel" has that in it, as a training does it at every step. Lines of
all pixels sum the times. The last column is the time of what the library runs on this
platform over that of the quickest form.
"""

import argparse
import os
import platform
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from benchmarks import timing
from benchmarks.convolution_forms import FORMS, Form
from rtil_jax.layers import stylegan2_width

PARTS = ("forward", "images", "kernel")
NAMES = tuple(FORMS["conv3x3_up"])
HEADER = ("device", "operation", "pixels", "channels", "type", "part", "plain, ms")
# What is summed: a search differentiates by the images alone.
TOTALS = {"a search": PARTS[:2], "a training": PARTS}
PIXELS = "4,8,16,32,64,128,256"

# (form, part) -> milliseconds of each round
Times = dict[tuple[str, str], np.ndarray]


def channels_at(pixels: int) -> int:
    """Of the paper's StyleGAN2."""
    return stylegan2_width(pixels, 256, 16_384)


def shapes(operation: str, pixels: int, batch: int) -> tuple[tuple, tuple]:
    """Of the images, and of the kernel."""
    inner = pixels // 2 if operation == "conv3x3_up" else pixels
    first = channels_at(inner)
    last = channels_at(pixels // 2 if operation == "conv3x3_down" else pixels)
    return (batch, inner, inner, first), (3, 3, first, last)


def measure(
    operation: str, pixels: int, batch: int, dtype: str, rounds: int, repeats: int
) -> Times:
    """Times of all forms and parts, in turn."""
    size, taps = shapes(operation, pixels, batch)
    random = np.random.default_rng(0)
    x, kernel = (
        jnp.asarray(random.normal(size=s), jnp.dtype(dtype)) for s in (size, taps)
    )
    plain = FORMS[operation]["plain"]
    y = jax.eval_shape(plain.forward, x, kernel)
    y = jnp.asarray(random.normal(size=y.shape), y.dtype)
    programs: dict[tuple[str, str], tuple] = {}
    for name, form in FORMS[operation].items():
        prepared = jax.jit(form.prepare)(kernel)
        programs[name, "forward"] = form.forward, x, prepared
        programs[name, "images"] = form.images_adjoint, x, prepared, y
        programs[name, "kernel"] = both(form), x, kernel, y
    with ThreadPoolExecutor() as threads:  # that compile side by side
        calls = list(threads.map(lambda p: repeated(*p, repeats), programs.values()))
    named = {key: (call, repeats) for key, call in zip(programs, calls, strict=True)}
    timings = timing.alternate(named, rounds)
    return {key: 1e3 * found.wall for key, found in timings.items()}


def both(form: Form) -> Callable:
    """What a training step does for the kernel: prepares it, and its gradient."""

    def prepare_and_differentiate(x: Array, kernel: Array, y: Array) -> tuple:
        return form.prepare(kernel), form.kernel_adjoint(x, kernel, y)

    return prepare_and_differentiate


def repeated(function: Callable, *given: Any) -> Callable[[], None]:
    """The function, compiled, on its arguments as often as the last of them says."""
    *arguments, repeats = given
    compiled = jax.jit(function).lower(*arguments).compile()

    def call() -> None:
        for _ in range(repeats):
            found = compiled(*arguments)
        jax.block_until_ready(found)

    return call


def line(times: Times, parts: Sequence[str], key: Sequence[object], ours: str) -> list:
    """One line of the table: the parts together."""
    names = [name for name in NAMES if (name, parts[0]) in times]
    total = {name: sum(times[name, part] for part in parts) for name in names}
    median = {name: float(np.median(total[name])) for name in names}
    quickest = min(names, key=lambda name: median[name])
    ratios = [
        f"{np.median(total[name] / total['plain']):.2f}" if name in names else "–"
        for name in NAMES[1:]
    ]
    lead = f"{median[ours] / median[quickest]:.2f}"
    return [*key, f"{median['plain']:.3g}", *ratios, quickest, lead]


def lines_of(
    operation: str, dtype: str, pixels: Sequence[int], options: argparse.Namespace
) -> list[list]:
    """Lines of each size and part, then of all sizes together."""
    device, ours = jax.devices()[0].device_kind, "plain"
    if jax.default_backend() == "cpu":
        device, ours = f"{os.cpu_count()} CPU cores ({platform.machine()})", "cpu"
    found, lines = [], []
    for size in pixels:
        given = options.batch, dtype, options.rounds, options.repeats
        times = measure(operation, size, *given)
        found.append(times)
        shape = channels_at(size)
        for part in PARTS:
            key = device, operation, size, shape, dtype, part
            lines.append(line(times, (part,), key, ours))
    together = {key: sum(times[key] for times in found) for key in found[0]}
    for name, parts in TOTALS.items():
        key = device, operation, "all", "", dtype, name
        lines.append(line(together, parts, key, ours))
    return lines


def main() -> None:
    on_cpu = jax.default_backend() == "cpu"
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, default=2 if on_cpu else 64)
    parser.add_argument("--pixels", default="8,32" if on_cpu else PIXELS)
    parser.add_argument("--operations", default=",".join(FORMS))
    parser.add_argument("--types", default="float32,bfloat16")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--repeats", type=int, default=2 if on_cpu else 20)
    parser.add_argument("--write", default="", help="a file for the table")
    options = parser.parse_args()
    lines = []
    for operation in options.operations.split(","):
        for dtype in options.types.split(","):
            pixels = [int(size) for size in options.pixels.split(",")]
            lines += lines_of(operation, dtype, pixels, options)
    header = [*HEADER, *NAMES[1:], "quickest", "library / quickest"]
    text = f"batch {options.batch}, jax {jax.__version__}\n\n"
    text += timing.table(header, lines)
    print(text)
    if options.write:
        with open(options.write, "w", encoding="utf-8") as file:
            file.write(text + "\n")


if __name__ == "__main__":
    main()
