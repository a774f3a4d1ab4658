"""Operators of one's own arrays and functions, the laws of their algebra, bad input.

Every law is checked in single and in double precision, in grey and in colour.
"""

import doctest
import importlib
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from skimage.transform import radon

import rtil_jax.operators
from rtil_jax.errors import UserError
from rtil_jax.inversion import Problem, measurement_loss
from rtil_jax.operators import (
    Blur,
    Colourisation,
    Denoising,
    Fourier,
    Gaussian,
    Inpainting,
    MultiCoilFourier,
    ParallelBeamCT,
    PartialCirculant,
    PhaseRetrieval,
    Stack,
    SuperResolution,
    from_function,
)

HEIGHT, WIDTH = 8, 6


def normal(*shape, dtype=np.float64):
    return np.random.default_rng(1).normal(size=shape).astype(dtype)


MASK = np.random.default_rng(2).random((HEIGHT, WIDTH)) < 0.6
KERNEL = np.abs(np.random.default_rng(3).normal(size=(3, 5))) / 15
KERNEL[1, 2] += 1  # so that single precision inverts it
COILS = np.exp(2j * np.pi * np.random.default_rng(6).random((2, HEIGHT, WIDTH)))
COMPLEX = {np.float32: np.complex64, np.float64: np.complex128}
SIGNS = np.sign(np.random.default_rng(4).normal(size=3 * HEIGHT * WIDTH))
PICK = np.random.default_rng(5).random(3 * HEIGHT * WIDTH) < 0.3


def circulant(shape, mask, dtype):
    n = np.prod(shape)
    taps = normal(n, dtype=dtype)
    return PartialCirculant(taps, SIGNS[:n].astype(dtype), mask[:n], shape)


# Name -> (image shape, dtype) -> the operator.
LINEAR = {
    "inpainting": lambda s, t: Inpainting(MASK.astype(t), channels=s[-1]),
    "mosaic": lambda s, t: Inpainting((normal(*s) > 0).astype(t)),
    "super_resolution": lambda s, t: SuperResolution(2, s),
    "circular blur": lambda s, t: Blur(KERNEL.astype(t), s),
    "reflected blur": lambda s, t: Blur(KERNEL.astype(t), s, borders="reflect"),
    "fourier": lambda s, t: Fourier(MASK.astype(t), s),
    "all of fourier": lambda s, t: Fourier(np.ones((HEIGHT, WIDTH), t), s),
    "circulant": lambda s, t: circulant(s, PICK, t),
    "all of circulant": lambda s, t: circulant(s, np.ones_like(PICK), t),
    "gaussian": lambda s, t: Gaussian(normal(9, np.prod(s), dtype=t), s),
    "colourisation": lambda s, t: Colourisation((0.2, 0.5, 0.3)[: s[-1]], s),
    "denoising": lambda s, t: Denoising(s),
    "tomography": lambda s, t: ParallelBeamCT(np.linspace(0, 170, 7).astype(t), s),
    "coils": lambda s, t: MultiCoilFourier(
        MASK.astype(t), COILS.astype(COMPLEX[t]), s[-1]
    ),
    "function": lambda s, t: from_function(lambda x: jnp.diff(x, axis=0), s),
}
LINEAR |= {
    "composed": lambda s, t: LINEAR["inpainting"](s, t) @ LINEAR["circular blur"](s, t),
    "scaled": lambda s, t: -0.5 * LINEAR["fourier"](s, t),
    "stack": lambda s, t: Stack(
        LINEAR["fourier"](s, t), LINEAR["gaussian"](s, t), LINEAR["inpainting"](s, t)
    ),
    "transposed": lambda s, t: LINEAR["gaussian"](s, t).T,
    "gram": lambda s, t: LINEAR["super_resolution"](s, t).gram,
}


def inner(a, b):
    return float(np.sum((np.conj(a) * b).real))


@jax.jit
def laws(A, x, dual):
    y = A(x)
    return {
        "y": y,
        "adjoint": A.adjoint(dual),
        "gram": A.gram(x),
        "gram by hand": A.adjoint(y),
        "again": A(A.pinv(y)),
        "autodiff": jax.vjp(A, x)[1](jnp.conj(dual))[0],
    }


