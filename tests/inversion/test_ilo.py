"""What each stage of ILO moves, keeps and starts from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.devices import data_mesh
from rtil_jax.errors import UserError
from rtil_jax.inversion import ILO, invert
from rtil_jax.inversion.constraints import geocross
from rtil_jax.inversion.latents import StyleSpace
from rtil_jax.inversion.solver import begin, descend
from rtil_jax.inversion.stages import put_free, take_free


def trace(method, prior, problem, keys, **options):
    """(result, {(stage, step): mean loss})."""
    losses = {}

    def record(stage, step, loss):
        losses[stage, step] = np.asarray(loss)

    found = invert(method, prior, problem, keys, progress=record, **options)
    return found, losses


def test_a_stage_starts_from_the_image_that_the_one_before_ended_with(
    style_prior, sampled_problem
):
    problem, keys = sampled_problem(style_prior, 2)
    _, losses = trace(ILO(steps=(6, 4, 3)), style_prior, problem, keys)
    np.testing.assert_allclose(losses[1, 0], losses[0, 6], rtol=1e-3)
    np.testing.assert_allclose(losses[2, 0], losses[1, 4], rtol=1e-3)


def test_dropping_the_skip_makes_the_image_jump(style_prior, sampled_problem):
    problem, keys = sampled_problem(style_prior, 2)
    method = ILO(steps=(6, 4), keep_skip=False)
    found, losses = trace(method, style_prior, problem, keys)
    assert np.all(np.abs(losses[1, 0] / losses[0, 6] - 1) > 0.01)
    assert found.solution.features.rgb is None


def test_later_stages_reach_a_lower_loss(style_prior, sampled_problem):
    problem, keys = sampled_problem(style_prior, 2, ratio=0.3)
    short = invert(ILO(steps=(40,)), style_prior, problem, keys)
    long = invert(ILO(steps=(40, 40, 40)), style_prior, problem, keys)
    assert np.all(long.measurement_loss < 0.8 * short.measurement_loss)


def stage_variables(method, prior, key, stage):
    """Those of a stage at its start, with nothing optimised before."""
    variables = jax.tree.map(lambda x: x[None], method.start(prior, key))
    for one in method.stages(prior.generator)[: stage + 1]:
        variables = one.begin(prior, variables)
    return variables


def test_stage_k_moves_the_first_five_plus_two_k_noise_maps():
    variables = {"styles": jnp.zeros((1, 14, 4)), "noises": tuple(range(13))}
    for stage in range(5):
        mask = StyleSpace().free(variables, stage)
        free = take_free(mask, variables)
        assert free["noises"] == (*range(5 + 2 * stage), *[None] * (8 - 2 * stage))
        assert put_free(mask, free, variables) == variables


def test_perturbations_start_at_zero_with_the_features_shape(style_prior):
    found = stage_variables(ILO((1, 1, 1)), style_prior, jax.random.key(0), 2)
    shapes = {k: (1, *style_prior.generator.intermediate_shape(k)) for k in (1, 2)}
    assert {k: z_k.shape for k, z_k in found["intermediates"].items()} == shapes
    assert not any(jnp.any(z_k) for z_k in found["intermediates"].values())
    mask = ILO((1, 1, 1)).stages(style_prior.generator)[2].free(style_prior, found)
    assert mask["intermediates"] == {1: False, 2: True} and not mask["features"]


def test_the_solution_is_the_extended_family_at_what_was_found(
    style_prior, sampled_problem
):
    """Rendering by stages equals G~(z_0, z_1, ..., z_K) of the paper."""
    generator, method = style_prior.generator, ILO(steps=(2, 2, 2))
    variables = jax.tree.map(
        lambda x: x[None], method.start(style_prior, jax.random.key(0))
    )
    for stage in method.stages(generator):
        variables = stage.begin(style_prior, variables)
        z, k = variables["intermediates"], stage.block
        if k:
            noise = jax.random.normal(jax.random.key(k), z[k].shape)
            variables = variables | {"intermediates": z | {k: noise}}
        solution = stage.decode(style_prior, variables)
    inputs = (solution.features, solution.latents, solution.block)
    image = generator.apply(style_prior.variables, *inputs, method="tail")
    z = solution.intermediates
    assert sorted(z) == [1, 2]
    extended = generator.apply(style_prior.variables, solution.latents, z)
    np.testing.assert_allclose(image, extended, rtol=1e-4, atol=1e-4)


def test_noise_maps_keep_the_norms_they_were_drawn_with(style_prior, sampled_problem):
    problem, keys = sampled_problem(style_prior, 2)
    key = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, 0)
    method = ILO(steps=(10, 10))
    start = jax.vmap(method.start, in_axes=(None, 0))(style_prior, key)["latents"]
    found = invert(method, style_prior, problem, keys).solution.latents
    for before, after in zip(start["noises"], found["noises"], strict=True):
        assert not jnp.allclose(before, after)
        norms = [jnp.linalg.norm(x.reshape(2, -1), axis=1) for x in (before, after)]
        np.testing.assert_allclose(*norms, rtol=1e-4)


def test_l1_radii_bound_how_far_a_stage_moves(style_prior, sampled_problem):
    problem, keys = sampled_problem(style_prior, 2)
    radii = {"noise_radii": (1.0, 1.0), "style_radii": (2.0, 2.0)}
    method = ILO(steps=(10, 10), sphere=False, feature_radii=(0.0, 3.0), **radii)
    stage = method.stages(style_prior.generator)[1]
    start = stage_variables(method, style_prior, jax.random.key(0), 1)
    far = jax.tree.map(lambda x: x + 1.0, start)
    near = stage.constrain(far, start)

    def distance(x, y):
        return float(jnp.sum(jnp.abs(x - y)))

    z_1 = near["intermediates"][1], start["intermediates"][1]
    assert distance(*z_1) == pytest.approx(3, rel=1e-4)
    styles = near["latents"]["styles"], start["latents"]["styles"]
    assert distance(*styles) == pytest.approx(2, rel=1e-3)
    for pair in zip(near["latents"]["noises"], start["latents"]["noises"], strict=True):
        assert distance(*pair) == pytest.approx(1, rel=1e-3)


def test_one_step_is_adams(toy_prior, sampled_problem):
    """z - rate m^ / (sqrt(v^) + 1e-8) at the second step; the first has rate 0."""
    problem, keys = sampled_problem(toy_prior, 1)
    method = ILO(steps=(1_000,), learning_rate=0.2, sphere=False)
    generator, variables = toy_prior.generator, toy_prior.variables
    key = jax.random.fold_in(keys[0], 0)
    z = method.start(toy_prior, key)["latents"]["z"][None]

    def loss(z):
        images = generator.apply(variables, {"z": z})
        y = problem.measurements
        residual = jax.vmap(lambda a, x: a(x))(problem.operators, images) - y
        return jnp.sum(residual**2) / 32

    gradient = np.asarray(jax.grad(loss)(z))
    # Both moments have seen the same gradient twice, so the step is its sign.
    rate = 0.2 * (1 / 1_000) / 0.05
    expected = z - rate * gradient / (np.abs(gradient) + 1e-8)

    stage = method.stages(generator)[0]
    batch = jax.tree.map(lambda x: x[None], method.start(toy_prior, key))
    start, iterate = begin(stage, toy_prior, batch)
    for rate_now in (0.0, rate):
        iterate, _ = descend(
            stage,
            "measurement",
            data_mesh(1),
            toy_prior,
            None,
            problem,
            start,
            iterate,
            jnp.array([rate_now]),
            1,
        )
    np.testing.assert_allclose(iterate.free["latents"]["z"], expected, atol=1e-6)


def test_styles_are_rescaled_one_by_one(style_prior):
    stage = ILO((1, 1)).stages(style_prior.generator)[0]
    start = stage_variables(ILO((1, 1)), style_prior, jax.random.key(0), 0)
    moved = stage.constrain(jax.tree.map(lambda x: 2 * x + 1, start), start)
    norms = [jnp.linalg.norm(x["latents"]["styles"], axis=2) for x in (start, moved)]
    np.testing.assert_allclose(*norms, rtol=1e-5)


def test_geocross_pulls_styles_together_in_stage_0_alone(style_prior, sampled_problem):
    problem, keys = sampled_problem(style_prior, 2)
    first, second = ILO(steps=(1, 1)).stages(style_prior.generator)
    assert first.geocross == 0.01 and second.geocross is None

    def angle(weight):
        method = ILO(steps=(30,), geocross=weight)
        found = invert(method, style_prior, problem, keys, select="last")
        return float(jnp.mean(geocross(found.solution.latents["styles"])))

    assert angle(1e4) < 0.5 * angle(0.0)


def test_lists_do_for_tuples():
    assert ILO(steps=[1, 2]) == ILO(steps=(1, 2))


def test_features_without_a_skip_cannot_drop_it(toy_prior, sampled_problem):
    problem, keys = sampled_problem(toy_prior, 1)
    with pytest.raises(UserError, match="method.keep_skip: found False"):
        invert(ILO(steps=(1, 1), keep_skip=False), toy_prior, problem, keys)


@pytest.mark.parametrize("steps", [(), (1,) * 4])
def test_more_stages_than_blocks_are_refused(style_prior, steps):
    with pytest.raises(UserError, match="method.steps: found [04] stages"):
        ILO(steps=steps).stages(style_prior.generator)


def test_radii_must_be_one_per_stage(style_prior):
    with pytest.raises(UserError, match="method.style_radii: found 1 radii"):
        ILO(steps=(1, 1), style_radii=(1.0,)).stages(style_prior.generator)
