import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.errors import UserError
from rtil_jax.generators import PGGANGenerator
from rtil_jax.inversion import Prior, Reconstruction, Solution
from rtil_jax.priors.prior import check_prior
from tests.toy_generator import ToyGenerator


def test_style_fit_has_the_moments_of_the_mapping_network(style_prior):
    """In the space before the last leaky ReLU, where the fit is a Gaussian."""
    generator, variables = style_prior.generator, style_prior.variables
    z = jax.random.normal(jax.random.key(5), (40_000, generator.latent_dim))
    w = generator.apply(variables, z, method="map_styles")[:, 0]
    u = jnp.where(w < 0, 5 * w, w)
    fit = style_prior.style_fit
    np.testing.assert_allclose(fit.std, jnp.std(u, axis=0), rtol=0.03)
    np.testing.assert_allclose(
        fit.mean, jnp.mean(u, axis=0), atol=0.03 * float(jnp.max(fit.std))
    )


def test_style_fit_decodes_by_the_formula(style_prior):
    fit = style_prior.style_fit
    z = jax.random.normal(jax.random.key(0), (2, 3, 12))
    u = np.asarray(fit.std) * np.asarray(z) + np.asarray(fit.mean)
    np.testing.assert_allclose(fit(z), np.where(u < 0, 0.2 * u, u), rtol=1e-5)


def test_a_generator_without_styles_needs_no_fit(toy_prior):
    assert isinstance(toy_prior, Prior) and toy_prior.style_fit is None


def test_what_is_printed_is_short(style_prior, toy_prior, sampled_problem):
    assert repr(style_prior).startswith("Prior(StyleGAN2Generator, 16 x 16 x 1, ")
    assert repr(style_prior).endswith(" parameters, style fit)")
    count = sum(x.size for x in jax.tree.leaves(toy_prior.variables))
    assert repr(toy_prior) == f"Prior(ToyGenerator, 8 x 8 x 1, {count:,} parameters)"
    problem, _ = sampled_problem(toy_prior, 2)
    assert repr(problem) == (
        "Problem(PartialCirculant, measurements (2, 64), truth known)"
    )
    solution = Solution({"z": jnp.zeros((2, 6))}, jnp.zeros((2, 4, 4, 2)), 1)
    expected = "Solution(block 1: latents/z (2, 6), features (2, 4, 4, 2))"
    assert repr(solution) == expected
    images, losses = jnp.zeros((2, 8, 8, 1)), jnp.array([0.25, 9.0])
    found = Reconstruction(images, solution, losses, ["ok", "failed"], [])
    assert repr(found) == "image 0: ok, residual 0.5\nimage 1: failed, residual 3"
    images, losses, status = jnp.zeros((101, 8, 8, 1)), jnp.ones(101), ["ok"] * 101
    found = Reconstruction(images, solution, losses, status, [])
    assert repr(found).endswith("image 99: ok, residual 1\n… 1 more")


@pytest.mark.parametrize(
    "generator, change, message",
    [
        (ToyGenerator(), lambda v: None, "variables that do not fit ToyGenerator"),
        (ToyGenerator, dict, "the class ToyGenerator, expected a generator"),
        ({"params": {}}, dict, "an object of dict, expected a generator"),
        (ToyGenerator(), lambda v: v["params"], r"write Prior.of\(generator, .*params"),
        (ToyGenerator(), lambda v: {}, r"expected \{'params': ...\}"),
        (ToyGenerator(channels=3), lambda v: v, r"do not fit ToyGenerator .*shape"),
        (PGGANGenerator(16), lambda v: v, "do not fit PGGANGenerator"),
        (ToyGenerator(resolution=16), lambda v: v, r"images \(1, 8, 8, 1\) from Toy"),
    ],
)
def test_variables_of_another_generator_are_refused(
    generator, change, message, toy_prior
):
    with pytest.raises(UserError, match=f"^Prior.of: found .*{message}") as caught:
        Prior.of(generator, change(toy_prior.variables))
    assert "\n" not in str(caught.value)


def test_what_is_no_prior_is_told_one(toy_prior):
    check_prior(toy_prior)
    for found in ("pretrained:faces64_rtil", (toy_prior.generator, {})):
        with pytest.raises(
            UserError, match=r"^prior: found .*expected load_prior\(DIR"
        ):
            check_prior(found)
