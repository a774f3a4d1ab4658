"""The laws of linear operators, in single and double precision, grey and colour."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.inversion import Problem, measurement_loss
from rtil_jax.operators import (
    Blur,
    Colourisation,
    Fourier,
    Inpainting,
    Stack,
    SuperResolution,
)
from tests.operators.own import (
    DERIVED,
    HEIGHT,
    KERNEL,
    LINEAR,
    MASK,
    SHAPE,
    WIDTH,
    X,
    normal,
)


def inner(a, b):
    return float(np.sum((np.conj(a) * b).real))


# Each compiled once for all laws of an operator.
forward = jax.jit(lambda A, x: A(x))
adjoint = jax.jit(lambda A, y: A.adjoint(y))
gram = jax.jit(lambda A, x: A.gram(x))
pinv = jax.jit(lambda A, y: A.pinv(y))
autodiff = jax.jit(lambda A, x, y: jax.vjp(A, x)[1](jnp.conj(y))[0])


def assert_near(found, expected, tolerance):
    found, expected = np.asarray(found), np.asarray(expected)
    error = np.linalg.norm(found - expected)
    assert error <= tolerance * (1 + np.linalg.norm(expected))


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 2e-5), (np.float64, 1e-10)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", LINEAR | DERIVED)
def test_the_laws_in_either_precision_grey_and_colour(name, channels, dtype, tolerance):
    """<A x, y> = <x, A^T y>, A A^+ A = A, and A.gram is A^T A."""
    with jax.enable_x64(dtype == np.float64):
        A = (LINEAR | DERIVED)[name]((HEIGHT, WIDTH, channels), dtype)
        x = normal(2, *A.input_shape, dtype=dtype)
        y = np.asarray(forward(A, x))
        dual = normal(*y.shape, dtype=dtype)
        if np.iscomplexobj(y):
            dual = dual + 1j * dual[::-1]
        back = np.asarray(adjoint(A, dual))
        assert y.shape == (2, *A.output_shape)
        assert back.dtype == dtype and back.shape == x.shape
        scale = np.linalg.norm(y) * np.linalg.norm(dual)
        assert abs(inner(y, dual) - inner(x, back)) <= tolerance * scale
        assert_near(forward(A, pinv(A, y)), y, tolerance)
        assert_near(gram(A, x), adjoint(A, y), tolerance)
        if (channels, dtype) == (3, np.float32):
            assert_near(autodiff(A, x, dual), back, tolerance)


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
    np.testing.assert_allclose((A + B - A)(X), B(X), atol=1e-5)
    assert (np.float32(2) * A).T.T is not None
    np.testing.assert_allclose(A @ X, A(X))
    assert (Inpainting(MASK) + Inpainting(~MASK)).num_measurements == X[0].size
    assert (Fourier(MASK, SHAPE) - Fourier(MASK)).num_measurements == 6 * MASK.sum()
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
    A = (LINEAR | DERIVED)[name](SHAPE, np.float32)
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
