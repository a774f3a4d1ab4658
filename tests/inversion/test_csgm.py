import jax
import numpy as np

from rtil_jax.inversion import CSGM, invert, render


def test_csgm_stays_in_the_range_of_the_mapping_network(style_prior, sampled_problem):
    problem, keys = sampled_problem(style_prior, 2)
    found = invert(CSGM(steps=20, learning_rate=0.1), style_prior, problem, keys)
    styles = found.solution.latents["styles"]
    # One w for all layers: the mapping network's output for some z.
    np.testing.assert_allclose(styles, np.repeat(styles[:, :1], 6, axis=1), rtol=1e-5)
    assert found.solution.block == 0
    assert np.all(found.measurement_loss < 0.9 * found.history[0][-1])


def test_csgm_keeps_the_noise_maps_that_were_drawn(style_prior, sampled_problem):
    problem, keys = sampled_problem(style_prior, 1)
    method = CSGM(steps=5)
    found = invert(method, style_prior, problem, keys)
    start = method.start(style_prior, jax.random.fold_in(keys[0], 0))
    for drawn, kept in zip(
        start["noises"], found.solution.latents["noises"], strict=True
    ):
        np.testing.assert_array_equal(drawn, kept[0])


def test_a_solution_renders_to_its_image(toy_prior, sampled_problem):
    problem, keys = sampled_problem(toy_prior, 2)
    found = invert(CSGM(steps=5), toy_prior, problem, keys)
    image = render(toy_prior.generator, toy_prior.variables, found.solution)
    np.testing.assert_allclose(image, found.images, atol=1e-6)
