"""Units of z_k and of its penalty, and steps of fixed length."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.errors import UserError
from rtil_jax.generators import LinearGenerator, init
from rtil_jax.inversion import CSGM, ILO, MGANPrior, Prior, Problem, Surgery, invert
from rtil_jax.inversion.constraints import prior_penalty, relative_pull, relative_scale
from rtil_jax.inversion.problems import mean_square, settle
from rtil_jax.inversion.stages import OPTIMIZERS
from rtil_jax.operators import Inpainting
from rtil_jax.priors.feature_scales import read_scales, write_scales

LINEAR = LinearGenerator(resolution=8, latent_dim=6, num_features=12)
WEIGHTS = init(LINEAR, jax.random.key(3))["params"]


def with_features(scale):
    """The same images, made of features that are `scale` times as large."""
    params = {"W0": scale * WEIGHTS["W0"], "W1": WEIGHTS["W1"] / scale}
    return Prior.of(LINEAR, {"params": params})


def test_scales_are_the_standard_deviations_of_the_features(style_prior):
    measured = with_features(3.0).with_feature_scales()
    expected = 3 * jnp.sqrt(jnp.mean(jnp.sum(WEIGHTS["W0"] ** 2, axis=1)))
    np.testing.assert_allclose(measured.feature_scales, [expected], rtol=0.1)
    assert measured.with_feature_scales() is measured
    # What all images share does not count: StyleGAN2's constant is most of block 1.
    scales = style_prior.with_feature_scales().feature_scales
    generator, variables = style_prior.generator, style_prior.variables
    latents = generator.apply(
        variables, jax.random.key(5), 500, method="sample_latents"
    )
    features = generator.apply(variables, latents, 1, method="head").activations
    deviation = np.sqrt(np.mean(np.var(features, axis=0)))
    np.testing.assert_allclose(scales[0], deviation, rtol=0.1)
    assert scales.shape == (2,) and scales[0] < 0.9 * np.sqrt(np.mean(features**2))


@pytest.mark.parametrize(
    "method",
    [
        ILO(steps=(3, 6), units="features", prior_weight=0.1, prior_form="relative"),
        Surgery(steps=6, units="features", prior_weight=0.1),
    ],
)
def test_in_their_units_the_size_of_features_does_not_matter(method, sampled_problem):
    problem, keys = sampled_problem(with_features(1.0), 2)
    small, large = (
        invert(method, with_features(scale), problem, keys) for scale in (1.0, 10.0)
    )
    np.testing.assert_allclose(large.images, small.images, atol=1e-4)
    # A solution has the features and z_k themselves, whatever the units.
    for name in ("features", "intermediates"):
        jax.tree.map(
            lambda x, y: np.testing.assert_allclose(y, 10 * x, rtol=1e-3, atol=1e-3),
            getattr(small.solution, name),
            getattr(large.solution, name),
        )


def test_absolute_units_are_those_of_the_features_themselves(sampled_problem):
    """The rate that suits small features is small for large ones."""
    problem, keys = sampled_problem(with_features(1.0), 2)
    method = ILO(steps=(3, 6))
    small, large = (
        invert(method, with_features(scale), problem, keys) for scale in (1.0, 10.0)
    )
    assert np.max(np.abs(large.images - small.images)) > 0.1


def test_the_relative_penalty_is_its_formula():
    mask = jnp.zeros((8, 8, 1)).at[:2].set(1.0)
    images = jax.random.normal(jax.random.key(0), (3, 8, 8, 1))
    y = 5 * images * mask[None]
    problem = settle(Problem(Inpainting(mask, 1), y), (8, 8, 1))
    square = np.mean(np.square(y[:, :2]), axis=(1, 2, 3))  # of what is measured alone
    np.testing.assert_allclose(mean_square(problem), square, rtol=1e-5)
    z = jax.random.normal(jax.random.key(1), (3, 4, 4, 2))
    q = np.mean(np.square(z), axis=(1, 2, 3))
    np.testing.assert_allclose(prior_penalty(z, 0.5, "relative"), 4 * q, rtol=1e-5)
    # A quarter of the pixels is measured: it pulls four times as much.
    scale = 4 * square
    np.testing.assert_allclose(relative_scale(problem, images), scale, rtol=1e-5)
    pull = relative_pull(0.1, {"a": z[:, :1], "b": z[:, 1:]}, problem, images)
    np.testing.assert_allclose(pull, 0.1 * q * scale, rtol=1e-5)


def test_units_may_be_counted_in_several(sampled_problem):
    """Three to a unit are features that are three times as large."""
    problem, keys = sampled_problem(with_features(1.0), 2)
    method = ILO(steps=(3, 6), units="features", unit=3.0)
    threes = invert(method, with_features(1.0), problem, keys)
    prior = with_features(1.0).with_feature_scales()
    prior = dataclasses.replace(prior, feature_scales=3 * prior.feature_scales)
    ones = invert(ILO(steps=(3, 6), units="features"), prior, problem, keys)
    np.testing.assert_allclose(threes.images, ones.images, atol=1e-4)


@pytest.mark.parametrize(
    "method, code",
    [
        (CSGM(steps=30, prior_weight=100.0), lambda s: s.latents["z"]),
        (MGANPrior(2, 1, 30, 0.1, prior_weight=100.0), lambda s: s.latents["z"]),
        (Surgery(1, 30, prior_weight=100.0), lambda s: s.features),
    ],
)
def test_a_heavy_weight_pulls_the_code_to_zero(
    method, code, toy_prior, sampled_problem
):
    problem, keys = sampled_problem(toy_prior, 2)
    found = invert(method, toy_prior, problem, keys, select="last")
    assert np.mean(np.square(code(found.solution))) < 0.05  # from about 1


def test_a_step_of_ngd_has_the_length_of_the_rate():
    gradients = {"a": jnp.array([3e-6, -4e-6]), "b": jnp.full((4, 4, 2), 1e6)}
    optimizer = OPTIMIZERS["ngd"]
    updates, _ = optimizer.update(gradients, optimizer.init(gradients))
    for name, expected in gradients.items():
        assert np.sqrt(np.mean(np.square(updates[name]))) == pytest.approx(1, abs=1e-5)
        ratio = updates[name] / expected
        np.testing.assert_allclose(ratio, ratio.ravel()[0], rtol=1e-5)
    zero, _ = optimizer.update({"a": jnp.zeros(2)}, optimizer.init(gradients))
    np.testing.assert_array_equal(zero["a"], 0)


def test_scales_are_read_as_they_were_written(tmp_path):
    path = str(tmp_path / "scales.json")
    write_scales(path, jnp.array([0.25]))
    np.testing.assert_array_equal(read_scales(path, LINEAR), [0.25])
    for text in ("[0.25, 0.5]", "[-1]", "[NaN]", "{", '["a"]', '{"1": 2}'):
        (tmp_path / "scales.json").write_text(text)
        with pytest.raises(UserError, match="a list of 1 positive numbers") as error:
            read_scales(path, LINEAR)
        assert "\n" not in str(error.value)
