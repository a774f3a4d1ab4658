"""Generators: networks made of a chain of blocks, which can be cut after any block.

`interface` says what a generator must offer to be inverted or trained here.
"""

from rtil_jax.generators.chain import BlockChain
from rtil_jax.generators.dcgan import DCGANGenerator
from rtil_jax.generators.features import mix_codes
from rtil_jax.generators.interface import (
    Generator,
    check_blocks,
    init,
    sample_latents,
    zero_intermediates,
)
from rtil_jax.generators.linear import LinearGenerator
from rtil_jax.generators.pggan import PGGANGenerator
from rtil_jax.generators.sequential import SequentialGenerator
from rtil_jax.generators.stylegan2 import StyleGAN2Generator

__all__ = [
    "BlockChain",
    "DCGANGenerator",
    "Generator",
    "LinearGenerator",
    "PGGANGenerator",
    "SequentialGenerator",
    "StyleGAN2Generator",
    "check_blocks",
    "init",
    "mix_codes",
    "sample_latents",
    "zero_intermediates",
]
