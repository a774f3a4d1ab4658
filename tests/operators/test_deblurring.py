import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.errors import UserError
from rtil_jax.operators import GaussianDeblurring, MotionDeblurring, sample_operators

SIZE = 32
CLASSES = (GaussianDeblurring, MotionDeblurring)
# Compiled as a whole, which is much faster than operation by operation.
apply = jax.jit(lambda operator, x: operator(x))


@functools.partial(jax.jit, static_argnums=(0, 2))
def sample(kind, key, width):
    return kind.sample(key, (SIZE, SIZE, 1), 1 / width)


def kernel_of(operator):
    """What becomes of a single pixel in the middle."""
    lit = np.zeros((SIZE, SIZE, 1), np.float32)
    lit[SIZE // 2, SIZE // 2] = 1
    return np.asarray(apply(operator, lit))[..., 0]


def operator_of(kind, width, seed=0):
    return sample(kind, jax.random.key(seed), width)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("width", [1, 4, 6.5])
def test_kernels_are_weights_about_their_pixel(kind, width):
    kernel, places = kernel_of(operator_of(kind, width)), np.arange(SIZE) - SIZE // 2
    np.testing.assert_allclose(kernel.sum(), 1, rtol=1e-5)
    assert kernel.min() > -1e-6
    for axis in (0, 1):
        assert abs(kernel.sum(axis) @ places) < 1e-4


@pytest.mark.parametrize("kind", CLASSES)
def test_it_is_the_circular_convolution_with_its_kernel(kind):
    operator, x = operator_of(kind, 5), jax.random.normal(jax.random.key(1), (32, 32))
    kernel = np.roll(kernel_of(operator), (-SIZE // 2, -SIZE // 2), (0, 1))
    expected = np.zeros((SIZE, SIZE))
    for (row, column), weight in np.ndenumerate(kernel):
        expected += weight * np.roll(np.asarray(x), (row, column), (0, 1))
    np.testing.assert_allclose(
        apply(operator, x[..., None])[..., 0], expected, atol=1e-4
    )


@pytest.mark.parametrize("width", [2, 6])
def test_the_gaussian_falls_to_half_at_half_its_width(width):
    kernel = kernel_of(operator_of(GaussianDeblurring, width))
    middle = SIZE // 2
    for at in ((middle + width // 2, middle), (middle, middle - width // 2)):
        np.testing.assert_allclose(kernel[at], kernel[middle, middle] / 2, rtol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_motion_is_a_streak_of_its_length(seed):
    kernel = kernel_of(operator_of(MotionDeblurring, 11, seed))
    places = np.stack(np.meshgrid(*2 * [np.arange(SIZE) - 16], indexing="ij"))
    spread = np.einsum("ihw,jhw,hw->ij", places, places, kernel)
    across, along = np.linalg.eigvalsh(spread)
    # Uniform on 10 pixels from centre to centre; interpolation adds less than 1/2.
    assert 10**2 / 12 - 0.1 < along < 10**2 / 12 + 0.5
    assert 0 <= across + 1e-5 < 0.5


def test_motion_of_one_pixel_changes_nothing():
    x = jax.random.normal(jax.random.key(1), (SIZE, SIZE, 1))
    np.testing.assert_allclose(apply(operator_of(MotionDeblurring, 1), x), x, atol=1e-5)


def test_directions_differ_and_do_not_depend_on_the_length():
    def direction(operator):
        kernel = kernel_of(operator)
        places = np.stack(np.meshgrid(*2 * [np.arange(SIZE) - 16], indexing="ij"))
        spread = np.einsum("ihw,jhw,hw->ij", places, places, kernel)
        return np.linalg.eigh(spread)[1][:, 1]

    short, long = (direction(operator_of(MotionDeblurring, n, 3)) for n in (7, 15))
    assert abs(short @ long) > 0.999
    other = direction(operator_of(MotionDeblurring, 15, 4))
    assert abs(other @ long) < 0.99


@pytest.mark.parametrize("problem", ["gaussian_deblurring", "motion_deblurring"])
def test_a_sweep_of_widths_compiles_once(problem):
    traces = []

    @jax.jit
    def blurred(operators, x):
        traces.append(1)
        return jax.vmap(lambda operator, image: operator(image))(operators, x)

    keys, x = jax.random.split(jax.random.key(0)), jnp.ones((2, 8, 8, 1))
    for ratio in (1, 0.5, 0.125):
        y = blurred(sample_operators(problem, keys, (8, 8, 1), ratio), x)
        np.testing.assert_allclose(y, 1, atol=1e-5)
    assert len(traces) == 1


@pytest.mark.parametrize("kind", CLASSES)
def test_a_blur_wider_than_the_image_is_refused(kind):
    with pytest.raises(UserError, match="a blur of 40 pixels, expected at least 0.031"):
        operator_of(kind, 40)
