"""What enters as a problem: one operator or several, shapes, numbers, ranges."""

import dataclasses
import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from PIL import Image

from rtil_jax.errors import UserError
from rtil_jax.experiments.report import draw_posterior
from rtil_jax.generators import init
from rtil_jax.inversion import (
    CSGM,
    ILO,
    Prior,
    Problem,
    invert,
    langevin,
    make_problem,
    measurement_loss,
    posterior_samples,
)
from rtil_jax.inversion.perceptual_loss import PerceptualLoss
from rtil_jax.inversion.problems import settle
from rtil_jax.operators import (
    OPERATORS,
    Denoising,
    ImagingOperator,
    Inpainting,
    Operator,
    PhaseRetrieval,
    measure,
    sample_operator,
)
from tests.toy_generator import ToyGenerator

SHAPE = (8, 8, 3)
FEW = CSGM(steps=3, learning_rate=0.1)


@pytest.fixture(scope="module")
def prior():
    generator = ToyGenerator(channels=3)
    return Prior.of(generator, init(generator, jax.random.key(0)))


def keys(batch):
    return jax.random.split(jax.random.key(4), batch)


def pictures(batch, shape=SHAPE):
    numbers = np.random.default_rng(batch).uniform(-1, 1, (batch, *shape))
    return numbers.astype(np.float32)


@functools.cache
def one_operator(problem):
    ratio = 1.0 if problem in ("colourisation", "denoising") else 0.5
    return sample_operator(problem, jax.random.key(3), SHAPE, ratio)


def repeated(operator, batch):
    return jax.tree.map(lambda x: jnp.stack([x] * batch), operator)


@pytest.mark.parametrize("name", OPERATORS)
def test_one_operator_serves_all_images(name, prior):
    """Of 8 images of 8 pixels, where shapes alone could mean either."""
    operator, batch = one_operator(name), 8
    y = jax.vmap(operator)(pictures(batch))
    one, several = (
        invert(FEW, prior, Problem(operators, y), keys(batch))
        for operators in (operator, repeated(operator, batch))
    )
    np.testing.assert_allclose(one.images, several.images, atol=1e-5)
    np.testing.assert_allclose(
        one.measurement_loss, several.measurement_loss, rtol=1e-5
    )


@pytest.mark.parametrize("batch", [1, 3, 4, 8])
@pytest.mark.parametrize("name", OPERATORS)
def test_the_rank_of_its_arrays_says_what_an_operator_serves(name, batch):
    operator = one_operator(name)
    y = jax.eval_shape(jax.vmap(operator), jnp.zeros((batch, *SHAPE)))
    for operators, shared in (
        (operator, True),
        (repeated(operator, batch), not jax.tree.leaves(operator)),
    ):
        problem = settle(Problem(operators, np.zeros(y.shape, np.float32)), SHAPE)
        assert problem.shared == shared


@struct.dataclass
class Rows:
    """y = the seen rows' means: no more than `invert` reads."""

    seen: jax.Array

    def __call__(self, x):
        return self.seen * jnp.mean(x, axis=(-2, -1))

    @property
    def num_measurements(self):
        return jnp.sum(self.seen, axis=-1)


@struct.dataclass
class Weighted:
    """y = weights * x, of whatever shape fits."""

    weights: jax.Array
    num_measurements: int = 192

    def __call__(self, x):
        return jnp.broadcast_to(self.weights, x.shape) * x


class Plain:
    """No pytree."""

    num_measurements = 192.0

    def __init__(self, weights):
        self.weights = weights

    def __call__(self, x):
        return self.weights * x


@struct.dataclass
class Indexing:
    """y = the pixels where the mask is true: JAX must know how many."""

    mask: np.ndarray

    def __call__(self, x):
        return x[self.mask]

    @property
    def num_measurements(self):
        return int(self.mask.sum())


@struct.dataclass
class Composed:
    first: Inpainting
    then: Weighted

    def __call__(self, x):
        return self.then(self.first(x))

    @property
    def num_measurements(self):
        return self.first.num_measurements


