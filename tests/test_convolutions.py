import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.convolutions import (
    average_pool,
    blur,
    conv1x1,
    conv1x1_down,
    conv3x3,
    conv3x3_down,
    conv3x3_up,
    upsample,
    upsample_bilinear,
)
from tests import slow_stylegan2 as slow
from tests.slow_stylegan2 import assert_close

CONVOLUTIONS = {
    "conv3x3": (conv3x3, slow.conv, (3, 3)),
    "conv3x3_up": (conv3x3_up, slow.conv_up, (3, 3)),
    "conv3x3_down": (conv3x3_down, slow.conv_down, (3, 3)),
    "conv1x1": (conv1x1, lambda x, k: slow.correlate(x, k[None, None]), ()),
    "conv1x1_down": (conv1x1_down, lambda x, k: slow.conv_down(x, k[None, None]), ()),
}


def resize(x):
    """Bilinear, to twice the size."""
    batch, height, width, channels = x.shape
    return jax.image.resize(x, (batch, 2 * height, 2 * width, channels), "linear")


RESAMPLINGS = {
    "upsample_bilinear": (upsample_bilinear, resize),
    "upsample": (upsample, slow.upsample),
    "blur1": (lambda x: blur(x, 1), lambda x: slow.blur(x, 1)),
    "blur2": (lambda x: blur(x, 2), lambda x: slow.blur(x, 2)),
}


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def with_derivatives(f):
    """f; the gradient of a loss of f; the gradient of R1, that gradient's square."""

    def loss(x, *kernel):
        return jnp.sum(jnp.sin(f(x, *kernel)))

    def r1(x, *kernel):
        return jnp.sum(jax.grad(loss)(x, *kernel) ** 2)

    @jax.jit
    def evaluate(*args):
        every = tuple(range(len(args)))
        return f(*args), jax.grad(loss, every)(*args), jax.grad(r1, every)(*args)

    return evaluate


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_are_the_slow_ones_to_second_order(name):
    fast, expected, size = CONVOLUTIONS[name]
    x, kernel = normal(0, 2, 4, 6, 3), normal(1, *size, 3, 5)
    assert_close(
        with_derivatives(fast)(x, kernel), with_derivatives(expected)(x, kernel)
    )


@pytest.mark.parametrize("name", RESAMPLINGS)
def test_resamplings_are_the_slow_ones_to_second_order(name):
    fast, expected = RESAMPLINGS[name]
    x = normal(0, 2, 4, 6, 3)
    assert_close(with_derivatives(fast)(x), with_derivatives(expected)(x))


def test_upsampling_is_bilinear_inside():
    x = normal(0, 1, 6, 8, 2)
    bilinear = jax.image.resize(x, (1, 12, 16, 2), "linear")
    inside = np.s_[:, 1:-1, 1:-1]
    assert_close(jax.jit(upsample)(x)[inside], bilinear[inside])


@pytest.mark.parametrize("resample", [upsample_bilinear, average_pool])
def test_pggan_resamples_bilinearly(resample):
    x = normal(0, 2, 4, 6, 3)
    shape = jax.eval_shape(resample, x).shape
    # Without antialiasing, whose filter is wider than the two pixels of either side.
    expected = jax.image.resize(x, shape, "linear", antialias=False)
    assert_close(jax.jit(resample)(x), expected, 1e-6)


def test_resampling_keeps_constants_inside():
    ones = jnp.ones((1, 8, 8, 1))
    resampled = jax.jit(lambda x: (upsample(x), blur(x, 2)))(ones)
    for x in resampled:
        np.testing.assert_allclose(x[:, 2:-2, 2:-2], 1, rtol=1e-6)
