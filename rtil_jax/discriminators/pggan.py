"""The PGGAN discriminator (Karras et al. 2018), as in the public RTIL code."""

import math

from flax import linen as nn
from jaxtyping import Array, Float

from rtil_jax.activations import dtype_at, keep
from rtil_jax.convolutions import average_pool
from rtil_jax.discriminators.minibatch_stddev import STDDEV_GROUP, minibatch_stddev
from rtil_jax.layers import (
    GAIN,
    Conv1x1,
    Dense,
    NormalizedConv,
    normalized_leaky_relu,
    pggan_width,
)


class PGGANDiscriminator(nn.Module):
    """Scores images `(batch, resolution, resolution, channels)` in [-1, 1].

    It mirrors the generator, including PixelNorm, with 2 x 2 average pooling. Like the
    generator it grows: the same variables serve every smaller resolution, and
    {"growth": {"fade": alpha}} beside the params fades in the first block.

    Attributes:
        max_channels, channel_base: decide the widths, as in the generator.
        widths: channels at 4, 8, ... pixels; () computes them from the two fields
            above.
        stddev_group: the most images that minibatch-stddev compares.
        precision: `float32` or `bfloat16`, see `rtil_jax.activations`.
    """

    max_channels: int = 256
    channel_base: int = 8_192
    widths: tuple[int, ...] = ()
    stddev_group: int = STDDEV_GROUP
    precision: str = "float32"

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, " batch"]:
        def width(size: int) -> int:
            if self.widths:
                return self.widths[int(math.log2(size)) - 2]
            return pggan_width(size, self.max_channels, self.channel_base)

        def from_rgb(images: Array) -> Array:
            size = images.shape[1]
            x = Conv1x1(width(size), GAIN, name=f"from_rgb_{size}")(images)
            return keep(x, dtype_at(self.precision, size))

        x, smaller = from_rgb(images), images
        if self.is_initializing():  # from-RGB layers read only while growing
            while smaller.shape[1] > 4:
                smaller = average_pool(smaller)
                from_rgb(smaller)
        while (size := x.shape[1]) > 4:
            after = width(size // 2), dtype_at(self.precision, size)
            x = NormalizedConv(*after, name=f"block_{size}_conv_0")(x)
            x = NormalizedConv(*after, name=f"block_{size}_conv_1")(x)
            x = average_pool(x)
            if size == images.shape[1] and self.has_variable("growth", "fade"):
                fade: Array = self.get_variable("growth", "fade")
                x = fade * x + (1 - fade) * from_rgb(average_pool(images))
        return self._score(minibatch_stddev(x, self.stddev_group), width(4))

    def _score(self, x: Array, width: int) -> Array:
        """Maps 4 x 4 features to scores; the public convolution is a dense layer."""
        x = NormalizedConv(width, name="block_4_conv_0")(x)
        x = x.reshape(x.shape[0], -1)
        x = normalized_leaky_relu(Dense(width, gain=GAIN, name="block_4_dense")(x))
        return Dense(1, gain=GAIN, name="score")(x)[:, 0]
