"""Langevin chains draw from posteriors that are known in closed form."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from rtil_jax.errors import UserError
from rtil_jax.experiments.report import draw_posterior
from rtil_jax.generators import init
from rtil_jax.inversion import (
    ILO,
    Langevin,
    Prior,
    invert,
    make_problem,
    posterior_samples,
)
from rtil_jax.metrics import coverage, crps
from tests.toy_generator import ToyGenerator

SIGMA, NOISE = 0.8, 3.0


class LinearGenerator(ToyGenerator):
    """image = W features + b, so the posterior of z_1 is Gaussian."""

    def tail(self, features, latents, block):
        return features if block == 2 else self._apply(features, 2)


@pytest.fixture(scope="module")
def linear_prior():
    generator = LinearGenerator()
    return Prior.of(generator, init(generator, jax.random.key(0)))


@pytest.fixture(scope="module")
def noisy_problem(linear_prior):
    latents = {"z": jax.random.normal(jax.random.key(5), (2, 6))}
    truth = linear_prior.generator.apply(linear_prior.variables, latents)
    return make_problem(
        "compressed_sensing",
        truth,
        np.arange(2),
        ratio=0.2,
        seed=1,
        noise_std=NOISE,
    )


def one_image(problem, keys):
    return jax.tree.map(lambda x: x[:1], problem), keys[:1]


# Of the two, the curvature of the objective is 22 at most.
RATE = 0.02
METHOD = ILO(steps=(0, 0), learning_rate=0.1, prior_sigma=SIGMA)


def gaussian_posterior(prior, problem, features):
    """Mean and covariance of z_1 for y = A(W (h + z_1) + b) + noise, image 0."""
    operator = jax.tree.map(lambda x: x[0], problem.operators)

    def measured(z):
        tail = prior.generator.apply(
            prior.variables, features + z[None], {}, 1, method="tail"
        )
        return operator(tail[0])

    shape = (4, 4, 2)
    matrix = np.asarray(jax.jacobian(measured)(jnp.zeros(shape)), np.float64)
    matrix = matrix.reshape(-1, 32)
    residual = np.asarray(problem.measurements[0] - measured(jnp.zeros(shape)))
    precision = matrix.T @ matrix / NOISE**2 + np.eye(32) / SIGMA**2
    covariance = np.linalg.inv(precision)
    mean = covariance @ matrix.T @ residual / NOISE**2
    # The first test below is void unless y tells something, and not everything.
    scales = np.linalg.eigvalsh(covariance) / SIGMA**2
    assert scales[0] < 0.3 and scales[-1] > 0.99
    return mean, covariance


@pytest.fixture(scope="module")
def chains_of_one_image(linear_prior, noisy_problem):
    """Ends of many chains from one z_0, `(chains, 32)`; mean and covariance of z_1."""
    problem, keys = one_image(*noisy_problem)
    chains = 1_000
    many = jax.tree.map(lambda x: jnp.repeat(x, chains, axis=0), problem)
    temperature = 2 * NOISE**2 / 12
    latents = METHOD.start(linear_prior, keys[0])["latents"]

    class FromOneStart(Langevin):
        def start(self, prior, key):
            return {"latents": latents, "intermediates": {}}

    method = FromOneStart(METHOD, temperature, steps=600, learning_rate=RATE)
    found = invert(
        method, linear_prior, many, jax.random.split(keys[0], chains), select="last"
    )
    head = linear_prior.generator.apply(
        linear_prior.variables, {"z": latents["z"][None]}, 1, method="head"
    )
    mean, covariance = gaussian_posterior(linear_prior, problem, head)
    z = np.asarray(found.solution.features - head, np.float64).reshape(chains, 32)
    return z, mean, covariance


def test_mean_and_covariance_are_those_of_the_posterior(chains_of_one_image):
    """z_1 - mean, whitened, is N(0, I)."""
    z, mean, covariance = chains_of_one_image
    chains = len(z)
    white = np.linalg.solve(np.linalg.cholesky(covariance), (z - mean).T).T
    error = 4.5 / np.sqrt(chains)  # of 560 numbers, none is likely to be farther out
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=error)
    second = white.T @ white / chains
    tolerance = error * np.where(np.eye(32), np.sqrt(2), 1)
    assert np.all(np.abs(second - np.eye(32)) < tolerance)
    # All directions together: a wrong temperature or a biased rate would show here.
    assert abs(np.trace(second) / 32 - 1) < error * np.sqrt(2 / 32)


def test_the_chains_are_calibrated_and_score_as_the_posterior_does(chains_of_one_image):
    """For truths of that posterior: coverage is the level, CRPS is sigma / sqrt(pi)."""
    z, mean, covariance = chains_of_one_image
    root, generator = np.linalg.cholesky(covariance), np.random.default_rng(0)
    truths = mean + generator.standard_normal((500, 32)) @ root.T
    ensemble = np.broadcast_to(z[:199].astype(np.float32), (500, 199, 32))
    levels, covered = coverage(ensemble, truths.astype(np.float32))
    assert (levels[0], levels[-1]) == (0.99, 0.01)
    np.testing.assert_allclose(np.mean(covered, axis=0), levels, atol=0.03)
    score = np.mean(crps(ensemble, truths.astype(np.float32)))
    expected = np.mean(np.sqrt(np.diag(covariance))) / np.sqrt(np.pi)
    np.testing.assert_allclose(score, expected, rtol=0.03)
    # Chains that were too sure of themselves would be found out.
    narrow = (mean + 0.7 * (ensemble - mean)).astype(np.float32)
    _, covered = coverage(narrow, truths.astype(np.float32))
    assert np.all(np.mean(covered, axis=0)[5:50] < levels[5:50] - 0.02)


def draw(prior, problem, keys, **options):
    settings = {"noise_std": NOISE, "steps": 300, "learning_rate": RATE, "samples": 4}
    return posterior_samples(METHOD, prior, problem, keys, **settings | options)


def test_mean_and_spread_are_those_of_the_samples(linear_prior, noisy_problem):
    found = draw(linear_prior, *noisy_problem)
    assert found.images.shape == (2, 4, 8, 8, 1)
    assert found.chains.status == ["ok"] * 8
    images = np.asarray(found.images)
    np.testing.assert_allclose(found.mean, images.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(found.std, images.std(axis=1, ddof=1), atol=1e-6)
    assert np.all(images.std(axis=1, ddof=1) > 1e-3)


def test_samples_of_an_image_do_not_depend_on_the_batch(linear_prior, noisy_problem):
    problem, keys = noisy_problem
    together = draw(linear_prior, problem, keys).images
    alone = draw(linear_prior, *one_image(problem, keys)).images
    np.testing.assert_allclose(together[:1], alone, atol=1e-4)
    again = draw(linear_prior, problem, jax.random.split(keys[0], 2)).images
    assert np.all(np.std(together - again, axis=(1, 2, 3, 4)) > 0.1)


def test_the_chain_starts_where_ilo_ended_and_is_warm_alone(linear_prior):
    method = Langevin(ILO(steps=(1, 1)), 0.5, steps=7, learning_rate=0.1)
    first, second, chain = method.stages(linear_prior.generator)
    assert first.temperature is None and second.temperature is None
    assert chain.temperature == 0.5
    assert (second.optimizer, chain.optimizer) == ("adam", "sgd")
    assert chain.block == second.block == 1
    assert chain.prior_weight == 32 * 0.5 / 2
    start = method.start(linear_prior, jax.random.key(0))
    variables = jax.tree.map(lambda x: x[None], start)
    z = jax.random.normal(jax.random.key(1), (1, 4, 4, 2))
    ended = second.begin(linear_prior, variables) | {"intermediates": {1: z}}
    before = second.decode(linear_prior, ended)
    after = chain.decode(linear_prior, chain.begin(linear_prior, ended))
    jax.tree.map(np.testing.assert_array_equal, before, after)


FOUR_DEVICES = """
import jax, numpy as np
from rtil_jax.devices import data_mesh
from rtil_jax.generators import init
from rtil_jax.inversion.solver import run_stage
from tests.inversion.test_langevin import *

