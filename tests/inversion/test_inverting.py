"""`invert` itself: batches, devices, selection, restarts, divergence."""

import dataclasses
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.baselines import Biharmonic
from rtil_jax.devices import data_mesh
from rtil_jax.errors import UserError
from rtil_jax.inversion import (
    CSGM,
    ILO,
    Problem,
    invert,
    measurement_loss,
    programs,
)
from rtil_jax.inversion.csgm import CSGMStage
from rtil_jax.inversion.inverting import render_jitted
from rtil_jax.inversion.solutions import Solution
from rtil_jax.inversion.solver import begin, descend

METHOD = ILO(steps=(12, 8), learning_rate=0.1)


def rows(tree, start, stop):
    return jax.tree.map(lambda x: x[start:stop], tree)


def test_the_loss_is_the_mean_square_over_measured_numbers(toy_prior, sampled_problem):
    problem, _ = sampled_problem(toy_prior, 2, ratio=0.25, problem="inpainting")
    images = jax.random.normal(jax.random.key(0), problem.truth.shape)
    seen = np.asarray(problem.operators.mask) > 0
    for i, loss in enumerate(measurement_loss(problem, images)):
        error = np.asarray(images - problem.truth)[i][seen[i]]
        assert len(error) == 16
        np.testing.assert_allclose(loss, np.mean(error**2), rtol=1e-5)


def test_the_same_problem_and_keys_make_the_same_bits(style_prior, sampled_problem):
    problem, keys = sampled_problem(style_prior, 3)
    found, again = (invert(METHOD, style_prior, problem, keys) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, found.solution, again.solution)
    np.testing.assert_array_equal(found.images, again.images)


def test_a_result_does_not_depend_on_the_batch(style_prior, sampled_problem):
    problem, keys = sampled_problem(style_prior, 3)
    together = invert(METHOD, style_prior, problem, keys)
    alone = invert(METHOD, style_prior, rows(problem, 1, 2), keys[1:2])
    np.testing.assert_allclose(together.images[1:2], alone.images, atol=2e-3)
    np.testing.assert_allclose(
        together.measurement_loss[1], alone.measurement_loss[0], rtol=1e-2
    )


def test_a_search_in_bfloat16_is_rendered_in_float32(style_prior, sampled_problem):
    problem, keys = sampled_problem(style_prior, 3)
    exact = invert(METHOD, style_prior, problem, keys)
    found = invert(METHOD, style_prior, problem, keys, precision="bfloat16")
    inputs = style_prior.generator, style_prior.variables, found.solution
    np.testing.assert_array_equal(found.images, render_jitted(*inputs))
    loss = measurement_loss(found.problem, found.images)
    np.testing.assert_allclose(found.measurement_loss, loss, rtol=1e-5)
    types = {x.dtype for x in jax.tree.leaves(found.solution)}
    assert types == {np.dtype(np.float32)}
    assert not np.array_equal(found.images, exact.images)
    assert found.status == exact.status
    np.testing.assert_allclose(found.measurement_loss, exact.measurement_loss, rtol=0.1)


def test_a_precision_that_cannot_be(toy_prior, sampled_problem):
    problem, keys = sampled_problem(toy_prior, 2, problem="inpainting")
    message = "invert: precision: found 'bfloat16', expected 'float32' for ToyGenerator"
    with pytest.raises(UserError, match=message):
        invert(METHOD, toy_prior, problem, keys, precision="bfloat16")
    with pytest.raises(UserError, match="precision with a baseline, expected"):
        invert(Biharmonic(), None, problem, keys, precision="bfloat16")


def test_enough_measurements_recover_an_image_in_the_range(toy_prior, sampled_problem):
    generator, variables = toy_prior.generator, toy_prior.variables
    latents = generator.sample_latents(jax.random.key(3), 2)
    truth = generator.apply(variables, latents)
    problem, keys = sampled_problem(toy_prior, 2, ratio=0.5)
    y = jax.vmap(lambda a, x: a(x))(problem.operators, truth)
    problem = Problem(problem.operators, y)
    found = invert(CSGM(400, 0.1), toy_prior, problem, keys, restarts=4)
    assert found.status == ["ok", "ok"]
    np.testing.assert_allclose(found.images, truth, atol=1e-2)


