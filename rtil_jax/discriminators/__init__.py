"""Discriminators."""

from rtil_jax.discriminators.stylegan2 import (
    StyleGAN2Discriminator as StyleGAN2Discriminator,
)
from rtil_jax.discriminators.stylegan2 import (
    stddev_group_size as stddev_group_size,
)