generator = LinearGenerator()
prior = Prior.of(generator, init(generator, jax.random.key(0)))
problem, keys = make_problem(
    "compressed_sensing", np.ones((4, 8, 8, 1)), np.arange(4), ratio=0.2, seed=0
)
*_, chain = Langevin(METHOD, 1.5, steps=20, learning_rate=RATE).stages(generator)
variables = jax.vmap(METHOD.start, (None, 0))(prior, keys)

def drawn(devices):
    mesh = data_mesh(devices)
    inputs = (chain, prior, problem, variables, "last", mesh, lambda *_: None, keys)
    return run_stage(*inputs)[0]["intermediates"][1]

assert jax.device_count() == 4
np.testing.assert_allclose(drawn(4), drawn(1), atol=1e-4)
print("equal")
"""


def test_four_devices_draw_what_one_does():
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=4"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", FOUR_DEVICES],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.strip().endswith("equal"), done.stderr


def test_the_figure_has_mean_spread_and_samples(linear_prior, noisy_problem, tmp_path):
    problem, keys = noisy_problem
    path = str(tmp_path / "posterior.png")
    draw_posterior(problem, draw(linear_prior, problem, keys), path)
    width, height = Image.open(path).size
    assert width > 7 * 256 and height > 2 * 256


@pytest.mark.parametrize(
    "options, message",
    [
        ({"samples": 1}, "samples: found 1, expected a whole number from 2"),
        ({"noise_std": 0.0}, "noise_std: found 0.0, expected a number above 0"),
    ],
)
def test_arguments_out_of_range(options, message, linear_prior, noisy_problem):
    with pytest.raises(UserError, match=message):
        draw(linear_prior, *noisy_problem, **options)


def test_operators_must_measure_equally_much(linear_prior, noisy_problem):
    problem, keys = noisy_problem
    mask = problem.operators.mask.at[0].set(1.0)
    problem = problem.replace(operators=problem.operators.replace(mask=mask))
    with pytest.raises(UserError, match="found operators of 12 to 64 measurements"):
        draw(linear_prior, problem, keys)


def test_an_ilo_of_one_stage_has_no_z_to_draw(linear_prior):
    with pytest.raises(UserError, match="method.steps: found 1 stage, expected at"):
        Langevin(ILO(steps=(1,)), 1.0, 1, 0.1).stages(linear_prior.generator)
