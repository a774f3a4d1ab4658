"""The interface of a generator: the methods that the rest of the library calls.

A generator is a chain of `num_blocks` blocks that can be cut after any of them:
block k turns the features of block k - 1 into its own, and G = g1 o g0 with
g0 = `head(., k)` and g1 = `tail(., k)` for every k. The inputs z_k of the extended
family G~(z_0, z_1, ..., z_K) of the paper (Sections 2.2 and 3) are added to the
features after block k.

The law that every generator keeps, for every block k:

    tail(head(z, k), z, k)        == G(z)
    tail(head(z, k) + z_k, z, k)  == G(z, {k: z_k})

To bring your own generator, write a `flax.linen.Module` with these methods. CSGM, ILO
and RTIL training for ILO need nothing else. mGANprior and its RTIL training also need
features that `mix_codes` can weigh (see `generators.features`). Progressive growing
needs `clone(resolution=r)` (see `generators.pggan`). A generator with a mapping network
and per-layer styles may add `map_styles` (see `StyledGenerator`).
"""

from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rtil_jax.errors import UserError
from rtil_jax.precision import single

# A pytree of float32 arrays with a leading batch axis, e.g. {"z": (batch, 512)}.
Latents = Any
# A pytree with a leading batch axis that supports `features + z_k`.
Features = Any
# block -> z_k, `(batch, *intermediate_shape(block))`.
Intermediates = dict[int, Array]


@runtime_checkable
class Generator(Protocol):
    """What a generator must have (`flax.linen` adds `init`, `apply` and `clone`)."""

    @property
    def resolution(self) -> int:
        """Height and width of the images."""

    @property
    def channels(self) -> int:
        """Channels of the images, 1 or 3."""

    @property
    def num_blocks(self) -> int:
        """Number of blocks, which are counted from 1."""

    def sample_latents(self, key: jax.Array, batch: int) -> Latents:
        """Draws z_0 ~ p(z_0) of each image, in the form that `head` and `tail` read."""

    def intermediate_shape(self, block: int) -> tuple[int, int, int]:
        """Returns `(height, width, channels)` of z_k and the features after `block`."""

    def head(
        self, latents: Latents, block: int, intermediates: Intermediates | None = None
    ) -> Features:
        """Returns g_0, the features after `block` before the next block reads them.

        Args:
            latents: z_0, from `sample_latents`.
            block: where to cut, counted from 1.
            intermediates: perturbations of blocks before `block`, `{k: z_k}` with z_k
                of `(batch, *intermediate_shape(k))`.
        """

    def tail(
        self, features: Features, latents: Latents, block: int
    ) -> Float[Array, "batch height width channels"]:
        """Returns g_1, the image from the features after `block`.

        Args:
            features: after `block`, from `head`.
            latents: z_0, which later blocks may read.
            block: where `head` cut the chain, counted from 1.
        """

    def __call__(
        self, latents: Latents, intermediates: Intermediates | None = None
    ) -> Float[Array, "batch height width channels"]:
        """Returns G~(z_0, z_1, ..., z_K), or G(z_0) without `intermediates`."""

    def init(self, rngs: jax.Array, *args: Any, method: Any = None) -> Any:
        """Draws the variables of the modules that `method` calls on `args`."""

    def apply(self, variables: dict, *args: Any, method: Any = None) -> Any:
        """Calls `method` (`__call__` by default) on `args` with these variables."""

    def clone(self, **updates: Any) -> "Generator":
        """Returns the same module with other values of some attributes."""


@runtime_checkable
class StyledGenerator(Generator, Protocol):
    """A generator with a mapping network and per-layer styles.

    Its latents are {"styles": `(batch, layers, latent_dim)`, "noises": (maps, ...)}.
    """

    @property
    def latent_dim(self) -> int:
        """Size of z and of a layer's style."""

    def map_styles(
        self, z: Float[Array, "batch latent"]
    ) -> Float[Array, "batch layers latent"]:
        """Returns the style of each layer for z ~ N(0, I)."""


def init(generator: Generator, key: jax.Array) -> dict:
    """Draws the variables of `generator`, `{"params": ...}`, from `key`."""

    def sample_and_render(module: Generator, key: jax.Array) -> Array:
        return module(module.sample_latents(key, 1))

    return single(generator.init(key, key, method=sample_and_render))


def sample_latents(
    generator: Generator, params: dict, key: jax.Array, batch: int
) -> Latents:
    """Draws the latents z_0 of a batch of images.

    Args:
        generator: any with the interface of `rtil_jax.generators`.
        params: its variables, `{"params": ...}`.
        key: the PRNG key to draw from.
        batch: the number of images.
    """
    return single(generator.apply(params, key, batch, method="sample_latents"))


def zero_intermediates(
    generator: Generator, blocks: tuple[int, ...], batch: int
) -> Intermediates:
    """Returns z_k = 0 for every block of `blocks`, with which G~ equals G.

    Args:
        generator: any with the interface of `rtil_jax.generators`.
        blocks: the blocks k, counted from 1.
        batch: the number of images.
    """
    return {
        block: jnp.zeros((batch, *generator.intermediate_shape(block)), jnp.float32)
        for block in blocks
    }


def check_blocks(generator: Generator, blocks: tuple[int, ...], field: str) -> None:
    """Checks that `blocks` are blocks of `generator`, in increasing order.

    Args:
        generator: any with the interface of `rtil_jax.generators`.
        blocks: counted from 1.
        field: the name of the field that an error message mentions.

    Raises:
        UserError: if one is missing, repeated or out of order.
    """
    known = range(1, generator.num_blocks + 1)
    increasing = all(a < b for a, b in zip(blocks, blocks[1:], strict=False))
    if not increasing or not set(blocks) <= set(known):
        raise UserError(
            f"{field}: found {tuple(blocks)}, expected increasing blocks among "
            f"{tuple(known)} (the generator has {generator.resolution} pixels)"
        )
