"""In a process with JAX_ENABLE_X64=1: single precision, and the same numbers."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax import devices
from rtil_jax.checkpoints import Checkpoints
from rtil_jax.experiments.training.configured_recipe import build_recipe, resolved
from rtil_jax.experiments.training.training_plan import abstract_state
from rtil_jax.families import AdditiveFamily, draw_members, flat_dirichlet
from rtil_jax.generators import (
    DCGANGenerator,
    LinearGenerator,
    PGGANGenerator,
    StyleGAN2Generator,
    init,
    sample_latents,
)
from rtil_jax.inversion import (
    CSGM,
    ILO,
    MGANPrior,
    Prior,
    Surgery,
    invert,
    make_problem,
)
from rtil_jax.inversion.inverting import _start
from rtil_jax.inversion.langevin import Langevin
from rtil_jax.inversion.solver import begin, descend
from rtil_jax.metrics.sliced_wasserstein import patches
from rtil_jax.operators import OPERATORS, sample_operator
from rtil_jax.precision import single
from rtil_jax.theory import learning
from tests.training.tiny_run import make_images, tiny_config, tiny_pggan_config

GENERATORS = (
    StyleGAN2Generator(8, max_channels=4, latent_dim=4, mapping_layers=1),
    StyleGAN2Generator(
        8, max_channels=4, latent_dim=4, mapping_layers=1, style_mixing=0.5
    ),
    PGGANGenerator(8, max_channels=4, latent_dim=4),
    PGGANGenerator(8, max_channels=4, latent_dim=4, layout="official"),
    PGGANGenerator(16, max_channels=4, latent_dim=4, precision="bfloat16"),
    DCGANGenerator(8, base_channels=2, latent_dim=4),
    LinearGenerator(4, latent_dim=3, num_features=5),
)
EVERYTHING = ILO(
    steps=(4, 4),
    noise_radii=(1.0, 1.0),
    style_radii=(1.0, 1.0),
    feature_radii=(1.0, 1.0),
    prior_weight=(0.1,),
    prior_form="shell",
)
METHODS = (
    CSGM(steps=6),
    EVERYTHING,
    MGANPrior(codes=4, block=1, steps=6, codes_at_once=2, start_weights="uniform"),
    Surgery(block=1, steps=6),
    Langevin(ILO(steps=(2, 2)), temperature=0.1, steps=3, learning_rate=0.01),
)


def doubles(tree):
    """Names of the leaves in double precision."""
    return [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        if leaf.dtype in (np.float64, np.complex128)
    ]


def assert_single(function, *arguments):
    """Traces it; what it would return has no double precision."""
    found = jax.eval_shape(function, *arguments)
    assert doubles(found) == []
    return found


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def ratio_of(problem):
    return 1.0 if problem in ("colourisation", "denoising") else 0.5


@jax.jit
def draws(key, variables):
    """What JAX would draw from other bits in 64-bit mode, if it were not told."""
    return {
        "signs": sample_operator("compressed_sensing", key, (4, 4, 1), 0.5).signs,
        "permutation": sample_operator("fourier", key, (8, 8, 1), 0.5).mask,
        "mixed styles": sample_latents(GENERATORS[1], variables, key, 4)["styles"],
        "members": draw_members(key, (0.3, 0.7), 16, 4),
        "weights of codes": flat_dirichlet(key, (2, 3)),
    }


def test_the_same_is_drawn():
    shapes = jax.eval_shape(lambda: init(GENERATORS[1], key()))
    variables = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes)
    expected = draws(key(), variables)
    with jax.enable_x64(True):
        found = draws(key(), variables)
    assert doubles(found) == []
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-6), found, expected)


@pytest.mark.parametrize("generator", GENERATORS, ids=lambda g: type(g).__name__)
def test_generators_are_in_single_precision(generator, x64):
    variables = assert_single(lambda: init(generator, key()))
    latents = assert_single(lambda v: sample_latents(generator, v, key(), 2), variables)
    assert_single(generator.apply, variables, latents)
    additive = AdditiveFamily((1,), 1.0, (0.5, 0.5))
    members = np.array([0, 1])
    assert_single(lambda v: additive.sample(generator, v, key(), members), variables)
    images = jax.ShapeDtypeStruct((2, 32, 32, 3), np.float32)
    assert_single(lambda x: patches(x, jax.random.split(key())), images)


@pytest.mark.parametrize("problem", OPERATORS)
def test_operators_follow_the_precision_of_the_images(problem, x64):
    ratio = ratio_of(problem)
    sample = jax.eval_shape(
        lambda: sample_operator(problem, jax.random.key(0), (8, 8, 3), ratio)
    )
    for kind in (np.float32, np.float64):
        x = jax.ShapeDtypeStruct((8, 8, 3), kind)
        assert jax.eval_shape(lambda a, x: a(x), sample, x).dtype == kind


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_every_step_of_every_method_is_in_single_precision(method, x64):
    generator, mesh = GENERATORS[0], devices.data_mesh(1)
    prior = assert_single(lambda: Prior.of(generator, init(generator, key())))
    problem, keys = assert_single(
        lambda: make_problem(
            "compressed_sensing",
            np.zeros((2, 8, 8, 3)),
            np.arange(2),
            ratio=0.5,
            seed=0,
        )
    )
    variables = assert_single(lambda p, k: _start(method, p, k), prior, keys)
    for stage in method.stages(generator):
        variables, iterate = assert_single(
            lambda *arrays, stage=stage: begin(stage, *arrays), prior, variables, keys
        )
        rates, arrays = np.zeros(10, np.float32), (problem, variables, iterate)
        after, _ = assert_single(
            lambda prior, *arrays, stage=stage, rates=rates: descend(
                stage, "oracle", mesh, prior, None, *arrays, rates, 10
            ),
            prior,
            *arrays,
        )
        assert kinds(after) == kinds(iterate)


def key():
    return jax.random.key(0)


def kinds(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


def test_inversion_finds_the_same():
    generator = GENERATORS[-1]
    variables = init(generator, key())
    truth = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 4, 4, 1))

    def find(precision):
        def cast(tree):
            return jax.tree.map(lambda x: np.asarray(x, precision), tree)

        problem, keys = make_problem(
            "inpainting", cast(truth), np.arange(2), ratio=0.5, seed=0, noise_std=0.01
        )
        # As if measured by other code.
        problem = dataclasses.replace(
            problem,
            measurements=cast(problem.measurements),
            operators=cast(problem.operators),
            truth=cast(truth),
        )
        prior = Prior.of(generator, cast(variables))
        method = ILO(steps=(3,), style_radii=(1.0,))
        return invert(method, prior, problem, keys, select="oracle")

    expected = find(np.float32)
    with jax.enable_x64(True):
        found = find(np.float64)
    assert doubles((found.images, found.solution, found.measurement_loss)) == []
    assert found.status == expected.status
    np.testing.assert_allclose(found.images, expected.images, atol=1e-4)


def test_the_linear_models_are_trained_in_single_precision(x64):
    train = assert_single(
        lambda key: learning.train(
            GENERATORS[-1],
            learning.FAMILIES["rtil"],
            init(GENERATORS[-1], key),
            key,
            steps=2,
            batch=4,
            learning_rate=0.1,
        ),
        key(),
    )
    assert train["params"]["W1"].shape == (16, 5)


@pytest.mark.parametrize("make_config", [tiny_config, tiny_pggan_config])
def test_training_continues_in_either_mode(make_config, tmp_path):
    config = make_config(make_images(tmp_path / "images", 1))
    recipe, mesh = build_recipe(resolved(config, 1)), devices.data_mesh(1)
    state = abstract_state(recipe, mesh)
    with jax.enable_x64(True), jax.set_mesh(mesh):
        again = abstract_state(recipe, mesh)
        assert kinds(again) == kinds(state)
        for function, static, *rest in programs_of(recipe, state).values():
            after, _ = assert_single(
                lambda *arrays, f=function, s=static: f(*s, *arrays), *rest
            )
            assert kinds(after) == kinds(state)
        assert_single(lambda params: recipe.sample(params, 9, 2), state.ema)

    for first, then in ((False, True), (True, False)):
        saved = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), state)
        workdir = str(tmp_path / f"{first}")
        with jax.enable_x64(first), Checkpoints(workdir, 1) as checkpoints:
            checkpoints.save(9, saved, {"seed": 0})
        with jax.enable_x64(then), Checkpoints(workdir, 1) as checkpoints:
            restored = checkpoints.restore(abstract_state(recipe, mesh))
        assert kinds(restored) == kinds(saved)


def programs_of(recipe, state):
    """Name -> (jitted function, static arguments, *arrays) of a step."""

    def images_at(batch):
        shape = batch.size, batch.resolution, batch.resolution, 3
        return jax.ShapeDtypeStruct(shape, np.float32)

    found = {}
    programs = recipe.programs(state, images_at, jax.eval_shape(key))
    for name, (function, *arguments) in programs.items():
        first = arguments.index(state)
        found[name] = (function, arguments[:first], *arguments[first:])
    return found


def test_only_double_precision_is_converted(x64):
    tree = {
        "a": np.zeros(2), "b": jnp.zeros(2, jnp.bfloat16), "c": 0.5, "d": np.arange(2),
        "e": np.zeros(2, complex), "key": key(),
    }  # fmt: skip
    found = single(tree)
    assert found["a"].dtype == np.float32 and found["e"].dtype == np.complex64
    assert all(found[name] is tree[name] for name in ("b", "c", "d", "key"))
