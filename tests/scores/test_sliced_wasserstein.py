import math

import jax
import numpy as np
import pytest
import scipy.ndimage

from rtil_jax.metrics.sliced_wasserstein import (
    PATCHES_PER_IMAGE,
    enlarge,
    laplacian_pyramid,
    normalised,
    patch_distance,
    patches,
    sliced_wasserstein,
)

KEY = jax.random.key(0)


def images(seed=0, count=6, size=32, channels=3):
    shape = (count, size, size, channels)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def cut(images, key=KEY):
    return jax.device_get(patches(images, jax.random.split(key, len(images))))


def test_the_pyramid_adds_up_to_the_images():
    x = images(size=64)
    fine, middle, rest = laplacian_pyramid(x)
    assert [fine.shape[1], middle.shape[1], rest.shape[1]] == [64, 32, 16]
    np.testing.assert_allclose(fine + enlarge(middle + enlarge(rest)), x, atol=1e-5)


def test_the_pyramid_is_that_of_the_authors_code():
    """A 5 x 5 filter, mirrored at the edges, every second pixel."""
    x, taps = images(count=1, channels=1), np.array([1, 4, 6, 4, 1]) / 16
    kernel = np.outer(taps, taps)
    small = scipy.ndimage.convolve(x[0, :, :, 0], kernel, mode="mirror")[::2, ::2]
    spread = np.zeros((32, 32))
    spread[::2, ::2] = small
    large = scipy.ndimage.convolve(spread, 4 * kernel, mode="mirror")
    fine, rest = laplacian_pyramid(x)
    np.testing.assert_allclose(rest[0, :, :, 0], small, atol=1e-5)
    np.testing.assert_allclose(fine[0, :, :, 0], x[0, :, :, 0] - large, atol=1e-5)


def test_patches_are_parts_of_the_image():
    """Of an image whose values are its places, every patch is a piece of the ramp."""
    ramp = np.arange(64, dtype=np.float32).reshape(1, 8, 8, 1)
    found = cut(ramp)[8]
    assert found.shape == (PATCHES_PER_IMAGE, 7, 7, 1)
    corners = found[:, :1, :1]
    np.testing.assert_allclose(found, corners + ramp[:, :7, :7])
    assert set(corners.ravel()) == {0, 1, 8, 9}


def test_patches_of_an_image_do_not_depend_on_the_batch():
    x, keys = images(), jax.random.split(KEY, 6)
    one = patches(x[2:3], keys[2:3])
    for size, level in patches(x, keys).items():
        own = level[2 * PATCHES_PER_IMAGE : 3 * PATCHES_PER_IMAGE]
        np.testing.assert_allclose(own, one[size], atol=1e-6)


def test_normalised_patches_have_the_moments_of_a_standard_normal_per_channel():
    found = normalised(5 + 3 * np.random.default_rng(0).random((9, 7, 7, 2), "f"))
    np.testing.assert_allclose(found.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=(0, 1, 2)), 1, atol=1e-5)
    assert not normalised(np.ones((4, 7, 7, 1), np.float32)).any()


def test_the_distance_of_a_set_to_itself_is_zero_in_any_order():
    x = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    assert sliced_wasserstein(x, x[::-1], KEY) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("size", [2, 49])
def test_the_distance_of_a_translated_set(size):
    """|v| E|t| for the first coordinate t of a random unit vector."""
    rng = np.random.default_rng(0)
    x, v = rng.normal(size=(50, size)).astype("f"), rng.normal(size=size).astype("f")
    mean = math.gamma(size / 2) / math.gamma((size + 1) / 2) / math.sqrt(math.pi)
    found = sliced_wasserstein(x, x + v, KEY)
    assert found == pytest.approx(np.linalg.norm(v) * mean, rel=0.08)


def test_blurring_moves_the_finest_level_and_contrast_none():
    x = images(count=8)
    blurred = np.asarray(scipy.ndimage.gaussian_filter(x, (0, 1, 1, 0)))
    real, soft, pale = cut(x), cut(blurred), cut(0.5 * x + 0.2)
    assert patch_distance(real[32], soft[32], KEY) > 0.02
    assert patch_distance(real[32], pale[32], KEY) < 1e-4
