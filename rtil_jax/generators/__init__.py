"""Generators as chains of blocks that can be cut anywhere (see `interface`)."""

from rtil_jax.generators.chain import (
    BlockChain as BlockChain,
)
from rtil_jax.generators.dcgan import (
    DCGANGenerator as DCGANGenerator,
)
from rtil_jax.generators.features import (
    mix_codes as mix_codes,
)
from rtil_jax.generators.interface import (
    Generator as Generator,
)
from rtil_jax.generators.interface import (
    check_blocks as check_blocks,
)
from rtil_jax.generators.interface import (
    init as init,
)
from rtil_jax.generators.interface import (
    sample_latents as sample_latents,
)
from rtil_jax.generators.interface import (
    zero_intermediates as zero_intermediates,
)
from rtil_jax.generators.linear import (
    LinearGenerator as LinearGenerator,
)
from rtil_jax.generators.pggan import (
    PGGANGenerator as PGGANGenerator,
)
from rtil_jax.generators.sequential import (
    SequentialGenerator as SequentialGenerator,
)
from rtil_jax.generators.stylegan2 import (
    StyleGAN2Generator as StyleGAN2Generator,
)
