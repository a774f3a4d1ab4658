"""The Deep Decoder (Heckel and Hand 2019): represents an image by a network's weights.

x = tanh(cn(relu(B_d W_d)) V),  B_{i+1} = cn(relu(U B_i W_i)),

where B_0 is random and fixed, W_i and V weigh channels (1x1 convolutions), U enlarges
bilinearly and cn gives every channel mean 0 and variance 1, then a scale and a shift.
The network has fewer weights than the image has pixels, so it can only represent smooth
images: that is the whole prior. Nothing is trained beforehand: the weights that
represent one image are its latents.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from rtil_jax.generators.interface import Intermediates
from rtil_jax.operators.interface import ImageShape

Maps = Float[Array, "height width channels"]
Images = Float[Array, "batch height width channels"]
EPSILON = 1e-5


class DeepDecoderNetwork(nn.Module):
    """The network that draws one image from its weights.

    Attributes:
        image_shape: `(height, width, channels)`.
        width: channels of the hidden layers.
        depth: how often the maps are doubled.
    """

    image_shape: ImageShape
    width: int
    depth: int

    @nn.compact
    def __call__(self) -> Maps:
        height, width, channels = self.image_shape
        halvings = range(self.depth, -1, -1)
        sizes = [(-(-height // 2**i), -(-width // 2**i)) for i in halvings]
        shape = (*sizes[0], self.width)
        x = jax.random.uniform(jax.random.key(0), shape, jnp.float32)
        for index, size in enumerate([*sizes[1:], sizes[-1]]):
            x = nn.Dense(self.width, use_bias=False, name=f"mix{index}")(x)
            x = jax.image.resize(x, (*size, self.width), "linear")
            x = self._normalise(nn.relu(x), index)
        return jnp.tanh(nn.Dense(channels, use_bias=False, name="colours")(x))

    def _normalise(self, x: Maps, index: int) -> Maps:
        mean = jnp.mean(x, axis=(0, 1), keepdims=True)
        spread = jnp.sqrt(jnp.var(x, axis=(0, 1), keepdims=True) + EPSILON)
        shape = (1, 1, self.width)
        scale = self.param(f"scale{index}", nn.initializers.ones, shape)
        shift = self.param(f"shift{index}", nn.initializers.zeros, shape)
        return (x - mean) / spread * scale + shift


class DeepDecoderGenerator(nn.Module):
    """The Deep Decoder as a generator: its latents are the weights of each image.

    It has one block, whose features are the image. Images need not be square.

    Attributes:
        image_shape: `(height, width, channels)`.
        width: channels of the hidden layers.
        depth: how often the maps are doubled.
    """

    image_shape: ImageShape
    width: int
    depth: int
    num_blocks: int = 1

    @property
    def resolution(self) -> int:
        """Height of the images."""
        return self.image_shape[0]

    @property
    def channels(self) -> int:
        return self.image_shape[-1]

    def _network(self) -> DeepDecoderNetwork:
        return DeepDecoderNetwork(self.image_shape, self.width, self.depth, parent=None)

    def sample_latents(self, key: jax.Array, batch: int) -> Any:
        """Draws the weights that fitting starts from, for each image of the batch."""
        network = self._network()
        return jax.vmap(lambda key: network.init(key)["params"])(
            jax.random.split(key, batch)
        )

    def intermediate_shape(self, block: int) -> ImageShape:
        return self.image_shape

    def head(
        self, latents: Any, block: int, intermediates: Intermediates | None = None
    ) -> Images:
        """Returns the images, which are the features after the only block.

        Args:
            latents: the weights of each image, from `sample_latents`.
            block: 1, the only block.
            intermediates: not read, because no block comes before.
        """
        network = self._network()

        def image(weights: Any) -> Any:
            return network.apply({"params": weights})

        return jax.vmap(image)(latents)

    def tail(self, features: Images, latents: Any, block: int) -> Images:
        """Returns the features, which are the images.

        Args:
            features: from `head`.
            latents: not read.
            block: 1, the only block.
        """
        return features

    def __call__(
        self, latents: Any, intermediates: Intermediates | None = None
    ) -> Images:
        images = self.head(latents, 1)
        return images + intermediates[1] if intermediates else images
