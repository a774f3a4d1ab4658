"""The Gaussian prior on ILO's z_k: its formulas, its weight, its absence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from configs.ablations import gaussian_prior
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.inversion_entries import build_method
from rtil_jax.experiments.inversion.inversion_run import parse_inversion
from rtil_jax.generators import PGGANGenerator, StyleGAN2Generator
from rtil_jax.inversion import ILO, invert
from rtil_jax.inversion.constraints import prior_penalty

SIGMA = 0.5


def draws(size, batch=3):
    shape = (batch, 4, size, 2)
    return SIGMA * jax.random.normal(jax.random.key(size), shape)


def test_the_penalties_are_their_formulas():
    z = draws(4)
    norms = np.linalg.norm(np.asarray(z).reshape(3, -1), axis=1)
    gaussian = norms**2 / (32 * SIGMA**2)
    np.testing.assert_allclose(prior_penalty(z, SIGMA, "gaussian"), gaussian, rtol=1e-5)
    shell = (norms / (SIGMA * np.sqrt(32)) - 1) ** 2
    np.testing.assert_allclose(prior_penalty(z, SIGMA, "shell"), shell, atol=1e-6)


def test_the_gaussian_form_has_the_gradient_of_minus_log_p():
    """n / 2 times the mean is -log p(z) but for a constant."""
    z = draws(4)

    def minus_log_p(z):
        return -jnp.sum(jax.scipy.stats.norm.logpdf(z, scale=SIGMA))

    ours = jax.grad(lambda z: jnp.sum(prior_penalty(z, SIGMA, "gaussian")))(z)
    np.testing.assert_allclose(32 / 2 * ours, jax.grad(minus_log_p)(z), rtol=1e-5)


def test_draws_of_any_size_are_on_the_shell_and_have_gaussian_penalty_one():
    for size in (16, 256):
        z, n = draws(size), 8 * size
        gaussian = prior_penalty(z, SIGMA, "gaussian")
        np.testing.assert_allclose(gaussian, 1, atol=4 * np.sqrt(2 / n))
        assert jnp.all(prior_penalty(z, SIGMA, "shell") < 4**2 / (2 * n))


@pytest.mark.parametrize("form, start", [("gaussian", 0.0), ("shell", 1.0)])
def test_both_forms_can_start_from_zero(form, start):
    def penalty(z):
        return jnp.sum(prior_penalty(z, SIGMA, form))

    value, gradient = jax.value_and_grad(penalty)(jnp.zeros((1, 4, 4, 2)))
    assert value == pytest.approx(start, abs=1e-4)
    np.testing.assert_array_equal(gradient, 0)


def found_z(prior, problem, keys, **fields):
    """||z_1||^2 / n of each image, and the whole result."""
    method = ILO(steps=(20, 60), learning_rate=0.1, **fields)
    found = invert(method, prior, problem, keys, select="last")
    head = prior.generator.apply(
        prior.variables, found.solution.latents, 1, method="head"
    )
    # A toy generator's head reads the latents, which stage 1 of plain ILO moves too.
    return np.mean(np.square(found.solution.features - head), axis=(1, 2, 3)), found


def test_weight_zero_changes_nothing(toy_prior, sampled_problem):
    problem, keys = sampled_problem(toy_prior, 2)
    _, plain = found_z(toy_prior, problem, keys)
    for weights in ((0.0,), (0.0, 0.0), [5.0, 0.0]):
        _, found = found_z(toy_prior, problem, keys, prior_weight=weights)
        np.testing.assert_array_equal(found.images, plain.images)


def test_a_heavy_weight_pins_z_to_zero_or_to_the_shell(toy_prior, sampled_problem):
    problem, keys = sampled_problem(toy_prior, 2, ratio=0.2)
    heavy = {"prior_weight": (1e4,), "prior_sigma": SIGMA}
    pinned, _ = found_z(toy_prior, problem, keys, **heavy)
    assert np.all(pinned < 1e-3)
    shell, _ = found_z(toy_prior, problem, keys, prior_form="shell", **heavy)
    np.testing.assert_allclose(shell, SIGMA**2, rtol=0.1)
    free, _ = found_z(toy_prior, problem, keys)
    assert np.all(free > 1e-2) and np.all(np.abs(free / SIGMA**2 - 1) > 0.1)


def test_one_weight_is_for_every_stage_with_a_z():
    def weights(*prior_weight):
        method = ILO((1, 1, 1), prior_weight=prior_weight)
        return [stage.prior_weight for stage in method.stages(PGGANGenerator(16))]

    assert weights() == [None, None, None]
    assert weights(2.0) == [None, 2, 2]
    assert weights(1.0, 2.0, 3.0) == [None, 2, 3]
    with pytest.raises(UserError, match="method.prior_weight: found 2 numbers, exp"):
        weights(1.0, 2.0)


def test_the_ablation_compares_all_three():
    stages = {
        entry.label: entry.method.stages(StyleGAN2Generator(64))[-1]
        for entry in parse_inversion(gaussian_prior.get_config()).entries
    }
    priors = {
        label: (stage.prior_weight, stage.prior_form) for label, stage in stages.items()
    }
    assert priors == {
        "without": (None, "gaussian"),
        "with": (10, "gaussian"),
        "shell": (10, "shell"),
    }


@pytest.mark.parametrize(
    "field, value, message",
    [
        ("prior_form", "gauss", "found 'gauss', expected one of gaussian, shell, r"),
        ("prior_sigma", 0.0, "found 0.0, expected above 0"),
        ("prior_weight", (-1.0,), r"found \(-1.0,\), expected a tuple of numbers"),
    ],
)
def test_a_config_that_cannot_be_is_refused(field, value, message):
    config = ConfigDict({"method": {"name": "ilo", field: value}, "method_for": {}})
    with pytest.raises(UserError, match=f"config.method.{field}: {message}"):
        build_method(config, "rtil")
