"""What one's own arrays and functions mean, as operators; the docstrings' examples."""

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
from rtil_jax.inversion import Problem, measurement_loss
from rtil_jax.operators import (
    Blur,
    Fourier,
    Gaussian,
    Inpainting,
    MultiCoilFourier,
    ParallelBeamCT,
    PartialCirculant,
    PhaseRetrieval,
    SuperResolution,
    from_function,
)
from tests.operators.own import (
    COILS,
    HEIGHT,
    KERNEL,
    MASK,
    PICK,
    SHAPE,
    SIGNS,
    WIDTH,
    X,
    normal,
)


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
