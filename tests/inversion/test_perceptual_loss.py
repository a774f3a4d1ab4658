"""The perceptual loss: what is compared with what, and what it does to an inversion."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from rtil_jax.errors import UserError
from rtil_jax.inversion import CSGM, MGANPrior, Prior, invert, make_problem
from rtil_jax.inversion.perceptual_loss import PICTURED, PerceptualLoss, enlarge
from rtil_jax.metrics.perceptual import load_lpips
from rtil_jax.operators import OPERATORS
from tests.toy_generator import ToyGenerator


@struct.dataclass
class Total:
    """d(x, y) = (sum(w x) - sum(w y))^2, which sees every pixel of either side."""

    weights: jax.Array

    def features(self, images):
        return jnp.einsum("bhwc,hwc->b", images, self.weights)

    def distance(self, x, y):
        return (x - y) ** 2

    def __call__(self, x, y):
        return self.distance(self.features(x), self.features(y))


def total(*shape):
    return Total(jax.random.normal(jax.random.key(5), shape))


def pictures(seed, size=32, channels=1):
    return jax.random.uniform(
        jax.random.key(seed), (2, size, size, channels), minval=-1.0
    )


def sampled(problem, ratio, truth):
    return make_problem(problem, truth, jnp.arange(2), ratio=ratio, seed=0)[0]


def test_a_filled_gap_is_seen_but_costs_nothing_of_its_own():
    truth, images = pictures(0), pictures(1)
    distance = total(32, 32, 1)
    problem = sampled("inpainting", 0.5, truth)
    loss = PerceptualLoss(distance, 2.0, fill=True)
    mask = problem.operators.mask
    expected = 2 * distance(images, mask * truth + (1 - mask) * images)
    found = loss(loss.prepare(problem), images)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    # Where G agrees with what is seen, whatever is in the gaps is no loss.
    agreeing = mask * truth + (1 - mask) * images
    np.testing.assert_allclose(loss(problem, agreeing), 0.0, atol=1e-8)


def test_a_masked_comparison_sees_the_observed_pixels_alone():
    truth, images = pictures(0), pictures(1)
    distance = total(32, 32, 1)
    problem = sampled("inpainting", 0.5, truth)
    loss = PerceptualLoss(distance, 0.5, fill=False)
    mask = problem.operators.mask
    expected = 0.5 * distance(mask * images, mask * truth)
    found = loss(loss.prepare(problem), images)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("fill", [True, False])
def test_small_images_are_compared_enlarged(fill):
    truth, images = pictures(0), pictures(1)
    problem = sampled("super_resolution", 0.25, truth)  # 8 pixels, repeated 4 times
    distance = total(32, 32, 1)
    loss = PerceptualLoss(distance, 1.0, fill)
    small = jax.vmap(lambda a, x: a(x))(problem.operators, images)
    blocks = [np.kron(x, np.ones((4, 4, 1))) for x in (small, problem.measurements)]
    found = loss(loss.prepare(problem), images)
    np.testing.assert_allclose(found, distance(*map(jnp.asarray, blocks)), rtol=1e-4)


@pytest.mark.parametrize("size, times", [(8, 4), (12, 3), (31, 2), (32, 1), (64, 1)])
def test_images_are_enlarged_to_what_the_networks_accept(size, times):
    assert enlarge(pictures(0, size)).shape[1:3] == (size * times,) * 2


def test_the_features_of_y_are_computed_once():
    class Counting(Total):
        calls = []

        def features(self, images):
            self.calls.append(images.shape)
            return super().features(images)

    jax.tree_util.register_pytree_node(
        Counting, lambda d: ((d.weights,), None), lambda _, leaves: Counting(*leaves)
    )
    problem = sampled("super_resolution", 0.5, pictures(0))
    loss = PerceptualLoss(Counting(jnp.ones((32, 32, 1))), 1.0)
    prepared = loss.prepare(problem)
    assert len(Counting.calls) == 1
    loss(prepared, pictures(1))
    assert len(Counting.calls) == 2  # of G


@pytest.mark.parametrize("name", OPERATORS)
def test_it_is_for_problems_that_measure_pictures(name):
    ratio = {"colourisation": 1.0, "denoising": 1.0, "motion_deblurring": 1 / 3}
    problem = sampled(name, ratio.get(name, 0.5), pictures(0, channels=3))
    loss = PerceptualLoss(load_lpips("alex"), 1.0)
    if name in PICTURED:
        found = loss(loss.prepare(problem), pictures(1, channels=3))
        assert found.shape == (2,) and bool(jnp.all(found > 0))
    else:
        with pytest.raises(UserError, match="are not pictures"):
            loss.prepare(problem)


@pytest.fixture(scope="module")
def prior():
    generator = ToyGenerator()
    variables = generator.init(
        jax.random.key(0), {"z": jnp.zeros((1, generator.latent_dim))}
    )
    return Prior.of(generator, variables)


@pytest.mark.parametrize("method", [CSGM(60, 0.1), MGANPrior(3, 1, 60, 0.1)])
def test_an_inversion_lowers_it(method, prior):
    truth = prior.generator.apply(
        prior.variables, prior.generator.sample_latents(jax.random.key(9), 2)
    )
    problem, keys = make_problem(
        "super_resolution", truth, jnp.arange(2), ratio=0.5, seed=0
    )
    # Of the average over a 32-pixel enlargement: another objective than the error.
    loss = PerceptualLoss(total(32, 32, 1), 1.0)

    def distance(found):
        return np.asarray(loss(loss.prepare(problem), found.images))

    without = invert(method, prior, problem, keys, select="last")
    with_it = invert(method, prior, problem, keys, select="last", perceptual=loss)
    assert np.all(distance(with_it) < distance(without))
    # What is reported and selected by stays the measurement loss.
    measured = jax.vmap(lambda a, x: a(x))(problem.operators, with_it.images)
    error = jnp.mean((measured - problem.measurements) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(with_it.measurement_loss, error, rtol=1e-4)