def check_laws(name, channels, dtype, tolerance):
    shape = (HEIGHT, WIDTH, channels)
    A = LINEAR[name](shape, dtype)
    x = normal(2, *A.input_shape, dtype=dtype)
    dual = normal(2, *A.output_shape, dtype=dtype)
    y = jax.eval_shape(A, x)
    if jnp.iscomplexobj(y):
        dual = dual + 1j * dual[::-1]
    found = jax.device_get(laws(A, x, dual))
    assert found["y"].shape == (2, *A.output_shape)
    assert found["adjoint"].dtype == dtype and found["adjoint"].shape == x.shape
    scale = np.linalg.norm(found["y"]) * np.linalg.norm(dual)
    difference = inner(found["y"], dual) - inner(x, found["adjoint"])
    assert abs(difference) <= tolerance * scale

    def same(a, b):
        error = np.linalg.norm(found[a] - found[b])
        assert error <= tolerance * (1 + np.linalg.norm(found[b])), (a, b)

    same("autodiff", "adjoint")
    same("gram", "gram by hand")
    # A A+ A = A
    same("again", "y")


@pytest.mark.parametrize("name", LINEAR)
def test_the_laws_in_single_precision_and_colour(name):
    check_laws(name, 3, np.float32, 2e-5)


@pytest.mark.parametrize("name", LINEAR)
def test_the_laws_in_double_precision_and_grey(name):
    with jax.enable_x64(True):
        check_laws(name, 1, np.float64, 1e-10)


SHAPE = (HEIGHT, WIDTH, 3)
X = normal(2, *SHAPE, dtype=np.float32)


def every_module():
    package = rtil_jax.operators
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    return [package.__name__, *(f"{package.__name__}.{name}" for name in names)]


def test_the_examples_in_the_docstrings_are_true():
    tried = 0
    for name in every_module():
        found = doctest.testmod(importlib.import_module(name))
        assert not found.failed, name
        tried += found.attempted
    assert tried > 20


# What the arrays mean


def test_a_kernel_is_what_becomes_of_a_point():
    """Also of an even kernel; as SciPy has it, with both borders."""
    for shape in ((3, 5), (4, 2), (1, 1), (8, 6)):
        kernel = np.random.default_rng(0).random(shape).astype(np.float32)
        for borders, mode in (("circular", "wrap"), ("reflect", "mirror")):
            y = Blur(kernel, SHAPE, borders=borders)(X[0])
            for channel in range(3):
                expected = ndimage.convolve(X[0, ..., channel], kernel, mode=mode)
                np.testing.assert_allclose(y[..., channel], expected, atol=1e-4)


def test_a_kernel_for_each_channel():
    kernels = np.random.default_rng(0).random((3, 3, 3)).astype(np.float32)
    y = Blur(kernels, SHAPE)(X[0])
    for channel in range(3):
        alone = Blur(kernels[..., channel], (HEIGHT, WIDTH, 1))(
            X[0, ..., channel, None]
        )
        np.testing.assert_allclose(y[..., channel, None], alone, atol=1e-5)


