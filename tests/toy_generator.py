"""The smallest generator with the library's interface: two dense blocks, 8 pixels."""

import jax
import jax.numpy as jnp
from flax import linen as nn


class ToyGenerator(nn.Module):
    """z -> tanh features `(4, 4, 2)` -> image `(8, 8, channels)`, both blocks dense."""

    resolution: int = 8
    channels: int = 1
    num_blocks: int = 2
    latent_dim: int = 6

    def setup(self):
        self.dense = [nn.Dense(32), nn.Dense(64 * self.channels)]

    def intermediate_shape(self, block):
        return ((4, 4, 2), (8, 8, self.channels))[block - 1]

    def sample_latents(self, key, batch):
        return {"z": jax.random.normal(key, (batch, self.latent_dim))}

    def _apply(self, x, block):
        flat = x.reshape(x.shape[0], -1)
        y = self.dense[block - 1](flat)
        return y.reshape(-1, *self.intermediate_shape(block))

    def head(self, latents, block, intermediates=None):
        features = self._apply(latents["z"], 1)
        if block == 2:
            features = features + (intermediates or {}).get(1, 0.0)
            features = self._apply(jnp.tanh(features), 2)
        return features

    def tail(self, features, latents, block):
        return features if block == 2 else self._apply(jnp.tanh(features), 2)

    def __call__(self, latents, intermediates=None):
        features = self.head(latents, 2, intermediates)
        return features + (intermediates or {}).get(2, 0.0)
