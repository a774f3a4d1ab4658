import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from rtil_jax.errors import UserError
from rtil_jax.metrics import confidence_interval, coverage, crps, psnr, ssim

WINDOWS = {
    "gaussian": dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False),
    "uniform": {},
}


def noisy_pair(shape, seed=0):
    """Smooth images in [0, 1] and noisy versions of them."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 1, shape[2])[:, None] * np.linspace(0.2, 1, shape[-1])
    x = np.broadcast_to(ramp, shape) * rng.uniform(0.5, 1, (shape[0], 1, 1, 1))
    y = np.clip(x + rng.normal(0, 0.1, shape), 0, 1)
    return x.astype(np.float32), y.astype(np.float32)


@pytest.mark.parametrize("shape", [(3, 16, 16, 3), (2, 11, 24, 1)])
def test_psnr_is_that_of_skimage(shape):
    x, y = noisy_pair(shape)
    expected = [
        peak_signal_noise_ratio(a, b, data_range=1) for a, b in zip(x, y, strict=True)
    ]
    np.testing.assert_allclose(jax.jit(psnr)(x, y), expected, atol=1e-4)
    doubled = psnr(jnp.asarray(x), jnp.asarray(y), data_range=2.0)
    np.testing.assert_allclose(doubled, np.add(expected, 20 * math.log10(2)), atol=1e-4)


def test_psnr_of_identical_images_is_infinite():
    x, y = noisy_pair((2, 8, 8, 3))
    y[0] = x[0]
    assert np.isposinf(psnr(x, y)[0]) and np.isfinite(psnr(x, y)[1])


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(
    "shape, data_range", [((3, 32, 32, 3), 1.0), ((2, 11, 24, 1), 2.0)]
)
def test_ssim_is_that_of_skimage(window, shape, data_range):
    x, y = noisy_pair(shape)
    options = dict(channel_axis=-1, data_range=data_range, **WINDOWS[window])
    expected = [
        structural_similarity(*pair, **options) for pair in zip(x, y, strict=True)
    ]
    score = jax.jit(ssim, static_argnames=("window", "data_range"))
    found = score(x, y, window=window, data_range=data_range)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("window", WINDOWS)
def test_ssim_of_identical_images_is_one(window):
    x, _ = noisy_pair((2, 16, 16, 3))
    score = jax.jit(ssim, static_argnames="window")
    np.testing.assert_allclose(score(x, x, window=window), 1.0, atol=1e-6)


@pytest.mark.parametrize("window, least", [("gaussian", 11), ("uniform", 7)])
def test_ssim_refuses_images_smaller_than_its_window(window, least):
    x, y = noisy_pair((1, least - 1, 16, 1))
    with pytest.raises(UserError, match=f"at least {least}x{least}"):
        ssim(x, y, window=window)


def test_confidence_interval_is_students():
    values = np.random.default_rng(0).normal(25, 2, 12)
    mean, half = confidence_interval(values)
    low, high = scipy.stats.t.interval(
        0.95, 11, loc=values.mean(), scale=scipy.stats.sem(values)
    )
    np.testing.assert_allclose((mean - half, mean + half), (low, high))
    assert confidence_interval(values, level=0.5)[1] < half


def test_confidence_interval_by_hand():
    # Standard deviation sqrt(2), error 1, and t = 12.7062 for one degree of freedom.
    mean, half = confidence_interval([1.0, 3.0])
    assert mean == 2
    np.testing.assert_allclose(half, 12.7062, rtol=1e-5)


def test_confidence_interval_without_enough_values():
    assert np.isnan(confidence_interval([])).all()
    mean, half = confidence_interval([3.0])
    assert mean == 3 and math.isnan(half)
    mean, half = confidence_interval([3.0, math.inf])
    assert mean == math.inf and math.isnan(half)


def test_crps_of_a_gaussian_ensemble_is_its_closed_form():
    """sigma (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)) with z = (x - mu) / sigma."""
    z = np.array([0.0, 1.0, -2.0])
    draws = jax.random.normal(jax.random.key(0), (3, 4_000, 8, 8, 1))
    truth = np.broadcast_to((1 + 2 * z).reshape(3, 1, 1, 1), (3, 8, 8, 1))
    norm = scipy.stats.norm
    expected = z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi)
    found = crps(1 + 2 * draws, truth.astype(np.float32))
    np.testing.assert_allclose(found, 2 * expected, rtol=0.02)
    # Unbiased for small ensembles, too: of pairs of draws, half their mean distance.
    pairs = draws.reshape(3, 2, -1, 8, 1)
    found = crps(1 + 2 * pairs, jnp.full((3, 16_000, 8, 1), 1.0))
    np.testing.assert_allclose(found, 2 * expected[0], rtol=0.02)


def test_coverage_of_draws_of_one_distribution_is_its_level():
    draws = jax.random.exponential(jax.random.key(0), (2, 6, 100, 100, 1))
    levels, covered = coverage(draws[:, :5], draws[:, 5])
    np.testing.assert_allclose(levels, [4 / 6, 2 / 6])
    np.testing.assert_allclose(covered, np.tile(levels, (2, 1)), atol=0.025)
    _, sure = coverage(0.01 * draws[:, :5], draws[:, 5])
    assert np.all(sure < 0.1)


@pytest.mark.parametrize(
    "samples, truth, message",
    [
        ((2, 1, 8, 8, 1), (2, 8, 8, 1), "samples: found shape .*at least 2 samples"),
        ((2, 3, 8, 8, 1), (2, 8, 8, 3), r"truth: found .*expected \(2, 8, 8, 1\)"),
    ],
)
@pytest.mark.parametrize("metric", [crps, coverage])
def test_what_is_no_ensemble_is_told_so(metric, samples, truth, message):
    with pytest.raises(UserError, match=f"^{metric.__name__}: {message}"):
        metric(np.zeros(samples, np.float32), np.zeros(truth, np.float32))


def test_other_arguments_are_refused():
    for call, message in (
        (lambda: ssim(UNIT, UNIT, window="box"), "ssim: window: found 'box', expected"),
        (lambda: psnr(UNIT, UNIT, 0), "psnr: data_range: found 0, expected a number"),
        (lambda: confidence_interval(UNIT), "found shape .2, 16, 16, 1., expected one"),
        (lambda: confidence_interval(None), "confidence_interval: found a NoneType"),
    ):
        with pytest.raises(UserError, match=message):
            call()
    assert confidence_interval([1, 2, 3]) == confidence_interval([1.0, 2.0, 3.0])


UNIT = noisy_pair((2, 16, 16, 1))[0]


@pytest.mark.parametrize(
    "images, message",
    [
        (2 * UNIT - 1, r"write jnp.clip\(\(x \+ 1\) / 2, 0, 1\) for images in \[-1, 1"),
        (
            UNIT - 0.1,
            r"x: found float.* from -0.1.* jnp.clip\(x, 0, 1\) if it overshoots, jnp",
        ),
        (UNIT + 1.0, r"write jnp.clip\(x, 0, 1\) where it overshoots"),
        (255 * UNIT, r"write x / 255 for images in \[0, 255\]$"),
    ],
)
@pytest.mark.parametrize("metric", [psnr, ssim])
def test_values_out_of_range_say_what_to_write(metric, images, message):
    for pair in ((images, UNIT), (jnp.asarray(images), jnp.asarray(UNIT))):
        with pytest.raises(UserError, match=f"^{metric.__name__}: .*{message}"):
            metric(*pair)


@pytest.mark.parametrize(
    "images, message",
    [
        (
            np.uint8(255 * UNIT),
            "x: found uint8 from 0 to 41, expected real floating.*x / 255",
        ),
        (
            UNIT[0],
            r"x: found shape \(16, 16, 1\), .*; for a single image write x\[None\]",
        ),
        (UNIT[:1], r"found images of shapes \(1, 16, 16, 1\) and \(2, 16, 16, 1\)"),
        ("x.png", "x: found a str, expected an array of numbers"),
        (UNIT[:, None, :, :, 0].repeat(3, 1), r"x: found .*np.moveaxis\(x, 1, -1\)"),
    ],
)
def test_what_is_no_batch_of_images_is_told_so(images, message):
    with pytest.raises(UserError, match=f"^psnr: {message}"):
        psnr(images, UNIT)


def test_rounding_is_no_overshoot_and_a_range_of_two_may_be_symmetric():
    x, y = noisy_pair((2, 16, 16, 1))
    expected = psnr(x, y)
    np.testing.assert_array_equal(psnr(x.tolist(), y), expected)
    np.testing.assert_allclose(psnr(x - 1e-6, y - 1e-6), expected, rtol=1e-4)
    np.testing.assert_allclose(psnr(2 * x - 1, 2 * y - 1, 2.0), expected, rtol=1e-4)
    np.testing.assert_allclose(psnr(255 * x, 255 * y, 255.0), expected, rtol=1e-4)
