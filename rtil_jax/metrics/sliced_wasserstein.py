"""Sliced Wasserstein distance of image patches (Karras et al. 2018, section 5).

Every level of a Laplacian pyramid is a band of detail. Of each, many 7 x 7 patches of
one set of images are compared with as many of another: normalised by channel, projected
onto random directions (Rabin et al. 2011), and compared as numbers, whose Wasserstein
distance is the mean difference of the sorted ones. It is |.| that the authors' code
averages, and so does this one; its tables print 1,000 times the distance.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from rtil_jax.errors import UserError

PATCH = 7
PATCHES_PER_IMAGE = 128
DIRECTIONS = 512
SMALLEST = 16  # The last level; smaller images have one level of their own size.
_AT_ONCE = 32  # Directions; each needs as many floats as there are patches.
_TAPS = np.array([1, 4, 6, 4, 1], np.float32) / 16

Images = Float[Array | np.ndarray, "batch height width channels"]
Patches = Float[np.ndarray, "patches 7 7 channels"]


def laplacian_pyramid(images: Images) -> list[Float[Array, "batch _ _ channels"]]:
    """Bands of detail from the finest on; the last is what remains.

    Enlarged and added from the last to the first, they are the images again.
    """
    levels = [jnp.asarray(images)]
    while levels[-1].shape[1] > SMALLEST:
        levels.append(_blur(levels[-1])[:, ::2, ::2])
    finer = [x - enlarge(y) for x, y in zip(levels[:-1], levels[1:], strict=True)]
    return [*finer, levels[-1]]


def enlarge(images: Images) -> Float[Array, "batch height2 width2 channels"]:
    """Twice the size: zeros between the pixels, blurred."""
    batch, height, width, channels = images.shape
    spread = jnp.zeros((batch, 2 * height, 2 * width, channels), images.dtype)
    return 4 * _blur(spread.at[:, ::2, ::2].set(images))


def _blur(images: Array) -> Array:
    """5 x 5 binomial filter; edges are mirrored."""
    for axis in (1, 2):
        padding = [(2, 2) if i == axis else (0, 0) for i in range(4)]
        padded = jnp.pad(images, padding, mode="reflect")
        size = images.shape[axis]
        images = sum(
            tap * jax.lax.slice_in_dim(padded, k, k + size, axis=axis)
            for k, tap in enumerate(_TAPS.tolist())
        )
    return images


@jax.jit
def patches(images: Images, keys: jax.Array) -> dict[int, Array]:
    """Patches at random places of each level of the pyramid.

    Args:
        images: square, at least 8 pixels.
        keys: one per image, `(batch,)`; an image's places depend on its own only.

    Returns:
        `(batch * PATCHES_PER_IMAGE, 7, 7, channels)` by the pixels of the level.
    """
    found = {}
    for level in laplacian_pyramid(images):
        size, channels = level.shape[1], level.shape[-1]

        def of_one(
            image: Array, key: jax.Array, size: int = size, channels: int = channels
        ) -> Array:
            shape = (PATCHES_PER_IMAGE, 2)
            corners = jax.random.randint(key, shape, 0, size - PATCH + 1, jnp.int32)
            window, first = (PATCH, PATCH, channels), jnp.int32(0)

            def cut_out(at: Int[Array, "2"]) -> Array:
                return jax.lax.dynamic_slice(image, (*at, first), window)

            return jax.vmap(cut_out)(corners)

        cut = jax.vmap(of_one)(level, keys)
        found[size] = cut.reshape(-1, PATCH, PATCH, channels)
    return found


def patch_distance(real: Patches, fake: Patches, key: jax.Array) -> float:
    """The distance of two sets of as many patches, over random directions.

    Args:
        real: patches, `(patches, height, width, channels)`.
        fake: of the same shape.
        key: of the directions.
    """
    x, y = (normalised(patches).reshape(len(patches), -1) for patches in (real, fake))
    return sliced_wasserstein(x, y, key)


def normalised(patches: Patches) -> Patches:
    """Mean 0 and deviation 1 in each channel; patches of one value become 0."""
    mean = np.mean(patches, axis=(0, 1, 2), dtype=np.float64)
    std = np.std(patches, axis=(0, 1, 2), dtype=np.float64)
    return ((patches - mean) / np.maximum(std, 1e-8)).astype(np.float32)


def sliced_wasserstein(
    x: Float[np.ndarray, "points size"],
    y: Float[np.ndarray, "points size"],
    key: jax.Array,
) -> float:
    """The mean Wasserstein-1 distance of projections onto DIRECTIONS unit vectors.

    Args:
        x: points, `(points, size)`.
        y: of the same shape.
        key: of the directions.

    Raises:
        UserError: if the sets differ in the number of points or in their size.
    """
    if np.shape(x) != np.shape(y):
        raise UserError(
            f"sliced_wasserstein: found sets of shapes {np.shape(x)} and "
            f"{np.shape(y)}, expected two of one shape"
        )
    directions = jax.random.normal(key, (x.shape[1], DIRECTIONS), jnp.float32)
    directions = directions / jnp.linalg.norm(directions, axis=0, keepdims=True)
    distances = [
        _projected_distance(x, y, directions[:, first : first + _AT_ONCE])
        for first in range(0, DIRECTIONS, _AT_ONCE)
    ]
    return float(np.mean(distances))


def _projected_distance(x: np.ndarray, y: np.ndarray, directions: Array) -> float:
    # NumPy's sort is several times faster than XLA's on a CPU.
    a, b = (np.sort(np.asarray(directions).T @ points.T, axis=1) for points in (x, y))
    return float(np.mean(np.abs(a - b)))
