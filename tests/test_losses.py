import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.losses import (
    critic_real,
    gradient_penalty,
    logistic_fake,
    logistic_real,
    nonsaturating,
    path_length_penalty,
    path_lengths,
    r1_penalty,
)


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def test_logistic_losses_are_cross_entropies():
    logits = 2 * normal(1, 6)
    is_real, is_fake = np.log(sigmoid(logits)), np.log(1 - sigmoid(logits))
    np.testing.assert_allclose(logistic_real(logits), -is_real, rtol=1e-5)
    np.testing.assert_allclose(logistic_fake(logits), -is_fake, rtol=1e-5)
    np.testing.assert_allclose(nonsaturating(logits), -is_real, rtol=1e-5)


def test_logistic_losses_of_large_logits_are_linear():
    large = jnp.array([1000.0, -1000.0])
    np.testing.assert_array_equal(logistic_fake(large), [1000.0, 0.0])
    for loss in (logistic_real, nonsaturating):
        np.testing.assert_array_equal(loss(large), [0.0, 1000.0])


def test_r1_of_a_linear_discriminator_is_its_squared_norm():
    a, x = normal(0, 4, 4, 3), normal(1, 5, 4, 4, 3)

    def r1(a):
        return r1_penalty(lambda images: jnp.einsum("bhwc,hwc->b", images, a) + 1, x)

    penalty, gradient = jax.jit(jax.value_and_grad(r1))(a)
    np.testing.assert_allclose(penalty, jnp.sum(a**2), rtol=1e-5)
    np.testing.assert_allclose(gradient, 2 * a, rtol=1e-5)


def test_r1_of_a_quadratic_discriminator():
    matrix, x = normal(0, 12, 12), normal(1, 5, 2, 2, 3)
    flat = np.asarray(x).reshape(5, 12)

    def r1(matrix):
        def logits(images):
            images = images.reshape(5, 12)
            return jnp.einsum("bi,ij,bj->b", images, matrix, images) / 2

        return r1_penalty(logits, x)

    penalty, gradient = jax.jit(jax.value_and_grad(r1))(matrix)
    # grad D = S x with S = (A + A^T) / 2; R1 = E |S x|^2, dR1 / dS = 2 S E[x x^T].
    symmetric = np.asarray(matrix + matrix.T) / 2
    expected = np.mean(np.sum((flat @ symmetric) ** 2, axis=1))
    np.testing.assert_allclose(penalty, expected, rtol=1e-5)
    by_symmetric = 2 * symmetric @ flat.T @ flat / 5
    expected = (by_symmetric + by_symmetric.T) / 2
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-4)


# 3 layers of 4 style entries to images of 2 x 3 pixels and 2 channels.
RENDERER = normal(5, 3, 4, 2, 3, 2)


def linear(styles):
    return jnp.einsum("bls,lshwc->bhwc", styles, RENDERER)


def curved(styles):
    return jnp.sin(linear(styles)) + jnp.sum(styles**2)


@pytest.mark.parametrize("render", [linear, curved])
def test_path_lengths_are_those_of_the_explicit_jacobian(render):
    styles, key = normal(0, 5, 3, 4), jax.random.key(1)
    lengths = jax.jit(functools.partial(path_lengths, render))(styles, key)
    noise = jax.random.normal(key, (5, 2, 3, 2)) / np.sqrt(2 * 3)
    jacobian = jax.jit(jax.jacobian(render))(styles)
    pulled = np.einsum("bhwc,bhwcBls->Bls", noise, jacobian)
    expected = np.sqrt(np.mean(np.sum(pulled**2, axis=2), axis=1))
    np.testing.assert_allclose(lengths, expected, rtol=1e-5)


def test_squared_path_length_is_the_jacobians_norm_on_average():
    styles = normal(0, 20_000, 3, 4)
    lengths = jax.jit(functools.partial(path_lengths, linear))(
        styles, jax.random.key(1)
    )
    # E |J^T y|^2 = |J|_F^2 / (height width); then the mean over layers.
    expected = jnp.sum(RENDERER**2) / (2 * 3) / 3
    np.testing.assert_allclose(jnp.mean(lengths**2), expected, rtol=0.03)


