"""mGANprior: codes and channel weights, on either architecture."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax import generators
from rtil_jax.devices import data_mesh
from rtil_jax.errors import UserError
from rtil_jax.generators import PGGANGenerator
from rtil_jax.inversion import ILO, MGANPrior, Prior, invert, render
from rtil_jax.inversion.solver import begin, descend
from tests.references.stylegan2 import assert_close, random_variables

METHOD = MGANPrior(codes=4, block=2, steps=30, learning_rate=0.05)


@pytest.fixture(scope="session")
def pggan_prior():
    """A PGGAN of 16 pixels whose every parameter is away from its initial value."""
    generator = PGGANGenerator(16, channels=1, max_channels=8, latent_dim=12)
    variables = random_variables(functools.partial(generators.init, generator))
    return Prior.of(generator, variables)


@pytest.fixture(params=["pggan_prior", "style_prior"])
def prior(request):
    return request.getfixturevalue(request.param)


def test_it_recovers_measurements_on_either_architecture(prior, sampled_problem):
    problem, keys = sampled_problem(prior, 2)
    found = invert(METHOD, prior, problem, keys)
    assert found.images.shape == (2, 16, 16, 1)
    assert np.all(found.measurement_loss < 0.7 * found.history[0][-1])
    assert found.status == ["ok"] * 2
    image = render(prior.generator, prior.variables, found.solution)
    np.testing.assert_allclose(image, found.images, atol=1e-5)


def test_ilo_runs_on_a_pggan(pggan_prior, sampled_problem):
    problem, keys = sampled_problem(pggan_prior, 2)
    method = ILO(steps=(30, 20, 20), learning_rate=0.1)
    found = invert(method, pggan_prior, problem, keys)
    by_stage = {stage: loss for stage, _, loss in found.history}
    assert np.all(by_stage[2] < 0.7 * by_stage[0])
    assert found.solution.block == 2
    image = render(pggan_prior.generator, pggan_prior.variables, found.solution)
    np.testing.assert_allclose(image, found.images, atol=1e-5)
    # A PGGAN has no RGB skip to drop.
    with pytest.raises(UserError, match=r"method\.keep_skip: found False, expected"):
        dropping = dataclasses.replace(method, keep_skip=False)
        invert(dropping, pggan_prior, problem, keys)


def start(method, prior, seed=0):
    return method.start(prior, jax.random.key(seed))


def test_weights_at_the_start(pggan_prior):
    drawn = start(METHOD, pggan_prior)["weights"]
    assert drawn.shape == (4, 8)
    np.testing.assert_array_equal(drawn, np.repeat(drawn[:, :1], 8, axis=1))
    np.testing.assert_allclose(drawn.sum(axis=0), 1, rtol=1e-6)
    assert len(np.unique(drawn)) == 4
    for name, value in (("uniform", 1 / 4), ("channels", 1 / 8)):
        method = dataclasses.replace(METHOD, start_weights=name)
        np.testing.assert_allclose(start(method, pggan_prior)["weights"], value)


def test_every_code_starts_from_its_own_draw(prior):
    for leaf in jax.tree.leaves(start(METHOD, prior)["latents"]):
        assert leaf.shape[0] == 4
        assert not any(np.array_equal(leaf[0], other) for other in leaf[1:])


def first_solution(method, prior, batch=2):
    """At the start, for a batch of images."""
    (stage,) = method.stages(prior.generator)
    keys = jax.random.split(jax.random.key(5), batch)
    variables = jax.vmap(method.start, in_axes=(None, 0))(prior, keys)
    return variables, jax.jit(lambda: stage.decode(prior, variables))()


def test_the_image_is_the_tail_of_the_weighted_sum(pggan_prior):
    variables, solution = first_solution(METHOD, pggan_prior)
    apply = functools.partial(pggan_prior.generator.apply, pggan_prior.variables)
    z, alpha = variables["latents"]["z"], variables["weights"]
    for image in range(2):
        heads = apply({"z": z[image]}, 2, method="head")
        mixed = sum(alpha[image, n][None, None] * heads[n] for n in range(4))
        assert_close(solution.features[image], mixed, 1e-5)


def test_one_code_of_weight_one_is_the_generator_itself(prior):
    method = dataclasses.replace(METHOD, codes=1, start_weights="uniform")
    _, solution = first_solution(method, prior)
    image = render(prior.generator, prior.variables, solution)
    base = prior.generator.apply(prior.variables, solution.latents)
    assert_close(image, base, 1e-5)


def test_codes_in_turns_are_codes_at_once(prior, sampled_problem):
    problem, keys = sampled_problem(prior, 2)
    finals = []
    for at_once in (0, 2, 1):
        method = dataclasses.replace(METHOD, steps=3, codes_at_once=at_once)
        finals.append(invert(method, prior, problem, keys, select="last").images)
    for images in finals[1:]:
        assert_close(images, finals[0], 1e-3)


def test_codes_in_turns_need_less_memory(pggan_prior, sampled_problem):
    problem, keys = sampled_problem(pggan_prior, 4)

    def bytes_of(at_once):
        method = MGANPrior(codes=16, block=3, codes_at_once=at_once)
        (stage,) = method.stages(pggan_prior.generator)
        variables = jax.vmap(method.start, in_axes=(None, 0))(pggan_prior, keys)
        begun, rates = begin(stage, pggan_prior, variables), jnp.array([0.1])
        arguments = (pggan_prior, None, problem, *begun, rates, 1)
        lowered = descend.lower(stage, "measurement", data_mesh(1), *arguments)
        return lowered.compile().memory_analysis().temp_size_in_bytes

    assert bytes_of(1) < 0.5 * bytes_of(0)


def test_sgd_moves_by_the_rate_times_the_gradient(pggan_prior, sampled_problem):
    problem, keys = sampled_problem(pggan_prior, 2)
    method = dataclasses.replace(METHOD, optimizer="sgd")
    (stage,) = method.stages(pggan_prior.generator)
    variables = jax.vmap(method.start, in_axes=(None, 0))(pggan_prior, keys)
    start, iterate = begin(stage, pggan_prior, variables)

    def loss(variables):
        images = render(
            pggan_prior.generator,
            pggan_prior.variables,
            stage.decode(pggan_prior, variables),
        )
        residual = jax.vmap(lambda A, x: A(x))(problem.operators, images)
        residual = (residual - problem.measurements) ** 2
        count = jax.vmap(lambda A: A.num_measurements)(problem.operators)
        return jnp.sum(jnp.sum(residual, axis=1) / count)

    expected = jax.tree.map(
        lambda x, g: x - 1e-3 * g, start, jax.jit(jax.grad(loss))(start)
    )
    moved, _ = descend(
        stage,
        "last",
        data_mesh(1),
        pggan_prior,
        None,
        problem,
        start,
        iterate,
        jnp.array([1e-3]),
        1,
    )
    assert_close(moved.free, expected, 1e-4)


def test_a_reconstruction_does_not_depend_on_its_batch(pggan_prior, sampled_problem):
    problem, keys = sampled_problem(pggan_prior, 3)
    method = dataclasses.replace(METHOD, steps=5)
    together = invert(method, pggan_prior, problem, keys).images
    alone, keys = sampled_problem(pggan_prior, 1, first=2)
    assert_close(together[2], invert(method, pggan_prior, alone, keys).images[0], 1e-3)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"block": 0},
            r"method\.block: found 0, expected 1 to 3, the last block of 16",
        ),
        ({"block": 4}, r"method\.block: found 4, expected 1 to 3"),
        ({"codes": 0}, r"method\.codes: found 0, expected at least 1"),
        ({"codes_at_once": 3}, r"method\.codes_at_once: found 3, expected 0 or a div"),
    ],
)
def test_what_the_generator_does_not_have(change, message):
    generator = PGGANGenerator(16)
    with pytest.raises(UserError, match=message):
        dataclasses.replace(METHOD, **change).stages(generator)
