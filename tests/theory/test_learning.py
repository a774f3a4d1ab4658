"""Lemma 5.2 again, by gradient descent: the library's family and its ILO stages."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.operators import Gaussian
from rtil_jax.theory.closed_forms import (
    draw_signals,
    draw_truth,
    error_bound,
    recover,
    sharper_bound,
    trained_weights,
)
from rtil_jax.theory.learning import (
    FAMILIES,
    invert_learned,
    least_squares_loss,
    linear_generator,
    train,
    variables_of,
)

N0, N1, ND = 4, 16, 64
TRUTH = draw_truth(np.random.default_rng(0), N0, N1, ND)
GENERATOR = linear_generator(TRUTH)
VARIABLES = variables_of(TRUTH.w0, TRUTH.w1)
both_models = pytest.mark.parametrize("model", FAMILIES)


@functools.cache
def learned(model):
    settings = {"steps": 400, "batch": 256, "learning_rate": 0.02}
    family = FAMILIES[model]
    return train(GENERATOR, family, VARIABLES, jax.random.key(1), **settings)


def square(x):
    return float(np.sum(np.square(x)))


@both_models
def test_the_loss_is_equation_6_or_7(model):
    """||(W*_1 - W_1) W*_0||^2 plus ||W*_1||^2 unseen, or ||W*_1 - W_1||^2 seen."""
    w1 = np.random.default_rng(1).standard_normal((ND, N1)) / 4
    loss = least_squares_loss(
        GENERATOR,
        FAMILIES[model],
        VARIABLES,
        variables_of(TRUTH.w0, w1),
        jax.random.key(0),
        20_000,
    )
    rest = {"vanilla": square(TRUTH.w1), "rtil": square(TRUTH.w1 - w1)}[model]
    expected = square((TRUTH.w1 - w1) @ TRUTH.w0) + rest
    assert loss == pytest.approx(expected, rel=0.02)


def test_rtil_training_learns_the_true_weights():
    found = learned("rtil")["params"]
    assert square(found["W1"] - TRUTH.w1) < 1e-6 * square(TRUTH.w1)
    np.testing.assert_array_equal(found["W0"], VARIABLES["params"]["W0"])


def test_vanilla_training_learns_the_minimum_norm_weights():
    """To the 2 % that the unseen z_1 leaves; nothing off the range of W*_0."""
    found, expected = learned("vanilla")["params"]["W1"], trained_weights(TRUTH)
    assert square(found - expected["vanilla"]) < 0.02**2 * square(expected["vanilla"])
    unseen = np.eye(N1) - TRUTH.w0 @ np.linalg.pinv(TRUTH.w0)
    assert square(found @ unseen) < 1e-10 * square(found)
    assert square(TRUTH.w1 @ unseen) > 0.3 * square(TRUTH.w1)


@functools.cache
def recovery(model):
    """(x, error of each signal by gradient descent, and in closed form) at m = 40."""
    rng = np.random.default_rng(2)
    x, matrices = draw_signals(rng, TRUTH, 32), rng.standard_normal((32, 40, ND))
    settings = {"steps": 300, "learning_rate": 0.2}
    found = invert_learned(
        GENERATOR, learned(model), x, matrices, jax.random.key(3), **settings
    )
    w1, start = trained_weights(TRUTH)[model], np.zeros((1, N1))
    pairs = zip(x[:, None], matrices, strict=True)
    exact = [recover(TRUTH.w0, w1, a, row @ a.T, start)[0] for row, a in pairs]
    return x, *(np.sum((x - other) ** 2, axis=1) for other in (found, exact))


def test_ilo_recovers_exactly_what_rtil_has_learned():
    """Each signal to 0.1 % of its norm: 1e-6 of its square."""
    x, errors, exact = recovery("rtil")
    assert np.all(errors < 1e-6 * np.sum(x**2, axis=1))
    assert np.all(exact < 1e-24 * np.sum(x**2, axis=1))


def test_ilo_leaves_the_error_of_the_lemma_where_vanilla_has_learned():
    """Each signal's error to 5 % of the closed form's; their mean above (8)."""
    _, errors, exact = recovery("vanilla")
    np.testing.assert_allclose(errors, exact, rtol=0.05)
    standard_error = np.std(errors) / np.sqrt(len(errors))
    assert np.mean(errors) - 4 * standard_error > error_bound(TRUTH)
    assert np.mean(errors) + 4 * standard_error > sharper_bound(TRUTH)


def test_the_operator_is_its_matrix_on_pixels_in_row_order():
    matrix = np.random.default_rng(0).standard_normal((3, 12)).astype(np.float32)
    x = np.arange(12.0, dtype=np.float32)
    operator = Gaussian(jnp.asarray(matrix), (2, 2, 3))
    y = operator(jnp.asarray(x.reshape(2, 2, 3)))
    np.testing.assert_allclose(y, matrix @ x, rtol=1e-5)
    assert operator.num_measurements == 3
