import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.inversion.constraints import geocross, to_l1_ball, to_sphere
from rtil_jax.inversion.latents import clip_latents, rescale_latents


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def test_geocross_of_orthogonal_styles():
    # All pairs but a style with itself are pi / 2 apart.
    styles = jnp.eye(4, 8)[None]
    expected = 8 * (np.pi / 2) ** 2 * (1 - 1 / 4) / 8
    np.testing.assert_allclose(geocross(styles), [expected], rtol=1e-4)


def test_geocross_is_the_mean_squared_angle_of_each_image():
    styles = normal(0, 2, 3, 5)
    for image, value in zip(np.asarray(styles), geocross(styles), strict=True):
        unit = image / np.linalg.norm(image, axis=1, keepdims=True)
        # The formula's angle is the true one for vectors of equal length.
        angles = [
            np.arccos(np.clip(a @ b, -1, 1)) for a, b in itertools.product(unit, unit)
        ]
        same_length = geocross(jnp.asarray(unit)[None])[0]
        np.testing.assert_allclose(
            same_length, 5 * np.mean(np.square(angles)) / 8, 1e-3
        )
        assert value > 0


def test_geocross_at_the_paper_size_starts_near_147():
    values = jax.vmap(lambda k: geocross(jax.random.normal(k, (1, 14, 512))))(
        jax.random.split(jax.random.key(0), 8)
    )
    assert 145 < jnp.mean(values) < 149


def test_geocross_has_a_finite_gradient_where_styles_are_equal():
    gradient = jax.grad(lambda s: jnp.sum(geocross(s)))(jnp.ones((1, 3, 4)))
    assert jnp.all(jnp.isfinite(gradient))


def test_to_sphere_keeps_direction_and_restores_the_norm():
    x, start = normal(0, 2, 3, 5), normal(1, 2, 3, 5)
    y = to_sphere(x, start, axes=(2,))
    norms = jnp.linalg.norm(start, axis=2)
    np.testing.assert_allclose(jnp.linalg.norm(y, axis=2), norms, rtol=1e-6)
    cosine = jnp.sum(x * y, axis=2) / (jnp.linalg.norm(x, axis=2) * norms)
    np.testing.assert_allclose(cosine, 1, rtol=1e-6)


def test_to_l1_ball_is_the_nearest_point_of_each_images_ball():
    x, centre, radius = normal(0, 3, 4, 5), normal(1, 3, 4, 5), 2.0
    y = to_l1_ball(x, centre, radius)
    for offset, far in zip(np.asarray(y - centre), np.asarray(x - centre), strict=True):
        assert np.abs(offset).sum() == pytest.approx(radius, rel=1e-5)
        # The projection soft-thresholds: one threshold for all entries that survive.
        threshold = np.abs(far - offset).max()
        shrunk = np.sign(far) * np.maximum(np.abs(far) - threshold, 0)
        np.testing.assert_allclose(offset, shrunk, atol=1e-5)


def test_to_l1_ball_leaves_what_is_inside():
    x = 0.01 * normal(0, 2, 4)
    np.testing.assert_allclose(to_l1_ball(x, jnp.zeros_like(x), 1.0), x, atol=1e-7)


def test_rescaling_has_one_sphere_per_style_and_per_noise_map():
    def draw(seed):
        return {"styles": normal(seed, 2, 3, 4), "noises": (normal(seed, 2, 4, 4, 1),)}

    start = draw(0)
    moved = rescale_latents(draw(1), start)
    for x, y, axes in (
        (moved["styles"], start["styles"], 2),
        (moved["noises"][0], start["noises"][0], (1, 2, 3)),
    ):
        powers = [jnp.sum(z**2, axis=axes) for z in (x, y)]
        np.testing.assert_allclose(*powers, rtol=1e-5)


def test_clipping_has_one_ball_for_the_styles_and_one_per_noise_map():
    start = {"styles": jnp.zeros((1, 2, 3)), "noises": (jnp.zeros((1, 4, 4, 1)),) * 2}
    moved = jax.tree.map(jnp.ones_like, start)
    clipped = clip_latents(moved, start, style_radius=3.0, noise_radius=8.0)
    assert jnp.abs(clipped["styles"]).sum() == pytest.approx(3)
    for noise in clipped["noises"]:
        assert jnp.abs(noise).sum() == pytest.approx(8)
    free = clip_latents(moved, start, style_radius=None, noise_radius=None)
    assert jnp.array_equal(free["styles"], moved["styles"])
