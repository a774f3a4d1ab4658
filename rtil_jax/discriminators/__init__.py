"""Discriminators."""

from rtil_jax.discriminators.interface import (
    Discriminator as Discriminator,
)
from rtil_jax.discriminators.minibatch_stddev import (
    stddev_group_size as stddev_group_size,
)
from rtil_jax.discriminators.pggan import (
    PGGANDiscriminator as PGGANDiscriminator,
)
from rtil_jax.discriminators.stylegan2 import (
    StyleGAN2Discriminator as StyleGAN2Discriminator,
)
