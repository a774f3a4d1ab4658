"""What every linear operator must satisfy, beside the tests of its own."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.operators import OPERATORS, measure, sample_operator, sample_operators

# The three of `tests/test_operators.py` aside. Sides that differ, one not even.
RATIOS = {
    "gaussian": 0.3,
    "gaussian_deblurring": 1 / 3,
    "motion_deblurring": 1 / 5,
    "box_inpainting": 0.6,
    "colourisation": 1.0,
    "denoising": 1.0,
    "fourier": 0.5,
}
SHAPE = (8, 7, 3)
LEAD = (2, 3)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@functools.cache
def measured(problem):
    """Everything that one operator does to some images, compiled as a whole."""

    @jax.jit
    def everything(key, x, z):
        operator = sample_operator(problem, key, SHAPE, RATIOS[problem])
        y = operator(x)
        transpose = jax.linear_transpose(operator, x)
        dual = jax.random.normal(jax.random.key(3), y.shape)
        return {
            "y": y,
            "of sum": operator(2 * x - z),
            "sum": 2 * y - operator(z),
            "one by one": jax.lax.map(operator, x.reshape(-1, *SHAPE)),
            "dual": dual,
            "adjoint": operator.adjoint(dual),
            "autodiff": transpose(dual)[0],
            "preview": operator.preview(y),
            "noise": measure(operator, x, key, 0.1) - y,
            "mask": jnp.broadcast_to(operator.mask, y.shape),
            "count": operator.num_measurements,
        }

    x, z = normal(1, *LEAD, *SHAPE), normal(2, *LEAD, *SHAPE)
    return x, jax.device_get(everything(jax.random.key(0), x, z))


def test_all_problems_are_tested():
    elsewhere = {"compressed_sensing", "inpainting", "super_resolution"}
    nonlinear = {"phase_retrieval"}
    assert RATIOS.keys() == OPERATORS.keys() - elsewhere - nonlinear


@pytest.mark.parametrize("problem", RATIOS)
def test_it_is_linear(problem):
    _, found = measured(problem)
    assert np.any(found["y"])
    np.testing.assert_allclose(found["of sum"], found["sum"], atol=1e-5)


@pytest.mark.parametrize("problem", RATIOS)
def test_the_adjoint_is_the_transpose(problem):
    x, found = measured(problem)
    y, dual, adjoint = found["y"], found["dual"], found["adjoint"]
    scale = np.linalg.norm(y) * np.linalg.norm(dual)
    assert abs(np.sum(y * dual) - np.sum(x * adjoint)) < 1e-6 * scale
    np.testing.assert_allclose(adjoint, found["autodiff"], atol=1e-5)


@pytest.mark.parametrize("problem", RATIOS)
def test_leading_axes_are_independent_images(problem):
    x, found = measured(problem)
    y = found["y"]
    assert y.shape[: len(LEAD)] == LEAD and found["preview"].shape == x.shape
    together = y.reshape(found["one by one"].shape)
    np.testing.assert_allclose(together, found["one by one"], atol=1e-5)


@pytest.mark.parametrize("problem", RATIOS)
def test_previews_are_in_the_range_of_images(problem):
    _, found = measured(problem)
    assert np.abs(found["preview"]).max() <= 1 and np.std(found["preview"]) > 0.05


@pytest.mark.parametrize("problem", RATIOS)
def test_noise_lands_on_measurements_only(problem):
    _, found = measured(problem)
    observed = found["mask"] == 1
    assert not found["y"][~observed].any() and not found["noise"][~observed].any()
    np.testing.assert_allclose(found["noise"][observed].std(), 0.1, rtol=0.15)


@pytest.mark.parametrize("problem", RATIOS)
def test_the_measured_numbers_are_counted(problem):
    _, found = measured(problem)
    assert found["count"] == found["mask"].sum() / 6


@pytest.mark.parametrize("problem", RATIOS)
def test_a_batch_has_an_operator_for_each_image(problem):
    _, found = measured(problem)
    x = normal(1, *LEAD, *SHAPE)[0, 0]

    @jax.jit
    def two():
        keys = jnp.stack([jax.random.key(0), jax.random.key(1)])
        operators = sample_operators(problem, keys, SHAPE, RATIOS[problem])
        return jax.vmap(lambda operator, x: operator(x))(operators, np.stack([x, x]))

    first, second = jax.device_get(two())
    np.testing.assert_allclose(first, found["y"][0, 0], atol=1e-5)
    fixed = ("gaussian_deblurring", "colourisation", "denoising")
    assert np.allclose(first, second, atol=1e-5) == (problem in fixed)
