"""Sliced Wasserstein distance of image patches (Karras et al. 2018, section 5).

Every level of a Laplacian pyramid is a band of detail. On each level, many 7 x 7
patches of one set of images are compared with the same number from another. Patches are
normalised by channel and projected onto random directions (Rabin et al. 2011). The
Wasserstein distance of the resulting numbers is the mean absolute difference after
sorting both sets, as in the authors' code. Tables print 1,000 times the distance.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from rtil_jax.errors import UserError

PATCH = 7
PATCHES_PER_IMAGE = 128
DIRECTIONS = 512
SMALLEST = 16  # Pixels of the last level; smaller images have a single level.
_AT_ONCE = 32  # Number of directions; each needs one float per patch.
_TAPS = np.array([1, 4, 6, 4, 1], np.float32) / 16

Images = Float[Array | np.ndarray, "batch height width channels"]
Patches = Float[np.ndarray, "patches 7 7 channels"]


def laplacian_pyramid(images: Images) -> list[Float[Array, "batch _ _ channels"]]:
    """Splits images into bands of detail, finest first; the last is the remainder.

    Enlarging and adding them from last to first gives the images again.
    """
    levels = [jnp.asarray(images)]
    while levels[-1].shape[1] > SMALLEST:
        levels.append(_blur(levels[-1])[:, ::2, ::2])
    finer = [x - enlarge(y) for x, y in zip(levels[:-1], levels[1:], strict=True)]
    return [*finer, levels[-1]]


def enlarge(images: Images) -> Float[Array, "batch height2 width2 channels"]:
    """Doubles the size by inserting zeros between pixels and blurring."""
    batch, height, width, channels = images.shape
    spread = jnp.zeros((batch, 2 * height, 2 * width, channels), images.dtype)
    return 4 * _blur(spread.at[:, ::2, ::2].set(images))


def _blur(images: Array) -> Array:
    """Applies a 5 x 5 binomial filter; edges are mirrored."""
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
    """Cuts patches from random places of each level of the pyramid.

    Args:
        images: square images of at least 8 x 8 pixels.
        keys: `(batch,)`, one PRNG key per image; the places depend only on it.

    Returns:
        {pixels of a level: `(batch * PATCHES_PER_IMAGE, 7, 7, channels)`}.
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
    """Returns the distance of two equally large sets of patches.

    Args:
        real: patches, `(patches, 7, 7, channels)`.
        fake: patches of the same shape.
        key: the PRNG key of the random directions.
    """
    x, y = (normalised(patches).reshape(len(patches), -1) for patches in (real, fake))
    return sliced_wasserstein(x, y, key)


def normalised(patches: Patches) -> Patches:
    """Normalises each channel to mean 0 and deviation 1; constant patches become 0."""
    mean = np.mean(patches, axis=(0, 1, 2), dtype=np.float64)
    std = np.std(patches, axis=(0, 1, 2), dtype=np.float64)
    return ((patches - mean) / np.maximum(std, 1e-8)).astype(np.float32)


def sliced_wasserstein(
    x: Float[np.ndarray, "points size"],
    y: Float[np.ndarray, "points size"],
    key: jax.Array,
) -> float:
    """Returns the mean Wasserstein-1 distance of projections onto unit vectors.

    Args:
        x: points, `(points, size)`.
        y: points of the same shape.
        key: the PRNG key of the DIRECTIONS random unit vectors.

    Raises:
        UserError: if the sets differ in the number of points or in their size.
    """
    if np.shape(x) != np.shape(y):
        raise UserError(
            f"sliced_wasserstein: found sets of shapes {np.shape(x)} and "
            f"{np.shape(y)}, expected the same shape"
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