@pytest.mark.parametrize("select", ["measurement", "oracle"])
def test_selection_returns_the_lowest_score_of_all_iterates(
    select, toy_prior, sampled_problem
):
    # A rate at which the loss goes up and down.
    method = CSGM(steps=30, learning_rate=0.9)
    problem, keys = sampled_problem(toy_prior, 3, ratio=0.2)
    seen = []
    found = invert(
        method,
        toy_prior,
        problem,
        keys,
        select=select,
        progress=lambda stage, step, loss: seen.append(np.asarray(loss)),
    )
    losses = np.stack(seen)
    assert len(losses) == 31 and np.any(np.diff(losses, axis=0) > 0)
    if select == "measurement":
        np.testing.assert_allclose(found.measurement_loss, losses.min(0), rtol=1e-5)
    else:
        other = invert(method, toy_prior, problem, keys, select="measurement")

        def error(images):
            return jnp.mean((images - problem.truth) ** 2, axis=(1, 2, 3))

        assert jnp.all(error(found.images) < 0.9 * error(other.images))
    np.testing.assert_allclose(
        measurement_loss(problem, found.images), found.measurement_loss, rtol=1e-3
    )


def test_last_returns_the_iterate_after_the_last_update(toy_prior, sampled_problem):
    problem, keys = sampled_problem(toy_prior, 2)
    losses = []
    found = invert(
        CSGM(steps=10, learning_rate=0.5),
        toy_prior,
        problem,
        keys,
        select="last",
        progress=lambda stage, step, loss: losses.append(np.asarray(loss)),
    )
    np.testing.assert_allclose(found.measurement_loss, losses[-1], rtol=1e-5)
    assert found.history[-1][:2] == (0, 10)


def test_restarts_keep_the_start_with_the_lowest_loss(toy_prior, sampled_problem):
    problem, keys = sampled_problem(toy_prior, 3, ratio=0.3)
    method = CSGM(steps=20, learning_rate=0.1)
    once = invert(method, toy_prior, problem, keys)
    best = invert(method, toy_prior, problem, keys, restarts=5)
    # The first of the five starts is that of a single run.
    assert np.all(best.measurement_loss <= once.measurement_loss * (1 + 1e-4))
    assert np.any(best.measurement_loss < 0.9 * once.measurement_loss)
    assert best.images.shape == once.images.shape


def test_an_image_that_diverges_does_not_touch_the_others(toy_prior, sampled_problem):
    problem, keys = sampled_problem(toy_prior, 3)
    poisoned = dataclasses.replace(
        problem, measurements=problem.measurements.at[1].set(1e30)
    )
    method = ILO(steps=(8, 8), learning_rate=0.1)
    good = invert(method, toy_prior, problem, keys)
    found = invert(method, toy_prior, poisoned, keys)
    assert found.status == ["ok", "failed", "ok"]
    assert jnp.all(jnp.isfinite(found.images))
    np.testing.assert_allclose(found.images[::2], good.images[::2], atol=1e-5)


@dataclasses.dataclass(frozen=True)
class Spike(CSGMStage):
    """The pixels themselves; of image 1 they are too large in one step, the fourth."""

    def begin(self, prior, variables):
        batch = len(variables["z"])
        images = jnp.zeros((batch, *prior.image_shape))
        spikes = jnp.arange(batch) == 1
        return variables | {
            "images": images,
            "step": jnp.zeros(batch),
            "spikes": spikes,
        }

    def free(self, prior, variables):
        return {"z": False, "spikes": False, "images": True, "step": True}

    def decode(self, prior, variables):
        spike = (variables["step"] == 3) & variables["spikes"]
        spike = jnp.reshape(spike, (-1, 1, 1, 1))
        images = jnp.where(spike, 1e30, variables["images"])
        return Solution({"z": variables["z"]}, images, block=2)

    def constrain(self, variables, start):
        # What is kept stays what it is, whatever is done to it here.
        return variables | {"step": variables["step"] + 1, "z": variables["z"] + 1}