@pytest.mark.parametrize("size", [(8, 6), (7, 5)])
def test_k_space_has_its_centre_in_the_middle(size):
    x = normal(*size, 1, dtype=np.float32)
    mask = np.random.default_rng(0).random(size) < 0.5
    plane = np.fft.fft2(np.fft.ifftshift(x[..., 0]), norm="ortho")
    expected = mask * np.fft.fftshift(plane)
    y = Fourier(mask)(x)
    np.testing.assert_allclose(y[..., 0], expected, atol=1e-5)
    dc = Fourier(np.ones(size))(np.ones((*size, 1), np.float32))
    assert np.argmax(np.abs(dc)) == np.ravel_multi_index(
        (size[0] // 2, size[1] // 2), size
    )


def test_lines_of_k_space_along_either_axis():
    rows, columns = np.arange(HEIGHT) % 2, np.arange(WIDTH) % 3 == 0
    for mask in (rows[:, None], columns[None]):
        whole = np.broadcast_to(mask, (HEIGHT, WIDTH))
        A, B = Fourier(mask, SHAPE), Fourier(whole, channels=3)
        np.testing.assert_array_equal(A(X), B(X))
        assert A.num_measurements == B.num_measurements == 6 * whole.sum()


def test_the_matrix_of_a_partial_circulant():
    n = 12
    taps, signs, mask = normal(n), SIGNS[:n], PICK[:n]
    A = PartialCirculant(taps, signs, mask, (2, 2, 3))
    C = np.array([[taps[(j - k) % n] * signs[k] for k in range(n)] for j in range(n)])
    x = normal(2, 2, 3, dtype=np.float32)
    expected = mask * (C @ x.transpose(2, 0, 1).ravel())
    np.testing.assert_allclose(A(x), expected, rtol=1e-4, atol=1e-5)


def test_a_matrix_of_another_library_is_reordered_as_the_docstring_says():
    matrix, x = normal(4, 48, dtype=np.float32), normal(4, 4, 3, dtype=np.float32)
    own = matrix.reshape(4, 3, 4, 4).transpose(0, 2, 3, 1).reshape(4, -1)
    expected = matrix @ x.transpose(2, 0, 1).ravel()
    np.testing.assert_allclose(Gaussian(own)(x), expected, rtol=1e-4, atol=1e-4)


def test_other_factors_of_super_resolution_keep_a_ramp():
    """Pixels are squares, so the middle of 3 is the second, and of 5 the third."""
    for factor in (2, 3, 5):
        size = 8 * factor
        ramp = np.broadcast_to(
            np.arange(size, dtype=np.float32)[:, None, None], (size, size, 1)
        )
        y = SuperResolution(factor, (size, size, 1))(ramp)
        middles = np.arange(8) * factor + (factor - 1) / 2
        np.testing.assert_allclose(y[2:-2, 4, 0], middles[2:-2], rtol=1e-5)


def test_magnitudes_of_ones_own_codes():
    codes = np.exp(2j * np.pi * np.random.default_rng(0).random(SHAPE))
    A = PhaseRetrieval(codes, PICK[: np.prod(SHAPE)].reshape(SHAPE))
    expected = np.abs(np.fft.fft2(codes * X[0], axes=(0, 1), norm="ortho"))
    np.testing.assert_allclose(A(X[0]), expected * np.asarray(A.mask), atol=1e-5)
    assert A.input_shape == A.output_shape == SHAPE


@pytest.mark.parametrize("size", [(15, 15), (9, 13)])
def test_a_scan_is_scikit_image_s_radon_transform(size):
    """Of odd sides, whose middle is a pixel for both, and what lies in a circle."""
    image, least = np.zeros(size), min(size)
    top, left = ((side - least) // 2 + least // 4 for side in size)
    part = image[top : top + least // 2, left : left + least // 2]
    part[:] = np.random.default_rng(0).random(part.shape)
    square = np.zeros((max(size), max(size)))
    start = [(max(size) - side) // 2 for side in size]
    square[start[0] : start[0] + size[0], start[1] : start[1] + size[1]] = image
    angles = [0, 30, 45, 90, 137, 180]
    expected = radon(square, angles, circle=True)
    A = ParallelBeamCT(angles, (*size, 1), detectors=max(size))
    y = A(image[..., None].astype(np.float32))
    np.testing.assert_allclose(y[..., 0], expected.T, atol=1e-4)
    # The usual first picture: what is there is bright, and about as bright.
    many = ParallelBeamCT(np.arange(0, 180, 4), (*size, 1))
    picture = many.preview(many(image[..., None].astype(np.float32)))[..., 0]
    assert np.corrcoef(picture.ravel(), image.ravel())[0, 1] > 0.9
    np.testing.assert_allclose(np.sum(picture), np.sum(image), rtol=0.15)


def test_every_coil_sees_k_space_of_what_its_map_lets_through():
    A = MultiCoilFourier(MASK, COILS)
    for coil, y in zip(COILS, A(X[0]), strict=True):
        for channel in range(3):
            seen = np.fft.ifftshift(coil * X[0, ..., channel])
            k_space = np.fft.fftshift(np.fft.fft2(seen, norm="ortho"))
            np.testing.assert_allclose(y[..., channel], MASK * k_space, atol=1e-5)
    assert A.num_measurements == 2 * 2 * 3 * MASK.sum()
    one = MultiCoilFourier(MASK, np.ones((1, HEIGHT, WIDTH)))
    np.testing.assert_allclose(one(X)[:, 0], Fourier(MASK)(X), atol=1e-6)


# The algebra


def test_stacks_measure_one_image_several_times():
    parts = [Fourier(MASK, SHAPE), Inpainting(MASK), SuperResolution(2, SHAPE)]
    A = Stack(*parts)
    y = A(X)
    for part, found in zip(parts, A.split(y), strict=True):
        np.testing.assert_allclose(found, part(X), atol=1e-6)
    assert A.num_measurements == sum(float(part.num_measurements) for part in parts)
    assert A.mask.shape == A.output_shape == y.shape[1:]
    assert jnp.iscomplexobj(Stack(parts[0], parts[0])(X))


def test_expressions_are_what_they_say():
    A, B = Inpainting(MASK), Blur(KERNEL, SHAPE)
    y = np.asarray(A(B(X)))
    for C, factor in ((A @ B, 1), (2 * A @ B, 2), (A @ B / 4, 0.25), (-(A @ B), -1)):
        np.testing.assert_allclose(C(X), factor * y, atol=1e-5)
    assert (np.float32(2) * A).T.T is not None
    np.testing.assert_allclose(A @ X, A(X))
    assert A.T.T is A
    # What a mask leaves open, the other operator says; also in a `Problem`.
    grey = Blur(KERNEL, (HEIGHT, WIDTH, 1))
    assert (
        (A @ grey).num_measurements
        == MASK.sum()
        == (grey @ A).inner.fitted((HEIGHT, WIDTH, 1)).num_measurements
    )


@pytest.mark.parametrize(
    "name",
    ("mosaic", "fourier", "reflected blur", "circulant", "function", "coils")
    + ("tomography", "composed", "scaled", "stack", "gram"),
)
def test_they_are_pytrees_and_fit_problems(name):
    A = LINEAR[name](SHAPE, np.float32)
    y = A(X) / 4  # within the range of pixels
    loss = measurement_loss(Problem(A, y), X / 4)
    np.testing.assert_allclose(loss, 0, atol=1e-9)
    several = jax.tree.map(lambda a: jnp.stack([jnp.asarray(a)] * 2), A)
    if jax.tree.leaves(A):
        each = jax.vmap(lambda a, x: a(x))(several, jnp.asarray(X))
        np.testing.assert_allclose(each, 4 * y, rtol=1e-5, atol=1e-5)
        loss = measurement_loss(Problem(several, y), 0 * X)
        count = np.asarray(A.num_measurements)
        squares = np.sum(np.abs(y.reshape(2, -1)) ** 2, axis=1)
        np.testing.assert_allclose(loss, squares / count, rtol=1e-4)


def test_a_problem_says_what_an_operator_left_open():
    for A in (Inpainting(MASK), Fourier(MASK), Colourisation((1.0,))):
        x = X[..., :1]
        loss = measurement_loss(Problem(A, 0 * A(x)), x)
        squares = np.sum(np.abs(A(x).reshape(2, -1)) ** 2, axis=1)
        count = A.fitted((HEIGHT, WIDTH, 1)).num_measurements
        np.testing.assert_allclose(loss, squares / count, rtol=1e-5)


# Functions, and operators of other libraries


class Scico:
    """What scico's `LinearOperator` offers, of grey images without channels."""

    input_shape, output_shape = (HEIGHT, WIDTH), (HEIGHT - 1, WIDTH)
    input_dtype = np.float32

    def __call__(self, x):
        assert x.shape == self.input_shape and x.dtype == self.input_dtype
        return jnp.diff(x, axis=0)

    def adj(self, y):
        assert y.shape == self.output_shape
        return jax.linear_transpose(self, jnp.zeros(self.input_shape))(y)[0]


def scico_operators():
    """Also the real ones, where scico can be imported."""
    yield Scico()
    try:
        from scico import linop
    except ImportError:
        return
    yield linop.FiniteDifference((HEIGHT, WIDTH), axes=0, circular=True)
    yield linop.CircularConvolve(jnp.asarray(KERNEL, jnp.float32), (HEIGHT, WIDTH))


@pytest.mark.parametrize("B", list(scico_operators()), ids=lambda B: type(B).__name__)
def test_operators_of_scico_become_ones_of_ours(B):
    A = from_function(lambda x: B(x[..., 0]), (*B.input_shape, 1))
    x = jnp.asarray(X[0, ..., :1])
    y = B(x[..., 0])
    np.testing.assert_allclose(A(x), y, atol=1e-5)
    np.testing.assert_allclose(A.T(y)[..., 0], B.adj(y), atol=1e-5)
    both = A @ Inpainting(MASK)
    assert both(X[..., :1]).shape == (2, *y.shape)
    own = from_function(
        lambda x: B(x[..., 0]),
        (*B.input_shape, 1),
        adjoint=lambda y: B.adj(y)[..., None],
    )
    np.testing.assert_allclose(own.T(y), A.T(y), atol=1e-5)


def test_functions_need_not_be_linear_where_one_says_so():
    A = from_function(lambda x: x**2, SHAPE, linear=False)
    np.testing.assert_allclose(measurement_loss(Problem(A, X**2), X), 0)
    assert A.output_shape == SHAPE and not hasattr(A, "T")


# Bad input

BAD = {
    "no mask": (lambda: Inpainting("mask"), "Inpainting: mask: found a str"),
    "sees nothing": (lambda: Inpainting(np.zeros((8, 8))), "found no 1 in it"),
    "bytes": (
        lambda: Inpainting(np.full((8, 8), 255, np.uint8)),
        "found values from 255 to 255, expected 1 .or True.*; of pixels, mask > 127",
    ),
    "soft": (lambda: Inpainting(np.full((8, 8), 0.5)), "found values from 0.5 to 0.5"),
    "NaN": (lambda: Inpainting(np.full((8, 8), np.nan)), "found values from nan"),
    "a line": (lambda: Inpainting(np.ones(8)), r"found shape \(8,\), expected \(heig"),
    "channels": (
        lambda: Inpainting(np.ones((8, 8, 2)), channels=3),
        r"found shape \(8, 8, 2\), expected .* \(height, width, 3\)",
    ),
    "another size": (
        lambda: Inpainting(np.ones((8, 9)))(X),
        r"Inpainting: found images of shape \(2, 8, 6, 3\), expected \(8, 9, any\)",
    ),
    "another y": (
        lambda: SuperResolution(2, SHAPE).adjoint(X),
        r"found measurements of shape \(2, 8, 6, 3\), expected \(4, 3, 3\)",
    ),
    "no factor": (
        lambda: SuperResolution(3, SHAPE),
        "found factor 3 for images of 8x6 pixels, expected a whole number from 2 that",
    ),
    "half a factor": (lambda: SuperResolution(2.0, SHAPE), "found factor 2.0"),
    "no shape": (lambda: SuperResolution(2, (8, 8)), r"found image_shape \(8, 8\)"),
    "large kernel": (
        lambda: Blur(np.ones((9, 3)), SHAPE),
        "found 9x3 pixels, expected at most the image's 8x6",
    ),
    "kernel of 0": (
        lambda: Blur([[1.0, -1.0]], SHAPE),
        "found weights that sum to 0, expected a sum above 0",
    ),
    "kernel NaN": (lambda: Blur([[np.nan]], SHAPE), "found NaN or infinity in 1 of 1"),
    "borders": (
        lambda: Blur([[1.0]], SHAPE, borders="zero"),
        "borders='zero', expected circular or reflect",
    ),
    "k-space lines": (
        lambda: Fourier(np.ones(6), SHAPE),
        r"found shape \(6,\), expected \(8, 6\), .*mask\[None\] columns",
    ),
    "a lone line": (lambda: Fourier(np.ones((1, 6))), "which is a line, expected"),
    "k-space of another shape": (
        lambda: Fourier(MASK, SHAPE).pinv(np.zeros((6, 8, 3), np.complex64)),
        r"found measurements of shape \(6, 8, 3\), expected \(8, 6, 3\)",
    ),
    "no k-space": (lambda: Fourier(0 * MASK), "found no 1 in it"),
    "coils of another size": (
        lambda: MultiCoilFourier(MASK, np.ones((2, WIDTH, HEIGHT))),
        r"mask: found shape \(8, 6\), expected \(6, 8\), \(6, 1\) or \(1, 8\)",
    ),
    "one coil": (
        lambda: MultiCoilFourier(MASK, np.ones((HEIGHT, WIDTH))),
        r"found shape \(8, 6\), expected \(coils, height, width\)",
    ),
    "angles": (
        lambda: ParallelBeamCT(90.0, SHAPE),
        r"found shape \(\), expected \(angles,\) in degrees",
    ),
    "detectors": (
        lambda: ParallelBeamCT([0.0], SHAPE, detectors=0),
        "found detectors=0, expected a whole number from 1",
    ),
    "signs": (
        lambda: PartialCirculant(np.ones(12), 2 * np.ones(12), np.ones(12)),
        r"signs: found other values than \+1 and -1",
    ),
    "filter and mask": (
        lambda: PartialCirculant(np.ones(12), np.ones(12), np.ones(11)),
        r"mask: found shape \(11,\), expected \(12,\), as of the filter",
    ),
    "no square": (
        lambda: Gaussian(np.ones((2, 10))),
        r"images of 10 numbers, .*expected image_shape=",
    ),
    "other columns": (
        lambda: Gaussian(np.ones((2, 10)), SHAPE),
        r"for images of 10 numbers, expected 144 for images of \(8, 6, 3\)",
    ),
    "no matrix": (lambda: Gaussian(np.ones(9)), r"found shape \(9,\), expected \(m, n"),
    "zeros": (lambda: Gaussian(np.zeros((2, 192))), "found zeros alone"),
    "weights": (
        lambda: Colourisation((1, 2), SHAPE),
        "found .1.0, 2.0., expected 3 numbers",
    ),
    "no size": (lambda: Colourisation().input_shape, "found no image_shape"),
    "codes": (
        lambda: PhaseRetrieval(np.ones(3)),
        r"found shape \(3,\), expected .heig",
    ),
    "composition": (
        lambda: SuperResolution(2, SHAPE) @ SuperResolution(2, SHAPE),
        r"found measurements of shape \(4, 3, 3\) by the second, expected \(8, 6, 3\)",
    ),
    "not linear": (
        lambda: Denoising(SHAPE) @ PhaseRetrieval(np.ones(SHAPE)),
        "found an operator that is not linear",
    ),
    "a factor of words": (lambda: "2" * Denoising(SHAPE), "found c of str"),
    "a stack of sizes": (
        lambda: Stack(Denoising(SHAPE), Denoising((4, 4, 3))),
        r"found Denoising for images of \(4, 4, 3\), expected \(8, 6, 3\)",
    ),
    "no stack": (lambda: Stack(), "found no operators"),
    "NumPy": (
        lambda: from_function(lambda x: np.sort(x), SHAPE),
        "<lambda> fails on images of .* .it calls NumPy, where only jax.numpy",
    ),
    "affine": (lambda: from_function(lambda x: x + 1, SHAPE), "value at 0 is not 0"),
    "square": (
        lambda: from_function(lambda x: x**2, SHAPE),
        "cannot be transposed .*, expected a linear function, or linear=False",
    ),
    "a tuple": (lambda: from_function(lambda x: (x, x), SHAPE), "that returns tuple"),
    "no function": (lambda: from_function(3, SHAPE), "found a int, expected a functi"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_line(name):
    make, message = BAD[name]
    with pytest.raises(UserError, match=message) as error:
        make()
    assert "\n" not in str(error.value)
