"""What a program costs before it runs: memory, and time from its operations.

XLA counts a program's operations and the bytes of its buffers. How many operations a
device does in a second is measured, on a convolution and its gradient. Where networks
are so small that their overhead counts, or the machine is shared, the time is longer.
"""

import dataclasses
import time
from typing import Any

import jax
import jax.numpy as jnp

# Buffers are assigned before machine code is written, which is most of a compilation.
QUICK = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}
# A full compilation takes so many times as long as one with QUICK; measured, 1 to 6.
FULL = 3.0
RUNS = 5


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one call of a program, on one device.

    Attributes:
        memory: bytes of its arguments and temporaries.
        operations: floating-point operations; the body of a loop counts once.
        compiling: seconds that its compilation takes, about.
    """

    memory: int
    operations: float
    compiling: float


def program_cost(function: Any, *arguments: Any) -> Cost:
    """The cost of a jitted function; the arguments may be shapes."""
    lowered = function.lower(*arguments)
    started = time.perf_counter()
    compiled = lowered.compile(QUICK)
    seconds = time.perf_counter() - started
    memory = compiled.memory_analysis()
    return Cost(
        memory.argument_size_in_bytes + memory.temp_size_in_bytes,
        operations(compiled),
        FULL * seconds,
    )


def operations(program: Any) -> float:
    """Of a lowered or compiled function."""
    return (program.cost_analysis() or {}).get("flops", 0.0)


def measured_speed() -> float:
    """Operations per second of one device: the best of a few runs."""

    @jax.jit
    def gradient(images, kernel):
        def loss(images, kernel):
            shape = ("NHWC", "HWIO", "NHWC")
            y = jax.lax.conv_general_dilated(
                images, kernel, (1, 1), "SAME", dimension_numbers=shape
            )
            return jnp.sum(y**2)

        return jax.grad(loss, argnums=(0, 1))(images, kernel)

    arrays = jnp.ones((16, 32, 32, 48)), jnp.ones((3, 3, 48, 48))
    program = gradient.lower(*arrays).compile()
    fastest = min(_seconds(program, arrays) for _ in range(RUNS))
    return operations(program) / fastest


def _seconds(program: Any, arrays: tuple) -> float:
    started = time.perf_counter()
    jax.block_until_ready(program(*arrays))
    return time.perf_counter() - started


def duration(seconds: float) -> str:
    """A number with the unit that suits it."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.2g} s"


def time_line(running: float, compiling: float, what: str, speed: float) -> str:
    """The estimate in words; `what` says what is running, such as "9 steps"."""
    return (
        f"about {duration(running + compiling)}: {what}, and {duration(compiling)} to "
        f"compile what is not in the cache (estimated from XLA's count of operations "
        f"at {speed / 1e9:,.3g} GFLOP/s, measured here on one convolution)"
    )
