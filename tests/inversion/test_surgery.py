"""Generator Surgery: what is free, where it starts, and that g_0 plays no part."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax import generators
from rtil_jax.errors import UserError
from rtil_jax.generators import PGGANGenerator
from rtil_jax.inversion import (
    Prior,
    Surgery,
    invert,
    load_solution,
    render,
    save_solution,
)
from tests.references.stylegan2 import random_variables

METHOD = Surgery(block=1, steps=30, learning_rate=0.1)


@pytest.fixture(scope="session")
def pggan_prior():
    generator = PGGANGenerator(16, channels=1, max_channels=8, latent_dim=12)
    variables = random_variables(functools.partial(generators.init, generator))
    return Prior.of(generator, variables)


@pytest.mark.parametrize("name", ["toy_prior", "pggan_prior", "style_prior"])
def test_it_fits_measurements_and_its_saved_solution_renders(
    name, request, sampled_problem, tmp_path
):
    prior = request.getfixturevalue(name)
    problem, keys = sampled_problem(prior, 2)
    found = invert(METHOD, prior, problem, keys)
    assert np.all(found.measurement_loss < 0.7 * found.history[0][-1])
    assert found.status == ["ok"] * 2
    path = str(tmp_path / "solution.npz")
    save_solution(path, found.solution)
    again = load_solution(path, prior.generator, prior.variables)
    assert again.block == 1
    image = render(prior.generator, prior.variables, again)
    np.testing.assert_allclose(image, found.images, atol=1e-5)


def first_solution(prior):
    (stage,) = METHOD.stages(prior.generator)
    keys = jax.random.split(jax.random.key(3), 2)
    start = jax.vmap(METHOD.start, in_axes=(None, 0))(prior, keys)
    return start, stage.decode(prior, start)


def test_the_image_is_the_tail_of_the_free_features(toy_prior):
    start, solution = first_solution(toy_prior)
    image = render(toy_prior.generator, toy_prior.variables, solution)
    dense = toy_prior.variables["params"]["dense_1"]
    flat = jnp.tanh(start["features"]).reshape(2, 32)
    expected = (flat @ dense["kernel"] + dense["bias"][None]).reshape(2, 8, 8, 1)
    np.testing.assert_allclose(image, expected, atol=1e-5)


def test_features_start_from_a_clipped_normal(style_prior):
    features = first_solution(style_prior)[0]["features"]
    assert features.shape == (2, *style_prior.generator.intermediate_shape(1))
    assert jnp.max(jnp.abs(features)) == 1
    # |N(0, 1)| exceeds 1 with probability 0.317.
    share = float(jnp.mean(jnp.abs(features) == 1))
    assert abs(share - 0.317) < 4 * np.sqrt(0.317 * 0.683 / features.size)


def test_the_dropped_blocks_do_not_matter(style_prior):
    """Neither their weights nor the latents that only they read."""
    params = style_prior.variables["params"]
    changed = params | {"constant": params["constant"] + 1.0}
    other = dataclasses.replace(style_prior, variables={"params": changed})
    _, solution = first_solution(style_prior)
    assert solution.features.rgb is None
    image = render(style_prior.generator, style_prior.variables, solution)
    again = render(other.generator, other.variables, first_solution(other)[1])
    np.testing.assert_array_equal(image, again)
    styles = solution.latents["styles"].at[:, 0].add(1.0)
    moved = dataclasses.replace(solution, latents=solution.latents | {"styles": styles})
    np.testing.assert_array_equal(
        image, render(style_prior.generator, style_prior.variables, moved)
    )
    styles = solution.latents["styles"].at[:, 2].add(1.0)
    moved = dataclasses.replace(solution, latents=solution.latents | {"styles": styles})
    assert not np.allclose(
        image, render(style_prior.generator, style_prior.variables, moved), atol=1e-3
    )


def test_later_latents_move_and_those_of_dropped_blocks_stay(
    style_prior, sampled_problem
):
    problem, keys = sampled_problem(style_prior, 2)
    found = invert(METHOD, style_prior, problem, keys, select="last").solution.latents
    start = METHOD.start(style_prior, jax.random.fold_in(keys[0], 0))["latents"]
    drawn = style_prior.style_fit(start["styles"][None])
    # The fit is compiled with the rest there, and rounds otherwise.
    moved = jnp.max(jnp.abs(drawn[0] - found["styles"][0]), axis=-1) > 1e-5
    assert moved.tolist() == [False, True, True, True, True, True]
    pairs = zip(start["noises"], found["noises"], strict=True)
    assert [bool(jnp.any(a != b[0])) for a, b in pairs] == [False] + [True] * 4


@pytest.mark.parametrize("block", [0, 3])
def test_a_block_that_cannot_be_the_cut_is_named(block):
    message = f"method.block: found {block}, expected 1 to 2: the .* has 3 blocks"
    with pytest.raises(UserError, match=message):
        Surgery(block).stages(PGGANGenerator(16))
