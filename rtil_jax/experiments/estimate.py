"""Estimates the memory and time of a program before it runs.

XLA counts a program's operations before it compiles it, and the bytes of its buffers
afterwards. Compiling takes most of the time, so only one of many programs is compiled:
the one that reads and writes most, which needs the most memory or nearly so. The other
programs take a time to compile in proportion to the length of their text. A convolution
and its gradient measure how many operations a device does per second. The real time is
longer if networks are so small that their overhead counts, or if the machine is shared.
"""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.compilation_cache import compilation_cache
from jaxtyping import Array

# Buffers are assigned before machine code is generated, which takes most of the time.
QUICK = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}
# How much longer a full compilation takes than one with QUICK: about twice as long for
# ILO's stages and StyleGAN2's steps.
FULL = 2.0
RUNS = 5


@dataclasses.dataclass(frozen=True)
class ProgramWork:
    """The cost of one call of a program, on all devices.

    Attributes:
        operations: floating-point operations; the body of a loop counts once.
        traffic: bytes that all operations together read and write.
        length: lines of its text; compilation time is proportional to it.
    """

    operations: float
    traffic: float
    length: int


def work_of(lowered: Any) -> ProgramWork:
    """Returns the cost of a program that `jax.jit(...).lower(...)` has returned."""
    counts = lowered.cost_analysis() or {}
    return ProgramWork(
        counts.get("flops", 0.0),
        counts.get("bytes accessed", 0.0),
        lowered.as_text().count("\n"),
    )


def compiled_cost(lowered: Any) -> tuple[int, float]:
    """Compiles a program; returns (bytes on a device, seconds to compile a line)."""
    length = lowered.as_text().count("\n")
    with _uncached():
        started = time.perf_counter()
        memory = lowered.compile(QUICK).memory_analysis()
        seconds = FULL * (time.perf_counter() - started)
    return memory.argument_size_in_bytes + memory.temp_size_in_bytes, seconds / length


@contextlib.contextmanager
def _uncached() -> Iterator[None]:
    """Turns JAX's compilation cache off in its block, to measure compilation."""
    name = "jax_enable_compilation_cache"
    enabled = getattr(jax.config, name)
    jax.config.update(name, False)
    compilation_cache.reset_cache()  # else JAX does not look at it again
    try:
        yield
    finally:
        jax.config.update(name, enabled)
        compilation_cache.reset_cache()


def measured_speed() -> float:
    """Measures the operations per second of one device, as the best of a few runs."""

    @jax.jit
    def gradient(images: Array, kernel: Array) -> tuple[Array, Array]:
        def loss(images: Array, kernel: Array) -> Array:
            shape = ("NHWC", "HWIO", "NHWC")
            y = jax.lax.conv_general_dilated(
                images, kernel, (1, 1), "SAME", dimension_numbers=shape
            )
            return jnp.sum(y**2)

        return jax.grad(loss, argnums=(0, 1))(images, kernel)

    arrays = jnp.ones((16, 32, 32, 48)), jnp.ones((3, 3, 48, 48))
    program = gradient.lower(*arrays).compile()
    fastest = min(_seconds(program, arrays) for _ in range(RUNS))
    return (program.cost_analysis() or {})["flops"] / fastest


def _seconds(program: Any, arrays: tuple) -> float:
    started = time.perf_counter()
    jax.block_until_ready(program(*arrays))
    return time.perf_counter() - started


def duration(seconds: float) -> str:
    """Writes a duration with a suitable unit."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.2g} s"


def time_line(running: float, compiling: float, what: str, speed: float) -> str:
    """Returns the estimate of time in words.

    Args:
        running: seconds to run.
        compiling: seconds to compile.
        what: what runs, such as "9 steps".
        speed: operations per second of a device.
    """
    return (
        f"about {duration(running + compiling)}: {what}, and {duration(compiling)} to "
        f"compile what is not in the cache (estimated from XLA's count of operations "
        f"and {speed / 1e9:,.3g} GFLOP/s, measured here on one convolution)"
    )
