import jax
import jax.numpy as jnp
import numpy as np

from rtil_jax.generators import mix_codes
from rtil_jax.generators.features import SkipFeatures


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def weighted_sum(x, weights):
    """By numpy in float64, from codes that lie side by side."""
    batch, codes, channels = weights.shape
    x = np.asarray(x, np.float64).reshape(batch, codes, *x.shape[1:])
    weights = np.broadcast_to(weights, (batch, codes, x.shape[-1]))
    return np.einsum("bnhwc,bnc->bhwc", x, np.asarray(weights, np.float64))


def test_every_channel_has_its_own_weight():
    x, weights = normal(0, 6, 4, 5, 3), normal(1, 2, 3, 3)
    mixed = jax.jit(mix_codes)(x, weights)
    np.testing.assert_allclose(mixed, weighted_sum(x, weights), rtol=1e-4, atol=1e-5)


def test_one_weight_can_serve_all_channels():
    x, weights = normal(0, 6, 4, 5, 3), normal(1, 2, 3, 1)
    mixed = jax.jit(mix_codes)(x, weights)
    np.testing.assert_allclose(mixed, weighted_sum(x, weights), rtol=1e-4, atol=1e-5)


def test_an_rgb_skip_takes_the_mean_weight():
    x, rgb, weights = normal(0, 6, 4, 4, 8), normal(1, 6, 4, 4, 3), normal(2, 2, 3, 8)
    mixed = jax.jit(mix_codes)(SkipFeatures(x, rgb), weights)
    alike = jnp.mean(weights, axis=2, keepdims=True)
    for found, expected in (
        (mixed.activations, weighted_sum(x, weights)),
        (mixed.rgb, weighted_sum(rgb, alike)),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert mix_codes(SkipFeatures(x, rgb).drop_skip(), weights).rgb is None
