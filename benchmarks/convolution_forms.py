"""The convolutions that change the size, in every form that was considered.

All forms of an operation are the same function of (images, kernel), which
`tests/test_convolutions.py` checks. "plain" is the library's definition, with the
adjoints that JAX derives; "cpu" is what the library runs on CPUs, adjoints included.
The others are

    sub-pixel      one convolution at the smaller size between the one image and the
                   four phases of the other, as four times the channels
    6x6            the blur joined with the kernel: one convolution
    6x6 sub-pixel  both
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from rtil_jax.convolutions import blur, conv3x3, conv3x3_up, cpu, plain
from rtil_jax.convolutions.convolving import convolve
from rtil_jax.convolutions.multilinear import multilinear
from rtil_jax.convolutions.resampling import pad


class Form(NamedTuple):
    """A function of (images, kernel) and its adjoints; None for what JAX derives.

    Attributes:
        forward: of (images, prepared kernel).
        images: of (prepared kernel, y), the derivative of <forward, y> by the images.
        kernel: of (images, y), likewise by the kernel as it is stored.
        prepare: makes one of the other, which a search does once for all steps.
    """

    forward: Callable[[Array, Array], Array]
    images: Callable[[Array, Array], Array] | None = None
    kernel: Callable[[Array, Array], Array] | None = None
    prepare: Callable[[Array], Array] = lambda kernel: kernel

    def images_adjoint(self, x: Array, prepared: Array, y: Array) -> Array:
        if self.images:
            return self.images(prepared, y)
        return jax.linear_transpose(lambda x: self.forward(x, prepared), x)(y)[0]

    def kernel_adjoint(self, x: Array, kernel: Array, y: Array) -> Array:
        if self.kernel:
            return self.kernel(x, y)

        def forward(kernel: Array) -> Array:
            return self.forward(x, self.prepare(kernel))

        return jax.linear_transpose(forward, kernel)(y)[0]


def depth_to_space(x: Array) -> Array:
    """`(batch, h, w, 2 * 2 * c)` -> `(batch, 2h, 2w, c)`."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height, width, 2, 2, channels // 4)
    shape = batch, 2 * height, 2 * width, channels // 4
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(shape)


def space_to_depth(x: Array) -> Array:
    """`(batch, 2h, 2w, c)` -> `(batch, h, w, 2 * 2 * c)`."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    shape = batch, height // 2, width // 2, 4 * channels
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(shape)


def by_phase(kernel: Array) -> Array:
    """Taps of `(2h, 2w, in, out)` by phase: `(h, w, 2, 2, in, out)`."""
    rows, columns, *channels = kernel.shape
    kernel = kernel.reshape(rows // 2, 2, columns // 2, 2, *channels)
    return kernel.transpose(0, 2, 1, 3, 4, 5)


def to_phases(kernel: Array) -> Array:
    """Of a convolution to the four phases of a transposed one: (h, w, in, 4 * out)."""
    kernel = by_phase(kernel)[::-1, ::-1].transpose(0, 1, 4, 2, 3, 5)
    return kernel.reshape(*kernel.shape[:3], -1)


def from_phases(kernel: Array) -> Array:
    """Of a convolution from the four phases of a strided one: (h, w, 4 * in, out)."""
    kernel = by_phase(kernel)
    return kernel.reshape(*kernel.shape[:2], -1, kernel.shape[-1])


def even(kernel: Array) -> Array:
    """3 x 3 taps as 4 x 4, the last of them 0."""
    return pad(pad(kernel, 0, 0, 1), 1, 0, 1)


def with_blur(kernel: Array, gain: float) -> Array:
    """The 6 x 6 kernel that convolves and blurs, times `gain` along each axis."""
    for axis in (0, 1):
        shifted = [
            gain * tap / 8 * pad(kernel, axis, k, 3 - k)
            for k, tap in enumerate((1, 3, 3, 1))
        ]
        kernel = functools.reduce(jnp.add, shifted)
    return kernel


def _square_images(kernel: Array, y: Array, padding: int) -> Array:
    """As `cpu.conv3x3_images`."""
    flipped = kernel[::-1, ::-1].swapaxes(2, 3)
    return square(y, flipped, len(kernel) - 1 - padding)


@multilinear(adjoints=(_square_images, None))
def square(x: Array, kernel: Array, padding: int) -> Array:
    """A convolution with stride 1 whose adjoint CPUs need not find out."""
    return convolve(x, kernel, (padding, padding))


def up_sub_pixel(x: Array, kernel: Array) -> Array:
    # The last line and column are of taps that there are not.
    return 4 * blur(depth_to_space(square(x, kernel, 1))[:, :-1, :-1], 1)


def up_6x6(x: Array, kernel: Array) -> Array:
    return convolve(x, kernel, (3, 3), spread=2)


def up_6x6_sub_pixel(x: Array, kernel: Array) -> Array:
    return depth_to_space(square(x, kernel, 1))


def down_plain(x: Array, kernel: Array) -> Array:
    return plain._strided_conv3x3.plain(blur(x, 2), kernel)


def down_cpu(x: Array, kernel: Array) -> Array:
    return cpu.strided_conv3x3(blur(x, 2), kernel)


def down_sub_pixel(x: Array, kernel: Array) -> Array:
    z = pad(pad(blur(x, 2), 1, 0, 1), 2, 0, 1)
    return square(space_to_depth(z), kernel, 0)


def down_6x6(x: Array, kernel: Array) -> Array:
    return convolve(x, kernel, (2, 2), stride=2)


def down_6x6_sub_pixel(x: Array, kernel: Array) -> Array:
    return square(space_to_depth(x), kernel, 1)


# Operation -> form -> what it is; the first is the definition.
FORMS: dict[str, dict[str, Form]] = {
    "conv3x3": {
        "plain": Form(conv3x3.plain),
        "cpu": Form(conv3x3.plain, cpu.conv3x3_images),
    },
    "conv3x3_up": {
        "plain": Form(conv3x3_up.plain),
        "cpu": Form(cpu.conv3x3_up, cpu.conv3x3_up_images, cpu.conv3x3_up_kernel),
        "sub-pixel": Form(up_sub_pixel, prepare=lambda k: to_phases(even(k))),
        "6x6": Form(up_6x6, prepare=lambda k: with_blur(k, 2)[::-1, ::-1]),
        "6x6 sub-pixel": Form(
            up_6x6_sub_pixel, prepare=lambda k: to_phases(with_blur(k, 2))
        ),
    },
    "conv3x3_down": {
        "plain": Form(down_plain),
        "cpu": Form(
            down_cpu,
            lambda kernel, y: blur(cpu.strided_images(kernel, y), 1),
            lambda x, y: cpu.strided_kernel(blur(x, 2), y),
        ),
        "sub-pixel": Form(down_sub_pixel, prepare=lambda k: from_phases(even(k))),
        "6x6": Form(down_6x6, prepare=lambda k: with_blur(k, 1)),
        "6x6 sub-pixel": Form(
            down_6x6_sub_pixel, prepare=lambda k: from_phases(with_blur(k, 1))
        ),
    },
}
