"""Rearranges PyTorch's tensors to our arrays and back, without scaling or rounding.

PyTorch has `(out, in, height, width)` kernels, `(out, in)` matrices, and flattens
images channel by channel. We have `(height, width, in, out)` and `(in, out)`, and
flatten images pixel by pixel.
"""

import dataclasses
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Transform:
    """A rearrangement and its inverse.

    Attributes:
        ours: converts PyTorch's tensor to our array.
        theirs: converts our array to PyTorch's tensor.
    """

    ours: Callable[[np.ndarray], np.ndarray]
    theirs: Callable[[np.ndarray], np.ndarray]


SAME = Transform(lambda x: x, lambda x: x)
# `(1,)` to a scalar.
SCALAR = Transform(lambda x: x.reshape(()), lambda x: x.reshape(1))
# `(1, channels, 1, 1)` to `(channels,)`.
CHANNELS = Transform(lambda x: x.reshape(-1), lambda x: x.reshape(1, -1, 1, 1))
# A `(1, channels, height, width)` image.
IMAGE = Transform(lambda x: x.transpose(0, 2, 3, 1), lambda x: x.transpose(0, 3, 1, 2))
MATRIX = Transform(lambda x: x.T, lambda x: x.T)
# The kernel of a convolution, also of the transposed one that doubles the size: like
# PyTorch, `rtil_jax.convolutions.conv3x3_up` scatters with it, so it is not flipped.
KERNEL = Transform(lambda x: x.transpose(2, 3, 1, 0), lambda x: x.transpose(3, 2, 0, 1))
# The kernel of StyleGAN2, with a leading 1.
MODULATED_KERNEL = Transform(
    lambda x: KERNEL.ours(x[0]), lambda x: KERNEL.theirs(x)[None]
)
# `(out, channels * 4 * 4)` of flattened 4 x 4 features.
FLAT_MATRIX = Transform(
    lambda x: KERNEL.ours(x.reshape(len(x), -1, 4, 4)).reshape(-1, len(x)),
    lambda x: KERNEL.theirs(x.reshape(4, 4, -1, x.shape[-1])).reshape(x.shape[-1], -1),
)
# A 4 x 4 convolution of 4 x 4 features, which is a dense layer.
KERNEL_TO_MATRIX = Transform(
    lambda x: KERNEL.ours(x).reshape(-1, len(x)),
    lambda x: KERNEL.theirs(x.reshape(4, 4, -1, x.shape[-1])),
)
# From z to 4 x 4 features by a transposed convolution of one pixel, `(in, out, 4, 4)`.
CODE = Transform(lambda x: x.transpose(0, 2, 3, 1), lambda x: x.transpose(0, 3, 1, 2))
# The same by a convolution of one pixel padded by 3, `(out, in, 4, 4)`, which reads its
# kernel backwards.
FLIPPED_CODE = Transform(
    lambda x: x[:, :, ::-1, ::-1].transpose(1, 2, 3, 0),
    lambda x: x.transpose(3, 0, 1, 2)[:, :, ::-1, ::-1],
)
