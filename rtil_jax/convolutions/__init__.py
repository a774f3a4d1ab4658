"""The convolutions and resamplings of StyleGAN2, PGGAN and DCGAN.

Every function takes images, `(batch, height, width, channels)`. Most also take a
kernel, `(height, width, in, out)` or `(in, out)`. `plain` and `resampling` define them.
`cpu` has the faster forms for CPUs, and `multilinear` chooses between the two.

All of them differentiate in forward and in reverse mode, to any order and in any
combination, on every platform; `jax.vmap` maps them over images and kernels.
"""

from rtil_jax.convolutions.plain import (
    conv1x1,
    conv1x1_down,
    conv3x3,
    conv3x3_down,
    conv3x3_up,
    conv4x4_up,
)
from rtil_jax.convolutions.resampling import (
    average_pool,
    blur,
    upsample,
    upsample_bilinear,
)

__all__ = [
    "average_pool",
    "blur",
    "conv1x1",
    "conv1x1_down",
    "conv3x3",
    "conv3x3_down",
    "conv3x3_up",
    "conv4x4_up",
    "upsample",
    "upsample_bilinear",
]
