"""Recovering images without a prior, and finishes after a method with one."""

import dataclasses
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.fft import idctn

from rtil_jax.baselines import (
    Bicubic,
    Biharmonic,
    GaussianField,
    Measured,
    PlugAndPlay,
    TotalVariation,
    Wavelet,
    back_project,
)
from rtil_jax.baselines.denoisers import DENOISERS
from rtil_jax.baselines.gaussian_field import power_law
from rtil_jax.baselines.linear import forward
from rtil_jax.errors import UserError
from rtil_jax.inversion import CSGM, DeepDecoder, Problem, invert, make_problem, render
from rtil_jax.inversion.without_prior import image_shape_of
from rtil_jax.metrics import psnr
from rtil_jax.operators import (
    Colourisation,
    Denoising,
    Fourier,
    Inpainting,
    MultiCoilFourier,
    PhaseRetrieval,
    SuperResolution,
)

SIZE = 16
LINEAR = {"compressed_sensing": 0.4, "inpainting": 0.4, "super_resolution": 0.5}


def blocks(channels=1, height=SIZE):
    """Two images of large flat squares, which all baselines take for likely."""
    small = jax.random.uniform(
        jax.random.key(3),
        (2, height // 4, SIZE // 4, channels),
        minval=-0.8,
        maxval=0.8,
    )
    return jnp.repeat(jnp.repeat(small, 4, axis=1), 4, axis=2)


@pytest.fixture(scope="module")
def problems():
    return {
        name: make_problem(name, blocks(), jnp.arange(2), ratio=ratio, seed=0)
        for name, ratio in LINEAR.items()
    }


def quality(found, problem):
    images, truth = (jnp.clip(x, -1, 1) for x in (found.images, problem.truth))
    return psnr((images + 1) / 2, (truth + 1) / 2)


def least_norm(measured, key):
    """A baseline of one's own, a function of the two arguments."""
    return back_project(measured, jnp.zeros(measured.image_shape))


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize(
    "method", [TotalVariation(), Wavelet(60), PlugAndPlay(iterations=3)]
)
def test_any_linear_operator_is_undone_better_than_by_the_least_norm(
    method, name, problems
):
    problem, keys = problems[name]
    base, found = (invert(m, None, problem, keys) for m in (least_norm, method))
    assert np.all(quality(found, problem) > quality(base, problem) + 3)
    assert found.status == ["ok", "ok"] and found.solution is None


def test_total_variation_of_flat_squares_is_exact(problems):
    problem, keys = problems["compressed_sensing"]
    found = invert(TotalVariation(), None, problem, keys)
    assert np.all(quality(found, problem) > 32)
    assert np.all(found.measurement_loss < 1e-3 * jnp.mean(problem.measurements**2))


def test_a_gaussian_field_is_the_image_of_least_energy_that_explains_y(problems):
    problem, _ = problems["compressed_sensing"]
    operator, y = jax.tree.map(
        lambda x: x[0], (problem.operators, problem.measurements)
    )
    measured = Measured(operator, y, (SIZE, SIZE, 1))
    found = GaussianField()(measured)
    np.testing.assert_allclose(operator(found), y, atol=5e-3)
    k, n = np.meshgrid(np.arange(SIZE), np.arange(SIZE), indexing="ij")
    cosines = np.cos(np.pi * k * (n + 0.5) / SIZE) * np.where(k, 2, 1) ** 0.5 / 4
    waves = np.kron(cosines, cosines)
    spectrum = np.ravel(power_law((SIZE, SIZE, 1), 3.0, 0.1))
    assert spectrum.mean() == pytest.approx(1)
    covariance = waves.T @ (spectrum[:, None] * waves)
    matrix = np.asarray(jax.vmap(lambda x: forward(measured, x))(np.eye(SIZE**2))).T
    matrix, y = (x[np.ravel(operator.mask) > 0] for x in (matrix, np.ravel(y)))
    dense = np.linalg.solve(matrix @ covariance @ matrix.T, y)
    expected = covariance @ matrix.T @ dense
    np.testing.assert_allclose(np.ravel(found), expected, atol=2e-3)


def test_a_finish_may_take_the_mean_with_the_gaussian_field(toy_prior, sampled_problem):
    problem, keys = sampled_problem(toy_prior, 2, ratio=0.5, problem="inpainting")
    of_prior = invert(CSGM(steps=5), toy_prior, problem, keys).images
    of_field = invert(GaussianField(), None, problem, keys).images
    found = invert(CSGM(steps=5), toy_prior, problem, keys, finish="average")
    np.testing.assert_allclose(
        found.images, (jnp.clip(of_prior, -1, 1) + jnp.clip(of_field, -1, 1)) / 2
    )


def drawn_field():
    """Two draws of the Gaussian field, which it takes for likely."""
    waves = jax.random.normal(jax.random.key(4), (2, SIZE, SIZE, 1))
    scaled = waves * jnp.sqrt(power_law((SIZE, SIZE, 1), 3.0, 0.1))[None]
    return 0.3 * idctn(scaled, axes=(1, 2), norm="ortho")


@pytest.mark.parametrize(
    "method, truth", [(GaussianField(), drawn_field()), (TotalVariation(), blocks())]
)
def test_the_noise_says_how_near_to_y_an_image_is_to_be(method, truth):
    sigma = 0.1
    problem, keys = make_problem(
        "denoising", truth, jnp.arange(2), ratio=1, seed=0, noise_std=sigma
    )
    found = invert(method, None, problem, keys)
    np.testing.assert_allclose(found.measurement_loss, sigma**2, rtol=0.02)
    exact = invert(method, None, dataclasses.replace(problem, noise_std=None), keys)
    assert np.all(exact.measurement_loss < 1e-5)
    assert np.all(quality(found, problem) > quality(exact, problem) + 2)


def test_pixels_are_filled_and_small_images_enlarged(problems):
    problem, keys = problems["inpainting"]
    found = invert(Biharmonic(), None, problem, keys)
    seen = jnp.broadcast_to(problem.operators.mask > 0, found.images.shape)
    np.testing.assert_allclose(found.images[seen], problem.truth[seen], atol=1e-6)
    assert np.all(quality(found, problem) > 18)
    problem, keys = problems["super_resolution"]
    once, often = (invert(Bicubic(n), None, problem, keys) for n in (0, 20))
    assert np.all(often.measurement_loss < 0.01 * once.measurement_loss)


def test_the_deep_decoder_is_fitted_to_images_of_any_shape():
    truth = blocks(channels=3, height=12)
    problem, keys = make_problem("inpainting", truth, jnp.arange(2), ratio=0.5, seed=0)
    method = DeepDecoder(width=8, steps=80, learning_rate=0.02)
    found = invert(method, None, problem, keys)
    assert found.images.shape == truth.shape
    assert np.all(found.measurement_loss < 0.4 * found.history[0][2])
    prior = method.own_prior((12, SIZE, 3))
    again = render(prior.generator, prior.variables, found.solution)
    np.testing.assert_allclose(again, found.images, atol=1e-5)


def test_measurements_may_be_complex_and_a_baseline_a_function():
    class Spectrum:
        num_measurements = 2 * 64
        image_shape = (8, 8, 1)

        def __call__(self, x):
            return jnp.fft.fft2(x, axes=(-3, -2), norm="ortho").astype(jnp.complex64)

    x = blocks()[:1, :8, :8]
    problem = Problem(Spectrum(), jax.vmap(Spectrum())(x))

    found = invert(least_norm, None, problem, jax.random.key(0))
    np.testing.assert_allclose(found.images, x, atol=1e-5)


def test_back_projection_explains_y_and_keeps_the_rest(problems):
    problem, _ = problems["compressed_sensing"]
    operator, y = jax.tree.map(
        lambda x: x[0], (problem.operators, problem.measurements)
    )
    image = jax.random.normal(jax.random.key(0), (SIZE, SIZE, 1))
    found = back_project(Measured(operator, y, image.shape), image)
    np.testing.assert_allclose(operator(found), y, atol=1e-2)
    moved = found - image  # in the range of A^T
    np.testing.assert_allclose(operator.pinv(operator(moved)), moved, atol=1e-3)


@pytest.mark.parametrize("finish", ["project", "denoise"])
def test_a_finish_is_one_more_stage_and_leaves_the_solution(
    finish, toy_prior, sampled_problem
):
    problem, keys = sampled_problem(toy_prior, 2, ratio=0.5, problem="inpainting")
    method = CSGM(steps=5)
    plain = invert(method, toy_prior, problem, keys)
    found = invert(method, toy_prior, problem, keys, finish=finish)
    jax.tree.map(np.testing.assert_array_equal, found.solution, plain.solution)
    assert np.all(found.measurement_loss < 1e-10)
    assert np.all(quality(found, problem) > quality(plain, problem))
    assert [record[:2] for record in found.history[-2:]] == [(1, 0), (1, 1)]
    np.testing.assert_array_equal(found.history[-2][2], plain.measurement_loss)


def test_what_does_not_fit_is_one_line(problems):
    problem, keys = problems["compressed_sensing"]
    truth = blocks()

    def phases(x):
        return PhaseRetrieval.sample(jax.random.key(0), x.shape, 1.0)(x)

    phases.num_measurements = SIZE**2
    phases.image_shape = (SIZE, SIZE, 1)
    curved = Problem(phases, jax.vmap(phases)(truth))
    noisy, wrong = (dataclasses.replace(problem, noise_std=s) for s in (0.1, -1))
    tv = TotalVariation()
    unknown = Problem(lambda x: x, truth)
    for message, method, given, options in (
        (
            "Biharmonic for PartialCirculant, exp",
            Biharmonic(),
            problem,
            {},
        ),
        ("found OpaqueOperator, expected a linear operator", tv, curved, {}),
        ("finish: found 'polish', exp", tv, problem, {"finish": "polish"}),
        ("'project' with noise of 0.1", tv, noisy, {"finish": "project"}),
        ("found select with a baseline", tv, problem, {"select": "oracle"}),
        ("found NoneType, expected load_prior", CSGM(), problem, {}),
        ("without image_shape, expected that attribute", tv, unknown, {}),
        ("problem.noise_std: found -1", tv, wrong, {}),
    ):
        with pytest.raises(UserError, match=message) as caught:
            invert(method, None, given, keys, **options)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="method.denoiser: found 'nlm', exp"):
        PlugAndPlay(denoiser="nlm")


