"""What the noise of each problem is in, in words and in decibels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from rtil_jax.errors import UserError
from rtil_jax.inversion import Problem, make_problem, measurement_loss
from rtil_jax.inversion.problems import photon_variance
from rtil_jax.operators import (
    OPERATORS,
    Denoising,
    Fourier,
    Gaussian,
    Inpainting,
    ParallelBeamCT,
    Poisson,
    SuperResolution,
    measure,
    sample_operators,
)
from rtil_jax.operators.noise import noise_text, noise_unit, signal_to_noise

PICTURES = {
    "inpainting",
    "box_inpainting",
    "super_resolution",
    "gaussian_deblurring",
    "motion_deblurring",
    "denoising",
}


@pytest.mark.parametrize("problem", OPERATORS)
def test_every_problem_says_what_its_noise_is_in(problem):
    unit = noise_unit(OPERATORS[problem])
    text = noise_text(unit, 0.05, (0, 1), {"0.1": 31.21, "0.5": 31.19})
    if problem in PICTURES:
        assert text == "σ = 0.05 of pixels in [0, 1]"
    elif problem == "colourisation":
        assert text == "σ = 0.05 of luma in [0, 1]"
    else:
        assert text.startswith("σ = 0.05 in units of y, ")
        assert text.endswith(": SNR 31.2 dB")
    assert noise_text(unit, 0.0) == "none"


def test_levels_that_differ_are_told_by_ratio():
    text = noise_text("y", 2, snr={"0.1": 3.0, "0.5": 10.0})
    assert text == "σ = 2 in units of y: SNR 3.0 dB at 0.1, 10.0 dB at 0.5"
    assert noise_unit(lambda x: x) == "y"


@pytest.mark.parametrize("problem", ["compressed_sensing", "inpainting"])
def test_the_ratio_is_that_of_what_is_measured(problem):
    """With y of mean square s^2 where measured, noise of s / 10 is 20 dB below."""
    images = jax.random.uniform(jax.random.key(0), (3, 8, 8, 1), minval=-1.0)
    keys = jax.random.split(jax.random.key(1), 3)
    operators = sample_operators(problem, keys, (8, 8, 1), 0.5)
    y = np.asarray(jax.vmap(lambda a, x: a(x))(operators, images))
    rms = float(np.sqrt(np.mean(y[y != 0] ** 2)))
    assert signal_to_noise(operators, images, rms / 10) == pytest.approx(20, abs=1e-3)


def test_nothing_but_zeros_has_no_signal():
    keys = jax.random.split(jax.random.key(1), 1)
    operators = sample_operators("denoising", keys, (8, 8, 1), 1.0)
    assert signal_to_noise(operators, jnp.zeros((1, 8, 8, 1)), 1.0) == -np.inf


# Poisson noise

SIZE = (16, 16, 1)


@pytest.mark.parametrize("limits", [(-1, 1), (0, 1)])
def test_photons_are_counted(limits):
    """Of u of white, mean u and variance u / peak; what is not seen stays 0."""
    black, white = limits
    noise, x = Poisson(50, limits), jnp.full((64, 64, 1), black + 0.3 * (white - black))
    mask = np.arange(64 * 64).reshape(64, 64) % 2
    y = np.asarray(measure(Inpainting(mask), x, jax.random.key(0), noise=noise))[..., 0]
    assert not y[mask == 0].any()
    parts = (y[mask == 1] - black) / (white - black)
    np.testing.assert_allclose(50 * parts, np.round(50 * parts), atol=1e-3)
    assert parts.mean() == pytest.approx(0.3, abs=0.01)
    assert parts.var() == pytest.approx(0.3 / 50, rel=0.1)


def test_how_strong_the_noise_of_photons_is_follows_from_their_number():
    """Of pixels that are not seen nothing is counted; of a ray, many pixels."""
    x = jnp.full(SIZE, -0.5)
    half = Inpainting(np.arange(256).reshape(16, 16) % 2)
    scan = ParallelBeamCT(np.arange(0.0, 180.0, 20.0), SIZE)
    for operator in (half, scan):
        light = np.asarray(operator((x + 1) / 2))
        counts = np.random.default_rng(0).poisson(50 * light, (20, *light.shape))
        error = 2 * (counts / 50 - light)
        y = jnp.asarray(np.asarray(operator(x)) + error, jnp.float32)
        problem = Problem(operator, y, noise=Poisson(50), shared=True)
        expected = np.sum(error**2) / 20 / float(operator.num_measurements)
        found = photon_variance(problem, SIZE).mean()
        np.testing.assert_allclose(found, expected, rtol=0.05)


def test_the_loss_is_the_likelihood_of_the_counts():
    noise, operator = Poisson(30), SuperResolution(2, SIZE)
    x = jax.random.uniform(jax.random.key(0), SIZE, minval=-0.8, maxval=0.8)
    y = measure(operator, x, jax.random.key(1), noise=noise)
    counts = np.round(30 * (np.asarray(y) + 1) / 2)

    def log_likelihood(x):
        rate = 30 * (np.asarray(operator(x), np.float64) + 1) / 2
        return stats.poisson.logpmf(counts, rate).sum()

    other = 0.7 * x + 0.1
    losses = measurement_loss(
        Problem(operator, jnp.stack([y, y]), noise=noise), jnp.stack([x, other])
    )
    found = (losses[1] - losses[0]) * 64 * 30 / 4
    expected = log_likelihood(x) - log_likelihood(other)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_the_loss_is_a_squared_error_near_mid_grey_and_finite_in_the_dark():
    noise, operator = Poisson(100), Denoising(SIZE)

    def mean(x, y):
        return noise.losses(operator, x, y).mean()

    loss = jax.jit(jax.value_and_grad(mean))
    y = jnp.zeros(SIZE)
    assert loss(y, y)[0] == pytest.approx(0, abs=1e-6)
    assert loss(y + 0.02, y)[0] == pytest.approx(0.02**2, rel=0.05)
    dark = -jnp.ones(SIZE)
    below, slope = loss(dark - 1, dark)
    # Darker than black is no better than black, and the way back is downhill.
    assert np.isfinite(below) and below > loss(dark, dark)[0] and (slope < 0).all()
    bright = loss(dark - 1, y)
    assert np.isfinite(bright[0]) and (bright[1] < 0).all()


def test_noise_of_photons_needs_light():
    x, key = jnp.zeros((8, 8, 3)), jax.random.key(0)
    signed = Gaussian(np.random.default_rng(0).normal(size=(5, 192)))
    with pytest.raises(UserError, match="found Gaussian, which measures negative am"):
        measure(signed, x, key, noise=Poisson(9))
    with pytest.raises(UserError, match="found Fourier, which measures complex numbe"):
        measure(Fourier(np.ones((8, 8))), x, key, noise=Poisson(9))
    with pytest.raises(UserError, match="peak: found 0, expected a number above 0"):
        Poisson(0)
    with pytest.raises(UserError, match="measure: found noise=30 and noise_std=0.0"):
        measure(Denoising(x.shape), x, key, noise=30)
    with pytest.raises(UserError, match="problem.noise: found 30, expected Poisson"):
        measurement_loss(Problem(Denoising(x.shape), x[None], noise=30), x[None])
    given = {"ratio": 1.0, "seed": 0, "noise_std": 0.1, "peak": 9}
    with pytest.raises(UserError, match="noise_std: found 0.1 with Poisson noise"):
        make_problem("denoising", x[None], np.arange(1), **given)
