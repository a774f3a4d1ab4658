"""Lemmas 5.1, 5.2 and A.1 over random draws and several dimensions, in float64."""

import numpy as np
import pytest

from rtil_jax.theory.closed_forms import (
    Truth,
    draw_signals,
    draw_truth,
    error_bound,
    expected_error,
    recover,
    sharper_bound,
    trained_weights,
)

EPS = np.finfo(np.float64).eps
# (n_0, n_1, n_d), with one and with many directions that the base model lacks.
DIMENSIONS = [(1, 2, 4), (2, 7, 9), (4, 16, 64), (11, 12, 50)]
CASES = [(seed, *sizes) for sizes in DIMENSIONS for seed in range(3)]
every_case = pytest.mark.parametrize("seed, n0, n1, nd", CASES)


def draw(seed, n0, n1, nd):
    rng = np.random.default_rng([seed, n0, n1, nd])
    return rng, draw_truth(rng, n0, n1, nd)


def square(x):
    return np.sum(x**2)


def population(truth):
    """(z_0, z_1, x) of 2 (n_0 + n_1) points of mean 0 and covariance I.

    A quadratic loss sees no other moments, so its mean over these points is its
    expectation over N(0, I).
    """
    n0, n = truth.w0.shape[1], sum(truth.w0.shape)
    points = np.sqrt(n) * np.vstack([np.eye(n), -np.eye(n)])
    z0, z1 = points[:, :n0], points[:, n0:]
    return z0, z1, (z0 @ truth.w0.T + z1) @ truth.w1.T


def inputs_and_signals(truth, model):
    """What W_1 is applied to in (6) or (7), and x."""
    z0, z1, x = population(truth)
    base = z0 @ truth.w0.T
    return {"vanilla": base, "rtil": base + z1}[model], x


def training_loss(truth, model, w1):
    """The expectation in (6) or (7)."""
    inputs, x = inputs_and_signals(truth, model)
    return np.mean(np.sum((x - inputs @ w1.T) ** 2, axis=1))


@every_case
def test_lemma_5_1_vanilla_training_fixes_w1_on_the_range_of_w0_only(seed, n0, n1, nd):
    rng, truth = draw(seed, n0, n1, nd)
    w1, least = trained_weights(truth)["vanilla"], square(truth.w1)
    np.testing.assert_allclose(w1 @ truth.w0, truth.w1 @ truth.w0, atol=1e-12)
    assert training_loss(truth, "vanilla", w1) == pytest.approx(least)
    change = rng.standard_normal((nd, n1))
    seen = truth.w0 @ np.linalg.pinv(truth.w0)
    other = w1 + change - change @ seen
    assert training_loss(truth, "vanilla", other) == pytest.approx(least)
    # Every minimiser agrees with W*_1 on the range, because any other loses.
    rise = training_loss(truth, "vanilla", w1 + change) - least
    assert rise == pytest.approx(square(change @ truth.w0)) and rise > 1e-3


@every_case
def test_lemma_5_1_rtil_training_has_one_minimiser(seed, n0, n1, nd):
    rng, truth = draw(seed, n0, n1, nd)
    assert training_loss(truth, "rtil", trained_weights(truth)["rtil"]) < 1e-20
    inputs, x = inputs_and_signals(truth, "rtil")
    found, _, rank, _ = np.linalg.lstsq(inputs, x)
    assert rank == n1
    np.testing.assert_allclose(found.T, truth.w1, atol=1e-12)
    change = rng.standard_normal((nd, n1))
    loss = training_loss(truth, "rtil", truth.w1 + change)
    assert loss == pytest.approx(square(change @ truth.w0) + square(change))


@every_case
def test_lemma_a_1_the_vanilla_weights_are_the_minimiser_of_least_norm(
    seed, n0, n1, nd
):
    rng, truth = draw(seed, n0, n1, nd)
    w1 = trained_weights(truth)["vanilla"]
    found, _, rank, _ = np.linalg.lstsq(*inputs_and_signals(truth, "vanilla"))
    assert rank == n0 < n1
    np.testing.assert_allclose(found.T, w1, atol=1e-12)
    unseen = np.eye(n1) - truth.w0 @ np.linalg.pinv(truth.w0)
    change = rng.standard_normal((nd, n1)) @ unseen
    assert square(w1 + change) == pytest.approx(square(w1) + square(change))
    assert square(w1) < square(truth.w1) and square(change) > 1e-3


