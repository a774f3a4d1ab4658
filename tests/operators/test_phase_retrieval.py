import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.operators import PhaseRetrieval, measure, sample_operators

SHAPE = (8, 6, 3)
sample = jax.jit(PhaseRetrieval.sample, static_argnums=(1, 2))


apply = jax.jit(lambda operator, x: operator(x))
preview = jax.jit(lambda operator, y: operator.preview(y))


def normal(*shape):
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def test_magnitudes_are_those_of_the_coded_transform():
    operator, x = sample(jax.random.key(0), SHAPE, 0.4), normal(*SHAPE)
    codes, mask = np.asarray(operator.codes), np.asarray(operator.mask)
    np.testing.assert_allclose(abs(codes), 1, atol=1e-6)
    assert mask.sum() == operator.num_measurements == int(0.4 * 144)
    expected = mask * abs(np.fft.fft2(codes * np.asarray(x), axes=(0, 1), norm="ortho"))
    np.testing.assert_allclose(apply(operator, x), expected, atol=1e-5)


def test_the_sign_of_a_channel_cannot_be_seen_but_other_changes_can():
    operator, x = sample(jax.random.key(0), SHAPE, 1), normal(*SHAPE)
    y = np.asarray(apply(operator, x))
    for signs in ([-1, -1, -1], [1, -1, 1]):
        flipped = x * np.array(signs, np.float32)
        np.testing.assert_allclose(apply(operator, flipped), y, atol=1e-5)
    for other in (x[::-1, ::-1], np.roll(x, 1, axis=0), 2 * x):
        assert abs(apply(operator, other) - y).max() > 0.1


def test_all_magnitudes_keep_the_norm():
    operator, x = sample(jax.random.key(0), SHAPE, 1), normal(*SHAPE)
    y = np.asarray(apply(operator, x))
    np.testing.assert_allclose(np.sum(y**2), np.sum(x**2), rtol=1e-5)


@pytest.mark.parametrize("x", [0.0, 1.0])
def test_gradients_are_finite_even_where_a_magnitude_is_0(x):
    operator = sample(jax.random.key(0), SHAPE, 0.4)
    image = np.float32(x) * normal(*SHAPE)
    loss = jax.jit(jax.grad(lambda image: jnp.sum((operator(image) - 1) ** 2)))
    gradient = np.asarray(loss(image))
    assert np.isfinite(gradient).all() and np.any(gradient) == bool(x)


def test_one_operator_per_image_nested_in_the_ratio():
    keys, x = jax.random.split(jax.random.key(0)), normal(*SHAPE)
    few, many = (
        jax.device_get(sample_operators("phase_retrieval", keys, SHAPE, ratio))
        for ratio in (0.2, 0.7)
    )
    np.testing.assert_array_equal(few.codes, many.codes)
    assert (few.mask <= many.mask).all() and few.mask.sum() < many.mask.sum()
    y = np.asarray(jax.vmap(lambda operator: apply(operator, x))(many))
    assert not (many.mask[0] == many.mask[1]).all()
    assert abs(y[0] - y[1]).max() > 0.1 and y.shape == (2, *SHAPE)


def test_leading_axes_are_independent_images():
    operator, x = sample(jax.random.key(0), SHAPE, 0.4), normal(2, 3, *SHAPE)
    y = np.asarray(apply(operator, x))
    np.testing.assert_allclose(y[1, 2], apply(operator, x[1, 2]), atol=1e-5)
    np.testing.assert_allclose(
        preview(operator, y)[1, 2], preview(operator, y[1, 2]), atol=1e-5
    )


def test_noise_lands_on_measurements_only():
    operator, x = (
        sample(jax.random.key(0), (32, 32, 3), 0.4),
        jnp.asarray(normal(32, 32, 3)),
    )
    noisy = measure(operator, x, jax.random.key(5), 0.1)
    noise, mask = np.asarray(noisy - apply(operator, x)), np.asarray(operator.mask)
    assert not noise[mask == 0].any()
    np.testing.assert_allclose(noise[mask == 1].std(), 0.1, rtol=0.1)


def test_the_preview_shows_magnitudes_relative_to_their_rms():
    operator = sample(jax.random.key(0), SHAPE, 0.4)
    y = np.asarray(operator.mask) * 3
    shown = preview(operator, y)
    np.testing.assert_allclose(shown, y / 3 - 1, atol=1e-6)
    np.testing.assert_array_equal(preview(operator, 0 * y), -np.ones(SHAPE))
