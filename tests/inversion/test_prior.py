import jax
import jax.numpy as jnp
import numpy as np

from rtil_jax.inversion import Prior


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
