"""The two-layer linear generator of Section 5: G~(z_0, z_1) = W_1 (W_0 z_0 + z_1).

The paper's output is a vector of n_d numbers. The generator interface wants square
images, so the vector is stored as an image of resolution^2 * channels = n_d numbers in
`(height, width, channels)` order.
"""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from rtil_jax.generators.chain import BlockChain

# 1 / sqrt(fan-in) for matrices that are (outputs, inputs), as the paper writes them.
_INIT = nn.initializers.lecun_normal(in_axis=-1, out_axis=-2)


class LinearGenerator(BlockChain):
    """The linear generator of Section 5: block 1 multiplies by W_0, block 2 by W_1.

    The features after block 1 are `(1, 1, n_1)`. The variables are
    {"params": {"W0": (n_1, n_0), "W1": (n_d, n_1)}}.

    Attributes:
        resolution: height and width; n_d = resolution^2 * channels.
        latent_dim: n_0.
        num_features: n_1.
        channels: of the images.
    """

    resolution: int
    latent_dim: int
    num_features: int
    channels: int = 1

    @property
    def num_blocks(self) -> int:
        return 2

    def setup(self) -> None:
        size = math.prod(self.intermediate_shape(2))
        shapes = (self.num_features, self.latent_dim), (size, self.num_features)
        self.weights = [
            self.param(name, _INIT, shape, jnp.float32)
            for name, shape in zip(("W0", "W1"), shapes, strict=True)
        ]

    def sample_latents(self, key: jax.Array, batch: int) -> dict[str, Array]:
        """z_0 ~ N(0, I)."""
        return {"z": jax.random.normal(key, (batch, self.latent_dim), jnp.float32)}

    def intermediate_shape(self, block: int) -> tuple[int, int, int]:
        image = (self.resolution, self.resolution, self.channels)
        return ((1, 1, self.num_features), image)[block - 1]

    def first(self, latents: dict[str, Array]) -> Float[Array, "batch 1 1 features"]:
        """W_0 z_0."""
        return self._layer(latents["z"], 1)

    def advance(
        self, features: Float[Array, "batch 1 1 features"], latents: dict, block: int
    ) -> Float[Array, "batch height width channels"]:
        # W_1 of the features after block 1.
        return self._layer(features, block + 1)

    def _layer(self, x: Array, block: int) -> Array:
        """W_{block - 1} x, in the shape of the block's features."""
        flat = x.reshape(x.shape[0], -1)
        # By default, accelerators round the factors of a product to 10 bits or fewer.
        y = jnp.matmul(flat, self.weights[block - 1].T, precision="highest")
        return y.reshape(-1, *self.intermediate_shape(block))
