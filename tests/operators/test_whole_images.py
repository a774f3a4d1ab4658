"""Box inpainting, colourisation and denoising: measurements that are pictures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from rtil_jax.errors import UserError
from rtil_jax.operators import (
    BoxInpainting,
    Colourisation,
    Denoising,
    sample_operator,
    sample_operators,
)

sample = jax.jit(BoxInpainting.sample, static_argnums=(1, 2))


def hole(mask):
    """(top, left, side) of the missing square; it must be one."""
    rows, columns = np.nonzero(np.asarray(mask)[..., 0] == 0)
    (top, left), side = (rows.min(), columns.min()), np.ptp(rows) + 1
    assert np.ptp(columns) + 1 == side and len(rows) == side**2
    return top, left, side


@pytest.mark.parametrize("ratio, side", [(0.75, 8), (0.5, 11), (0.05, 16), (0.99, 2)])
def test_a_square_is_missing(ratio, side):
    if side == 16:
        with pytest.raises(UserError, match="a missing square of 16x16 pixels"):
            BoxInpainting.sample(jax.random.key(0), (16, 16, 3), ratio)
    else:
        operator = sample(jax.random.key(0), (16, 16, 3), ratio)
        assert hole(operator.mask)[2] == side
        assert operator.num_measurements == 3 * (256 - side**2)
        assert abs((256 - side**2) / 256 - ratio) <= 1 / 16


def test_nothing_is_missing_at_ratio_1():
    assert BoxInpainting.sample(jax.random.key(0), (8, 8, 3), 1).mask.all()


def test_the_square_must_fit_into_an_oblong():
    hole(sample(jax.random.key(0), (8, 32, 1), 0.75).mask)
    with pytest.raises(UserError, match="square of 11x11 .* part of the 8x32 pixels"):
        BoxInpainting.sample(jax.random.key(0), (8, 32, 1), 0.5)


def test_squares_of_one_key_are_nested_and_those_of_others_elsewhere():
    keys = jax.random.split(jax.random.key(0), 100)
    masks = [
        np.asarray(sample_operators("box_inpainting", keys, (16, 16, 1), ratio).mask)
        for ratio in (0.1, 0.3, 0.5, 0.7, 0.9)
    ]
    for fewer, more in zip(masks, masks[1:], strict=False):
        assert (fewer <= more).all() and fewer.sum() < more.sum()
    tops = [hole(mask)[0] for mask in masks[2]]
    # A side of 11 leaves six places, all of them used and about equally often.
    assert set(tops) == set(range(6)) and np.bincount(tops).min() > 5


def test_grey_is_what_picture_files_call_grey():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    operator = Colourisation.sample(jax.random.key(0), (8, 8, 3), 1)
    y = operator(jnp.asarray(pixels / 127.5 - 1, jnp.float32))
    assert np.abs((y[..., 0] + 1) * 127.5 - grey).max() < 1
    assert y.shape == (8, 8, 1) and operator.num_measurements == 64
    np.testing.assert_array_equal(operator.preview(y), np.repeat(y, 3, axis=-1))


def test_grey_of_grey_is_itself():
    x = jnp.repeat(jax.random.uniform(jax.random.key(0), (8, 8, 1)), 3, axis=-1)
    y = Colourisation.sample(jax.random.key(0), (8, 8, 3), 1)(x)
    np.testing.assert_allclose(y, x[..., :1], atol=1e-6)


def test_denoising_measures_the_image():
    x = jax.random.normal(jax.random.key(0), (8, 8, 3))
    operator = Denoising.sample(jax.random.key(0), (8, 8, 3), 1)
    np.testing.assert_array_equal(operator(x), x)
    np.testing.assert_array_equal(operator.preview(x), jnp.clip(x, -1, 1))


@pytest.mark.parametrize(
    "problem, channels, ratio, message",
    [
        ("colourisation", 3, 0.5, "found 0.5 with problem=colourisation, .*expected 1"),
        ("colourisation", 1, 1, "channels: found 1 with problem=colourisation"),
        ("denoising", 3, 0.1, r"found 0.1 with problem=denoising, .*ratios='\(1.0,\)'"),
    ],
)
def test_what_cannot_be_measured_is_refused(problem, channels, ratio, message):
    with pytest.raises(UserError, match=message):
        sample_operator(problem, jax.random.key(0), (8, 8, channels), ratio)