LENGTHS = jnp.array([1.0, 2.0, 6.0, 3.0])
MEMBERS = jnp.array([0, 2, 0, 2])
MEANS = jnp.array([1.5, 7.0, 2.0])


def test_each_member_keeps_its_own_mean_path_length():
    _, means = path_length_penalty(LENGTHS, MEMBERS, MEANS, decay=0.1)
    # Members 0 and 2 move by a tenth towards 3.5 and 2.5; member 1 is absent.
    np.testing.assert_allclose(means, [1.7, 7.0, 2.05], rtol=1e-6)
    for _ in range(200):
        _, means = path_length_penalty(LENGTHS, MEMBERS, means, decay=0.1)
    np.testing.assert_allclose(means, [3.5, 7.0, 2.5], rtol=1e-5)


def test_path_length_penalty():
    penalty, _ = path_length_penalty(LENGTHS, MEMBERS, MEANS, decay=0.1)
    expected = (0.7**2 + 0.05**2 + 4.3**2 + 0.95**2) / 4
    np.testing.assert_allclose(penalty, expected, rtol=1e-5)
    # Means that move slowly by default.
    _, means = path_length_penalty(LENGTHS, MEMBERS, MEANS)
    np.testing.assert_allclose(means, [1.52, 7.0, 2.005], rtol=1e-6)


def test_path_length_penalty_of_one_member_is_karras():
    lengths, members = LENGTHS, jnp.zeros(4, int)
    penalty, means = path_length_penalty(lengths, members, jnp.array([2.0]))
    mean = 2 + 0.01 * (lengths.mean() - 2)
    np.testing.assert_allclose(means, [mean], rtol=1e-6)
    np.testing.assert_allclose(penalty, jnp.mean((lengths - mean) ** 2), rtol=1e-6)


def test_the_gradient_passes_through_the_moving_mean_but_not_into_the_state():
    def loss(lengths):
        return path_length_penalty(lengths, MEMBERS, MEANS, decay=0.1)

    gradient = jax.grad(lambda lengths: loss(lengths)[0])(LENGTHS)
    # d/dl_i of the mean over 4 of (l_j - m)^2, where m moves by 0.1 / 2 with l_i.
    residuals = np.array([-0.7, -0.05, 4.3, 0.95])
    of_member = {0: residuals[[0, 2]].sum(), 2: residuals[[1, 3]].sum()}
    moved = [0.1 / 2 * of_member[int(member)] for member in MEMBERS]
    np.testing.assert_allclose(gradient, 2 / 4 * (residuals - moved), rtol=1e-5)
    assert not jax.grad(lambda lengths: loss(lengths)[1].sum())(LENGTHS).any()


def test_wasserstein_loss_with_drift():
    real = jnp.array([1.0, 3.0])
    np.testing.assert_allclose(critic_real(real, 0.1), [-0.9, -2.1], rtol=1e-6)


def test_gradient_penalty_is_taken_between_the_images():
    real, fakes = normal(0, 6, 2, 2, 1), normal(1, 6, 2, 2, 1)
    key = jax.random.key(2)

    def scores(x):  # grad D = 2 x
        return jnp.sum(x**2, axis=(1, 2, 3))

    u = np.asarray(jax.random.uniform(key, (6, 1, 1, 1)))
    assert len(np.unique(u)) == 6 and (0 < u).all() and (u < 1).all()
    between = u * np.asarray(real) + (1 - u) * np.asarray(fakes)
    norms = 2 * np.sqrt(np.sum(between**2, axis=(1, 2, 3)))
    penalty = gradient_penalty(scores, real, fakes, key)
    np.testing.assert_allclose(penalty, (norms - 1) ** 2, rtol=1e-5)


def test_gradient_penalty_of_a_critic_without_slope_can_be_differentiated():
    images = normal(0, 2, 2, 2, 1)

    def penalty(slope):
        def scores(x):
            return slope * jnp.sum(x, axis=(1, 2, 3))

        return jnp.sum(gradient_penalty(scores, images, images, jax.random.key(0)))

    value, gradient = jax.value_and_grad(penalty)(jnp.zeros(()))
    np.testing.assert_allclose(value, 2, rtol=1e-4)
    assert jnp.isfinite(gradient)
