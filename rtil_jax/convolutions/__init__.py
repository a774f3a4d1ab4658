"""The convolutions and resamplings of StyleGAN2, PGGAN and DCGAN.

All are functions of images, `(batch, height, width, channels)`, most also of a kernel,
`(height, width, in, out)` or `(in, out)`. `plain` and `resampling` define them; `cpu`
has the forms that CPUs run instead (see `multilinear` for how one is chosen).

All of them differentiate in forward and in reverse mode, to any order and in any
combination, on every platform; `jax.vmap` maps them over images and kernels.
"""

from rtil_jax.convolutions.plain import (
    conv1x1 as conv1x1,
)
from rtil_jax.convolutions.plain import (
    conv1x1_down as conv1x1_down,
)
from rtil_jax.convolutions.plain import (
    conv3x3 as conv3x3,
)
from rtil_jax.convolutions.plain import (
    conv3x3_down as conv3x3_down,
)
from rtil_jax.convolutions.plain import (
    conv3x3_up as conv3x3_up,
)
from rtil_jax.convolutions.plain import (
    conv4x4_up as conv4x4_up,
)
from rtil_jax.convolutions.resampling import (
    average_pool as average_pool,
)
from rtil_jax.convolutions.resampling import (
    blur as blur,
)
from rtil_jax.convolutions.resampling import (
    upsample as upsample,
)
from rtil_jax.convolutions.resampling import (
    upsample_bilinear as upsample_bilinear,
)