class Spiking(CSGM):
    def stages(self, generator):
        return (Spike(self.steps, self.learning_rate),)

    def start(self, prior, key):
        return {"z": jnp.zeros(prior.generator.latent_dim)}


def test_one_infinite_loss_between_two_records_is_a_failure(toy_prior, sampled_problem):
    problem, keys = sampled_problem(toy_prior, 2)
    found = invert(Spiking(steps=8), toy_prior, problem, keys)
    assert not jnp.any(found.solution.latents["z"])
    assert all(np.isfinite(losses).all() for *_, losses in found.history)
    assert found.status == ["ok", "failed"]


def test_a_run_that_gets_nowhere_is_called_stalled(toy_prior, sampled_problem):
    problem, keys = sampled_problem(toy_prior, 2)
    found = invert(CSGM(steps=5, learning_rate=0.0), toy_prior, problem, keys)
    assert found.status == ["stalled", "stalled"]


def test_a_sweep_of_ratios_rates_steps_and_weights_compiles_each_stage_once(
    toy_prior, sampled_problem
):
    sizes = []
    for ratio, rate, steps, weight in ((0.2, 0.1, 4, 1.0), (0.4, 0.2, 6, 2.5)):
        problem, keys = sampled_problem(toy_prior, 5, ratio=ratio)
        method = ILO(
            steps=(steps, steps),
            learning_rate=rate,
            prior_weight=weight,
            prior_sigma=weight,
        )
        invert(method, toy_prior, problem, keys)
        sizes.append(programs.descend_one._cache_size())
    assert sizes[0] == sizes[1] > 0


@pytest.mark.parametrize("merged", [True, False])
def test_what_is_compiled_before_the_first_step_is_what_runs(
    merged, toy_prior, sampled_problem, monkeypatch
):
    """One program of both stages, or two side by side; no other one is compiled."""
    monkeypatch.setattr(programs, "can_merge", lambda *_: merged)
    problem, keys = sampled_problem(toy_prior, 6 + merged)
    compiled, known = [], []

    def heard(event, _, fun_name="", **__):
        if event.endswith("backend_compile_duration") and "descend" in fun_name:
            compiled.append(fun_name)

    jax.monitoring.register_event_duration_secs_listener(heard)
    invert(ILO(steps=(2, 3)), toy_prior, problem, keys, before=known.append)
    names = list(known[0])
    assert (
        names
        == [["stage 1 of 2", "stage 2 of 2"], ["stage 1 of 2, stage 2 of 2"]][merged]
    )
    assert len(compiled) == len(names)
    other, other_keys = sampled_problem(toy_prior, 8 + merged)
    compiled.clear()

    def on_step(stage, step, loss):
        if not step:
            assert len(compiled) == len(names)

    invert(ILO(steps=(2, 3)), toy_prior, other, other_keys, progress=on_step)
    assert len(compiled) == len(names)


def test_steps_in_one_call_are_those_of_several_calls(style_prior, sampled_problem):
    problem, keys = sampled_problem(style_prior, 2)
    method, rates = ILO(steps=(4,)), jnp.array([0.0, 0.1, 0.2, 0.3, 0.4])
    (stage,), start = (
        method.stages(style_prior.generator),
        jax.vmap(method.start, (None, 0)),
    )
    variables, iterate = begin(stage, style_prior, start(style_prior, keys))
    setting = (
        stage,
        "measurement",
        data_mesh(1),
        style_prior,
        None,
        problem,
        variables,
    )
    once, losses = descend(*setting, jax.tree.map(jnp.copy, iterate), rates, 3)
    for index in range(3):
        iterate, loss = descend(*setting, iterate, rates[index : index + 1], 1)
        np.testing.assert_allclose(losses[index], loss[0], rtol=1e-4)
    assert not losses[3:].any()
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, atol=1e-3),
        once.free,
        iterate.free,
    )