@pytest.mark.parametrize(
    "module, method, advice",
    [
        ("pyproximal", TotalVariation(), "pip install pyproximal$"),
        ("bm3d", PlugAndPlay(denoiser="bm3d"), "bm3d .*non-commercial"),
    ],
)
def test_a_missing_package_is_named_with_where_it_is(
    module, method, advice, problems, monkeypatch
):
    monkeypatch.setitem(sys.modules, module, None)
    problem, keys = problems["inpainting"]
    with pytest.raises(UserError, match=f"found no package {module}.*{advice}"):
        invert(method, None, problem, keys)


def test_denoisers_take_noise_from_grey_and_colour():
    denoise = DENOISERS["non_local_means"].run
    for channels in (1, 3):
        image = np.asarray(blocks(channels)[0])
        noise = 0.1 * np.random.default_rng(0).standard_normal(image.shape)
        noisy = (image + noise).astype(np.float32)
        error, before = (
            np.mean((x - image) ** 2) for x in (denoise(noisy, 0.1), noisy)
        )
        assert error < 0.7 * before


@pytest.mark.parametrize(
    "operator",
    [
        Fourier(np.ones((8, 6))),
        MultiCoilFourier(np.ones((8, 6)), np.ones((2, 8, 6))),
        Colourisation((0.5, 0.5)),
        Inpainting(np.ones((8, 6))),
        SuperResolution(2, (8, 6, 2)),
        Inpainting(np.ones((8, 6))) + Denoising((8, 6, 2)),
    ],
    ids=lambda operator: type(operator).__name__,
)
def test_an_operator_says_the_shape_of_images_or_y_does(operator):
    y = operator(jnp.zeros((3, 8, 6, 2)))
    assert image_shape_of(Problem(operator, y)) == (8, 6, 2)
