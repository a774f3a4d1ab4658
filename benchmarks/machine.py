"""Measures the machine's peak rates in the same run as the steps to compare."""

import dataclasses
import os
import platform

import jax
import jax.numpy as jnp

from benchmarks.timing import quickest
from rtil_jax.convolutions import conv3x3

CALLS = 15


@dataclasses.dataclass(frozen=True)
class Machine:
    """Rates of the quickest of `CALLS` calls, by XLA, in its default precision.

    That is float32 on CPUs and TF32 on GPUs, where all three are larger, so that
    starting them takes no time in comparison.

    Attributes:
        product: floating-point operations per second of a 2048 x 2048 matrix product
            (GPU: 8192).
        convolution: likewise, of a 3x3 convolution of 256 channels at 64 pixels (64
            images).
        bandwidth: bytes per second that y = 2 x reads and writes, 64 MiB (1 GiB) each.
    """

    product: float
    convolution: float
    bandwidth: float

    @classmethod
    def measure(cls) -> "Machine":
        key = jax.random.key(0)
        on_cpu = jax.default_backend() == "cpu"
        size, batch, length = (2048, 1, 2**24) if on_cpu else (8192, 64, 2**28)
        square = jax.random.normal(key, (size, size))
        images = jax.random.normal(key, (batch, 64, 64, 256))
        kernel = jax.random.normal(key, (3, 3, 256, 256))
        line = jnp.ones(length)
        return cls(
            product=2 * size**3 / _quickest(lambda x: x @ x, square),
            convolution=2 * images.size * 9 * 256 / _quickest(conv3x3, images, kernel),
            bandwidth=2 * line.nbytes / _quickest(lambda x: 2 * x, line),
        )

    def __str__(self) -> str:
        device = jax.devices()[0]
        return (
            f"{os.cpu_count()} CPU cores ({platform.machine()}), device "
            f"{device.device_kind}, jax {jax.__version__}; matrix product "
            f"{self.product / 1e9:.0f} GFLOP/s, 3x3 convolution "
            f"{self.convolution / 1e9:.0f} GFLOP/s, bandwidth "
            f"{self.bandwidth / 1e9:.1f} GB/s; load {os.getloadavg()[0]:.1f}"
        )

    def achieved(self, cost: dict[str, float] | None, seconds: float) -> str:
        """A step's rates as parts of the machine's, from XLA's cost analysis.

        The bytes are those that its operations name, many of which stay in cache.
        "not counted" where XLA has no count for the device.
        """
        if not cost or "flops" not in cost:
            return "not counted by XLA"
        flops = cost["flops"] / seconds
        named = cost["bytes accessed"] / seconds
        return (
            f"{cost['flops'] / 1e9:.1f} GFLOP: {flops / self.product:.0%} of product, "
            f"{flops / self.convolution:.0%} of convolution; "
            f"{cost['bytes accessed'] / 1e9:.2f} GB: {named / self.bandwidth:.0%}"
        )


def _quickest(function, *arguments) -> float:
    jitted = jax.jit(function)

    return quickest(lambda: jitted(*arguments).block_until_ready(), CALLS)