def measurement_counts(n1, nd):
    return sorted({n1, (n1 + nd) // 2, nd - 1})


@every_case
def test_lemma_5_2_rtil_recovers_exactly(seed, n0, n1, nd):
    """Equation (9), to what rounding and the conditioning of A W_1 leave."""
    rng, truth = draw(seed, n0, n1, nd)
    for m in measurement_counts(n1, nd):
        matrix = rng.standard_normal((m, nd))
        x = draw_signals(rng, truth, 50)
        start = rng.standard_normal((50, n1))
        w1 = trained_weights(truth)["rtil"]
        found = recover(truth.w0, w1, matrix, x @ matrix.T, start)
        base = np.linalg.cond(matrix @ truth.w1 @ truth.w0)
        rounding = 100 * EPS * np.linalg.cond(matrix @ truth.w1) * base
        assert square(x - found) <= rounding**2 * square(x)
        expected = square(truth.w1 @ truth.w0) + square(truth.w1)
        assert expected_error(truth, w1, matrix) <= rounding**2 * expected
        assert rounding < 1e-6


@every_case
def test_lemma_5_2_vanillas_mean_error_is_at_least_the_bound(seed, n0, n1, nd):
    """Equation (8), for each A; the mean over signals to 4 standard errors."""
    rng, truth = draw(seed, n0, n1, nd)
    w1 = trained_weights(truth)["vanilla"]
    for m in measurement_counts(n1, nd):
        matrix = rng.standard_normal((m, nd))
        x = draw_signals(rng, truth, 4_000)
        start = rng.standard_normal((4_000, n1))
        found = recover(truth.w0, w1, matrix, x @ matrix.T, start)
        errors = np.sum((x - found) ** 2, axis=1)
        mean, standard_error = errors.mean(), errors.std() / np.sqrt(len(errors))
        assert standard_error < 0.03 * mean
        assert mean > error_bound(truth) - 4 * standard_error > 0
        expected = expected_error(truth, w1, matrix)
        assert abs(mean - expected) < 4 * standard_error
        assert expected >= sharper_bound(truth) * (1 - 1e-12)
        assert sharper_bound(truth) >= error_bound(truth) * (1 - 1e-12)


def test_the_bound_holds_by_far_where_many_directions_are_missed():
    """The mean is above (8) by 20 of its standard errors."""
    rng, truth = draw(0, 4, 16, 64)
    w1, matrix = trained_weights(truth)["vanilla"], rng.standard_normal((48, 64))
    x = draw_signals(rng, truth, 1_000)
    found = recover(truth.w0, w1, matrix, x @ matrix.T, np.zeros((1_000, 16)))
    errors = np.sum((x - found) ** 2, axis=1)
    assert errors.mean() - error_bound(truth) > 20 * errors.std() / np.sqrt(1_000)


@every_case
def test_the_expected_error_is_that_of_the_proof(seed, n0, n1, nd):
    """||W*_1 - W*_1 W*_0 M_1||_F^2 with M_1 = (A W*_1 W*_0)^+ A W*_1."""
    rng, truth = draw(seed, n0, n1, nd)
    for m in measurement_counts(n1, nd):
        matrix = rng.standard_normal((m, nd))
        base = truth.w1 @ truth.w0
        m1, *_ = np.linalg.lstsq(matrix @ base, matrix @ truth.w1)
        w1 = trained_weights(truth)["vanilla"]
        expected = square(truth.w1 - base @ m1)
        assert expected_error(truth, w1, matrix) == pytest.approx(expected, rel=1e-8)


@every_case
def test_the_bound_is_the_largest_error_of_a_unit_direction(seed, n0, n1, nd):
    rng, truth = draw(seed, n0, n1, nd)
    base = truth.w1 @ truth.w0
    missed = truth.w1 - base @ np.linalg.pinv(base) @ truth.w1
    directions = rng.standard_normal((500, n1))
    directions -= directions @ truth.w0 @ np.linalg.pinv(truth.w0)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    errors = np.sum((directions @ missed.T) ** 2, axis=1)
    assert 0 < errors.max() <= error_bound(truth) * (1 + 1e-9)
    # Reached, and by no direction that is not orthogonal to the range of W*_0.
    assert error_bound(truth) == pytest.approx(np.linalg.norm(missed, 2) ** 2)
    assert sharper_bound(truth) == pytest.approx(square(missed))
    if n1 == n0 + 1:
        assert errors.max() == pytest.approx(error_bound(truth))


@pytest.mark.parametrize("model", ["vanilla", "rtil"])
@pytest.mark.parametrize("m", [2, 5])
def test_recovery_is_where_gradient_descent_on_equation_5_ends(model, m):
    """From any z_0, and from `z1_start`; with fewer measurements than features too."""
    rng, truth = draw(0, 1, 4, 9)
    w0, w1 = truth.w0, trained_weights(truth)[model]
    matrix, start = rng.standard_normal((m, 9)) / 3, rng.standard_normal((1, 4))
    y = draw_signals(rng, truth, 1) @ matrix.T

    def descend(columns, target, z):
        rate = 1 / np.linalg.norm(columns, 2) ** 2
        for _ in range(20_000):
            z = z - rate * (z @ columns.T - target) @ columns
        return z

    z0 = descend(matrix @ w1 @ w0, y, rng.standard_normal((1, 1)))
    z1 = descend(matrix @ w1, y - z0 @ (matrix @ w1 @ w0).T, start)
    expected = (z0 @ w0.T + z1) @ w1.T
    found = recover(w0, w1, matrix, y, start)
    np.testing.assert_allclose(found, expected, atol=1e-8)
    elsewhere = recover(w0, w1, matrix, y, start + 1)
    same = np.allclose(found, elsewhere, atol=1e-8)
    assert same == (model == "vanilla" or m >= 4)


def test_fewer_measurements_than_features_are_too_few_for_rtil_too():
    """The lemma's m >= n_1 is needed, and `expected_error` holds without it."""
    rng, truth = draw(0, 2, 7, 9)
    matrix, w1 = rng.standard_normal((5, 9)), trained_weights(truth)["rtil"]
    x, start = draw_signals(rng, truth, 4_000), rng.standard_normal((4_000, 7))
    found = recover(truth.w0, w1, matrix, x @ matrix.T, start)
    errors = np.sum((x - found) ** 2, axis=1)
    expected = expected_error(truth, w1, matrix)
    assert expected > 0.1
    assert abs(errors.mean() - expected) < 4 * errors.std() / np.sqrt(4_000)


def test_signals_have_the_covariance_of_section_5_1():
    rng, truth = draw(0, 1, 2, 4)
    x = draw_signals(rng, truth, 200_000)
    base = truth.w1 @ truth.w0
    covariance = base @ base.T + truth.w1 @ truth.w1.T
    np.testing.assert_allclose(x.T @ x / len(x), covariance, atol=0.02)
    assert np.abs(covariance).max() > 1


def test_a_base_model_that_misses_nothing_has_no_error():
    """W*_0 onto all features would leave nothing to bound."""
    w1 = np.random.default_rng(0).standard_normal((6, 3))
    assert sharper_bound(Truth(np.eye(3), w1)) < 1e-20


def test_the_minimum_norm_is_vanillas_good_case():
    """Weights that stay random off the range of W*_0 are worse at few measurements.

    Both minimise (6); the untrained part has the scale of an initial layer.
    """
    rng, truth = draw(0, 4, 16, 64)
    least = trained_weights(truth)["vanilla"]
    unseen = np.eye(16) - truth.w0 @ np.linalg.pinv(truth.w0)
    pairs = []
    for matrix in rng.standard_normal((20, 20, 64)):
        other = least + rng.standard_normal((64, 16)) / 4 @ unseen
        assert training_loss(truth, "vanilla", other) == pytest.approx(square(truth.w1))
        pairs.append([expected_error(truth, w1, matrix) for w1 in (least, other)])
    least_error, other_error = np.mean(pairs, axis=0)
    assert other_error > 2 * least_error