EIGHT_DEVICES = """
import jax, numpy as np
from benchmarks.collectives import collectives
from rtil_jax.devices import data_mesh
from rtil_jax.generators import StyleGAN2Generator, init
from rtil_jax.inversion import ILO, Prior, invert, make_problem, programs
assert jax.device_count() == 8
generator = StyleGAN2Generator(8, 1, max_channels=8, latent_dim=8, mapping_layers=1)
prior = Prior.of(generator, init(generator, jax.random.key(0)))
prior = jax.device_put(prior, jax.devices()[0])  # as a checkpoint is loaded
truth = np.asarray(jax.random.uniform(jax.random.key(1), (3, 8, 8, 1), minval=-1.0))
problem, keys = make_problem(
    "compressed_sensing", truth, np.arange(3), ratio=0.3, seed=0
)
descend_one, texts = programs.descend_one, []
def watched(stages, index, select, mesh, *arguments):
    if mesh.size == 8 and not texts:
        lowered = descend_one.lower(stages, index, select, mesh, *arguments)
        texts.append(lowered.compile().as_text())
    return descend_one(stages, index, select, mesh, *arguments)
watched.lower = descend_one.lower
programs.descend_one = watched
def run(devices):
    losses = []
    found = invert(
        ILO(steps=(6, 4)), prior, problem, keys, mesh=data_mesh(devices), restarts=2,
        progress=lambda stage, step, loss: losses.append(np.asarray(loss)[:6]),
    )
    return found, losses
one, losses = run(1)
found, likewise = run(8)
# Of the first three updates; Adam amplifies rounding from step to step.
np.testing.assert_allclose(likewise[:4], losses[:4], rtol=1e-4)
np.testing.assert_allclose(found.images, one.images, atol=1e-3)
np.testing.assert_allclose(found.measurement_loss, one.measurement_loss, rtol=1e-3)
assert "fusion" in texts[0] and "conditional" in texts[0]
assert not collectives(texts[0])
assert descend_one._cache_size() == 2  # one for each number of devices
from rtil_jax.inversion import CSGM, Problem
from rtil_jax.operators import sample_operator, sample_operators
from tests.toy_generator import ToyGenerator
toy = Prior.of(ToyGenerator(), init(ToyGenerator(), jax.random.key(0)))
operator = sample_operator("gaussian", jax.random.key(3), (8, 8, 1), 0.5)
several = jax.tree.map(lambda x: jax.numpy.stack([x] * 3), operator)
y = jax.vmap(operator)(truth)
shared, own = (
    invert(CSGM(3), toy, Problem(a, y), keys, restarts=2) for a in (operator, several)
)
np.testing.assert_allclose(shared.images, own.images, atol=1e-5)
print("equal")
"""


def test_eight_devices_find_what_one_does_without_a_collective():
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=8"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", EIGHT_DEVICES],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.strip().endswith("equal"), done.stderr


@pytest.mark.parametrize(
    "options, message",
    [
        ({"select": "orcale"}, "found select='orcale', expected one of measurement"),
        ({"select": "oracle"}, "the true images for select='oracle'"),
        ({"restarts": 0}, "restarts: found 0, expected a whole number from 1"),
        ({"keys": 5}, "found 5 keys, expected 2"),
    ],
)
def test_arguments_that_do_not_fit_are_named(
    options, message, toy_prior, sampled_problem
):
    problem, keys = sampled_problem(toy_prior, 2)
    problem = Problem(problem.operators, problem.measurements)
    options = dict(options)
    keys = jax.random.split(keys[0], options.pop("keys", 2))
    with pytest.raises(UserError, match=message):
        invert(METHOD, toy_prior, problem, keys, **options)


def test_the_scored_last_iterate_is_the_one_returned(toy_prior, sampled_problem):
    """Also where the constraint would move it again."""
    problem, keys = sampled_problem(toy_prior, 2)
    method = ILO(steps=(10,), style_radii=(0.5,))
    found = invert(method, toy_prior, problem, keys, select="last")
    np.testing.assert_allclose(
        measurement_loss(problem, found.images), found.measurement_loss, rtol=1e-4
    )