WEIGHTS = np.linspace(0.5, 1, 192).reshape(SHAPE).astype(np.float32)
OWN = {
    "rows": Rows(jnp.array([1.0, 1, 1, 0, 1, 0, 1, 1])),
    "weights": Weighted(WEIGHTS),
    "no pytree": Plain(WEIGHTS),
    "an index": Indexing(WEIGHTS > 0.7),
    "parts": Composed(one_operator("inpainting"), Weighted(WEIGHTS)),
}


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("name", OWN)
def test_an_operator_of_ones_own_serves_all_images(name, batch):
    operator, x = OWN[name], pictures(batch)
    y = jnp.stack([operator(one) for one in jnp.asarray(x)])
    images = pictures(batch)[::-1] / 2
    expected = [
        np.sum((operator(jnp.asarray(a)) - b) ** 2) / operator.num_measurements
        for a, b in zip(images, y, strict=True)
    ]
    shared = None if name != "weights" or batch != 8 else True
    problem = Problem(operator, y, shared=shared)
    np.testing.assert_allclose(
        measurement_loss(problem, images), expected, rtol=1e-4, atol=1e-7
    )


def test_an_operator_that_is_no_pytree_is_inverted(prior):
    y = WEIGHTS * pictures(2)
    found = invert(FEW, prior, Problem(Plain(WEIGHTS), y), keys(2))
    error = np.mean((WEIGHTS * np.asarray(found.images) - y) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(found.measurement_loss, error, rtol=1e-4)


def test_ones_own_may_differ_from_image_to_image():
    seen = (np.random.default_rng(0).random((8, 8)) < 0.7).astype(np.float32)
    x = pictures(8)
    y = seen * x.mean(axis=(2, 3))
    problem = Problem(Rows(seen), y)
    np.testing.assert_allclose(measurement_loss(problem, x), 0, atol=1e-10)
    assert settle(problem, SHAPE).shared is False
    # A number without axes is everyone's.
    problem = Problem(Weighted(jnp.ones((3, *SHAPE))), x[:3])
    loss, expected = measurement_loss(problem, 2 * x[:3]), np.square(x[:3])
    np.testing.assert_allclose(loss, expected.mean(axis=(1, 2, 3)), rtol=1e-5)


def test_an_operator_that_may_be_either_is_asked_about():
    weights, x = jnp.asarray(WEIGHTS), pictures(8)
    y = WEIGHTS * x
    with pytest.raises(UserError, match="shared=True.* or shared=False says which"):
        measurement_loss(Problem(Weighted(weights), y), x)
    loss = measurement_loss(Problem(Weighted(weights), y, shared=True), x)
    np.testing.assert_allclose(loss, 0, atol=1e-10)
    own = measurement_loss(Problem(Weighted(weights), y, shared=False), x)
    assert np.all(own > 1e-4)
    # Of one image, both readings are the same.
    assert settle(Problem(Weighted(weights[:1]), y[:1]), SHAPE).shared


def four(operators=None, **changes):
    operators = one_operator("inpainting") if operators is None else operators
    return dataclasses.replace(Problem(operators, pictures(4)), **changes)


class Returning:
    """A constant, or a function of the image."""

    num_measurements = 192

    def __init__(self, result):
        self.result = result

    def __call__(self, x):
        return self.result(x) if callable(self.result) else self.result


class Method:
    def __call__(self, x):
        return x

    def num_measurements(self):
        return 5


REFUSED = {
    "three operators": (
        four(repeated(one_operator("inpainting"), 3)),
        "found 3 operators for 4 measurements",
    ),
    "three of one's own": (
        four(Weighted(jnp.ones((3, *SHAPE)))),
        "found 3 operators for 4 measurements",
    ),
    "three by hand": (
        four(repeated(one_operator("inpainting"), 3), shared=False),
        "found 3 operators for 4 measurements",
    ),
    "the wrong choice": (
        four(repeated(one_operator("inpainting"), 4), shared=True),
        "found True for Inpainting with a batch axis, expected False",
    ),
    "a grey y": (
        four(measurements=pictures(4)[..., :1]),
        r"found shape \(4, 8, 8, 1\), expected \(4, 8, 8, 3\)",
    ),
    "a y of one pixel": (
        four(measurements=pictures(4)[:, :1, :1]),
        r"found shape \(4, 1, 1, 3\), expected \(4, 8, 8, 3\)",
    ),
    "a y without a batch": (
        four(Denoising(SHAPE), measurements=pictures(1)[0]),
        r"measurements\[None\]",
    ),
    "an operator for other images": (
        four(Denoising((16, 16, 3))),
        r"Denoising for images of \(16, 16, 3\), expected \(8, 8, 3\)",
    ),
    "an operator for grey images": (
        four(Inpainting(jnp.ones((8, 8, 1)), channels=1)),
        r"Inpainting for images of \(8, 8, 1\), expected \(8, 8, 3\)",
    ),
    "a mask of another size": (
        four(Inpainting(jnp.ones((8, 9)))),
        r"Inpainting for images of \(8, 9, 3\), expected \(8, 8, 3\)",
    ),
    "a mask of bytes": (
        four(one_operator("inpainting").replace(mask=np.full((8, 8, 1), 255.0))),
        "with a mask from 255 to 255, expected 1 where something is measured",
    ),
    "magnitudes of grey images": (
        four(PhaseRetrieval(jnp.ones((8, 8, 1), jnp.complex64), jnp.ones((8, 8, 1)))),
        r"PhaseRetrieval for images of \(8, 8, 1\), expected \(8, 8, 3\)",
    ),
    "one of a batch": (
        four(repeated(one_operator("inpainting"), 1)),
        "found 1 operator with a batch axis for 4 .*x: x.0., operator. is one for all",
    ),
    "two arrays": (four(Returning((1, 2))), "it returns a tuple, not one array"),
    "numpy": (four(Returning(np.asarray)), "it calls NumPy, where only jax.numpy"),
    "a count in words": (
        four(Weighted(1.0, None)),
        "num_measurements is None, not a number",
    ),
    "whole numbers": (
        four(measurements=np.full((4, *SHAPE), 9, np.uint8)),
        "found uint8 from 9 to 9, expected real or complex",
    ),
    "NaN": (
        four(measurements=np.full((4, *SHAPE), np.nan)),
        "found NaN or infinity in 4 of 4",
    ),
    "no array": (four(measurements="y"), "found a str, expected an array"),
    "complex y": (
        four(measurements=pictures(4) + 0j),
        "found complex numbers, expected real ones, as Inpainting returns",
    ),
    "truth of another shape": (
        four(truth=pictures(4)[..., :1]),
        r"problem.truth: found shape \(4, 8, 8, 1\), expected \(4, 8, 8, 3\)",
    ),
    "truth of bytes": (
        four(truth=np.zeros((4, *SHAPE), np.uint8)),
        "problem.truth: found uint8 from 0 to 0, expected real float",
    ),
    "a list": (four([one_operator("inpainting")] * 4), "found a list, expected one"),
    "a class": (four(Inpainting), "found the class Inpainting"),
    "nothing": (four("inpainting"), "found 'inpainting', expected an operator"),
    "no count": (four(lambda x: x), "found <lambda> without `num_measurements`"),
    "a method": (four(Method()), "num_measurements to be a method"),
    "a count of zero": (four(Weighted(1.0, 0)), "num_measurements = 0, expected above"),
    "an error of its own": (
        four(Weighted(jnp.ones((5, 5)))),
        r"cannot measure images of \(8, 8, 3\) as 4 arrays of",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_in_one_line(name, prior):
    problem, message = REFUSED[name]
    with pytest.raises(UserError, match=message) as error:
        invert(FEW, prior, problem, keys(4))
    assert "\n" not in str(error.value)


def test_lists_and_double_precision_are_taken(prior):
    x = pictures(2).astype(np.float64)
    problem = Problem(Denoising(SHAPE), x.tolist(), truth=x)
    found = invert(FEW, prior, problem, list(keys(2)), select="oracle")
    again = invert(FEW, prior, problem, jax.random.key_data(keys(2)), select="oracle")
    assert found.images.dtype == jnp.float32
    np.testing.assert_array_equal(found.images, again.images)


@struct.dataclass
class Spectrum:
    """y = mask * F x, as users write it, or its real and imaginary parts."""

    mask: jax.Array
    stacked: bool = struct.field(pytree_node=False, default=False)

    def __call__(self, x):
        y = self.mask * jnp.fft.fft2(x, axes=(-3, -2), norm="ortho")
        return jnp.stack([y.real, y.imag]) if self.stacked else y

    @property
    def num_measurements(self):
        return 6 * jnp.sum(self.mask)


def test_complex_measurements_are_pairs_of_real_ones(prior):
    mask = jnp.asarray(np.random.default_rng(0).random((8, 8, 1)) < 0.5, jnp.float32)
    found = [
        invert(FEW, prior, Problem(a, jax.vmap(a)(pictures(2))), keys(2))
        for a in (Spectrum(mask), Spectrum(mask, stacked=True))
    ]
    np.testing.assert_allclose(found[0].images, found[1].images, atol=1e-5)
    a = Spectrum(mask)
    for x, image, loss in zip(
        pictures(2), found[0].images, found[0].measurement_loss, strict=True
    ):
        error = abs(np.asarray(a(image) - a(x))) ** 2
        np.testing.assert_allclose(loss, error.sum() / (6 * mask.sum()), rtol=1e-4)


def test_noise_on_complex_measurements_is_on_both_parts():
    a, x = Spectrum(jnp.ones((64, 64, 1))), pictures(1, (64, 64, 1))[0]
    noise = np.asarray(measure(a, x, jax.random.key(0), 0.1) - a(x))
    np.testing.assert_allclose([noise.real.std(), noise.imag.std()], 0.1, rtol=0.05)


RANGES = {
    "bytes": (np.arange(192, dtype=np.uint8).reshape(1, *SHAPE), "uint8 from 0 to 191"),
    "0 to 255": (
        255 * abs(pictures(2)),
        "expected images in .-1, 1.; write truth / 127.5 - 1",
    ),
    "0 to 3": (3 * abs(pictures(2)), "write truth / 127.5 - 1 for images in .0, 255."),
    "NaN": (np.full((1, *SHAPE), np.nan), "found NaN or infinity in 1 of 1"),
    "no batch axis": (pictures(1)[0], r"found shape \(8, 8, 3\).*truth\[None\]"),
    "channels first": (pictures(2, (3, 8, 8)), "np.moveaxis"),
    "16 bits": (65535 * abs(pictures(2)), r"2 \* truth / WHITE - 1, where WHITE is"),
    "grey": (
        pictures(2)[..., 0],
        r"shape \(2, 8, 8\).*grey images write truth\[..., None",
    ),
    "nothing": (pictures(2)[:0], "expected at least 1 image"),
    "a path": ("faces.zip", "found a str, expected an array of numbers"),
}


@pytest.mark.parametrize("name", RANGES)
def test_images_of_another_kind_are_not_measured(name):
    images, message = RANGES[name]
    with pytest.raises(UserError, match=message):
        make_problem("inpainting", images, range(len(images)), ratio=0.5, seed=0)


def test_ranges_that_may_be_meant_are_measured():
    def made(images, **options):
        return make_problem("inpainting", images, [0, 1], ratio=0.5, seed=0, **options)

    with warnings.catch_warnings(action="error"):
        made(pictures(2).tolist())
        made(abs(pictures(2)))
        made(255 * abs(pictures(2)), value_range=(0, 255))
    with pytest.warns(UserWarning, match="from -1.9.* to 1.9.*, expected images in"):
        made(2 * pictures(2))
    for indices in ([0], [0.0, 1.0], 0, [-1, 0], [0, 2**32]):
        with pytest.raises(UserError, match="indices: found"):
            make_problem("inpainting", pictures(2), indices, ratio=0.5, seed=0)
    with pytest.warns(UserWarning, match="measurements: found .*write problem.meas"):
        settle(Problem(Denoising(SHAPE), 255 * abs(pictures(2))), SHAPE)


@pytest.mark.parametrize(
    "field, value",
    [
        ("problem", None),
        ("problem", Inpainting),
        ("ratio", "0.5"),
        ("seed", -1),
        ("seed", 2**32),
        ("seed", 0.5),
        ("noise_std", -1),
        ("noise_std", float("nan")),
        ("noise_std", None),
        ("value_range", (1, 0)),
        ("value_range", 255),
    ],
)
def test_other_arguments_of_make_problem_are_refused(field, value):
    given = {"problem": "denoising", "ratio": 1, "seed": 0} | {field: value}
    with pytest.raises(UserError, match=f"{field}s?: found .*, expected") as error:
        make_problem(truth=pictures(1), indices=[0], **given)
    assert "\n" not in str(error.value)


def test_numbers_of_numpy_and_jax_do():
    def measured(ratio, seed, noise_std, value_range):
        given = {"ratio": ratio, "seed": seed, "noise_std": noise_std}
        problem, _ = make_problem(
            "denoising", pictures(1), np.arange(1, dtype=np.uint64), **given
        )
        return problem.measurements

    found = measured(np.float32(1), np.int64(3), jnp.float32(1), [-1, 1])
    np.testing.assert_array_equal(found, measured(1, 3, 1, (-1, 1)))


def test_a_function_may_be_added_to_the_loss(prior):
    def towards_black(problem, images):
        assert problem.measurements.shape == images.shape
        return 100 * jnp.mean((images + 1) ** 2, axis=(1, 2, 3))

    problem = Problem(Denoising(SHAPE), pictures(2))
    method, last = CSGM(steps=60, learning_rate=0.3), {"select": "last"}
    plain = invert(method, prior, problem, keys(2), **last)
    darker = invert(method, prior, problem, keys(2), perceptual=towards_black, **last)
    assert jnp.all(darker.images.mean((1, 2, 3)) < plain.images.mean((1, 2, 3)) - 0.01)
    error = jnp.mean((darker.images - problem.measurements) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(darker.measurement_loss, error, rtol=1e-4)


@pytest.mark.parametrize(
    "function, message",
    [
        (lambda images: jnp.sum(images), "fails .*expected a function of .problem"),
        (lambda problem, images: jnp.sum(images), r"shape \(\) for 4 images"),
        (lambda problem, images: np.asarray(images), "<lambda> fails"),
        (PerceptualLoss, "found .*, expected a PerceptualLoss"),
        ("lpips", "found str, expected a PerceptualLoss or a function"),
    ],
    ids=["images alone", "one number", "numpy", "a class", "a name"],
)
def test_other_functions_are_refused(function, message, prior):
    with pytest.raises(UserError, match=message) as error:
        invert(FEW, prior, four(Denoising(SHAPE)), keys(4), perceptual=function)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("found", [None, (four(), keys(4)), pictures(1)])
def test_what_is_no_problem_is_told_so(found, prior):
    with pytest.raises(UserError, match="problem: found a .*expected Problem.operat"):
        invert(FEW, prior, found, keys(4))


@pytest.mark.parametrize(
    "field, value",
    [
        ("method", FEW),
        ("prior", "pretrained:faces64_rtil"),
        ("samples", 1),
        ("steps", 2.5),
        ("noise_std", 0),
        ("learning_rate", None),
    ],
)
def test_other_arguments_of_posterior_samples_are_refused(field, value, prior):
    given = {"method": ILO(steps=1), "prior": prior, "noise_std": 0.1, "steps": 1}
    given |= {"learning_rate": 1e-3, field: value}
    with pytest.raises(UserError, match=f"^{field}: found .*, expected"):
        posterior_samples(problem=four(), keys=keys(4), **given)


def test_an_operator_is_to_be_called_and_to_count():
    assert isinstance(OWN["rows"], Operator)
    assert not isinstance(OWN["rows"], ImagingOperator)
    assert isinstance(one_operator("fourier"), ImagingOperator)


def test_the_posterior_needs_no_more_of_an_operator(prior, tmp_path, monkeypatch):
    """One for all chains of all images, without a picture of y or a truth."""
    problem = Problem(OWN["rows"], jax.vmap(OWN["rows"])(pictures(2)))

    def few_steps(method, prior, problem, keys, **options):
        assert problem.operators.seen.shape == (8,)
        assert problem.measurements.shape == (4, 8)
        assert method.temperature == pytest.approx(2 * 0.1**2 / 6)
        return invert(FEW, prior, problem, keys)

    monkeypatch.setattr(langevin, "invert", few_steps)
    chain = {"noise_std": 0.1, "steps": 1, "learning_rate": 1e-3, "samples": 2}
    drawn = posterior_samples(ILO(steps=(0, 0)), prior, problem, keys(2), **chain)
    assert drawn.images.shape == (2, 2, *SHAPE)
    draw_posterior(problem, drawn, str(tmp_path / "drawn.png"))
    # Mean, spread and two samples.
    assert 4 * 256 < Image.open(tmp_path / "drawn.png").width < 5 * 256
