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
    PartialCirculant,
    PhaseRetrieval,
    Stack,
    SuperResolution,
    from_function,
)

HEIGHT, WIDTH = 8, 6
RNG = np.random.default_rng(0)


def normal(*shape, dtype=np.float64):
    return np.random.default_rng(1).normal(size=shape).astype(dtype)


MASK = np.random.default_rng(2).random((HEIGHT, WIDTH)) < 0.6
KERNEL = np.abs(np.random.default_rng(3).normal(size=(3, 5))) + 0.1
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
    "function": lambda s, t: from_function(lambda x: jnp.diff(x, axis=0), s),
}
LINEAR |= {
    "composed": lambda s, t: (
        LINEAR["inpainting"](s, t) @ LINEAR["circular blur"](s, t)
    ),
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
        "T": A.T(dual),
        "T.T": A.T.T(x),
        "gram": A.gram(x),
        "gram by hand": A.adjoint(y),
        "again": A(A.pinv(y)),
        "autodiff": jax.vjp(A, x)[1](jnp.conj(dual))[0],
        "composed": (A.T @ A)(x),
        "scaled": (3 * A)(x),
        "preview": A.preview(y),
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

    def same(a, b, times=1):
        error = np.linalg.norm(found[a] - times * found[b])
        assert error <= tolerance * (1 + np.linalg.norm(times * found[b])), (a, b)

    same("T", "adjoint")
    same("autodiff", "adjoint")
    same("T.T", "y")
    same("gram", "gram by hand")
    same("composed", "gram")
    same("scaled", "y", 3)
    # A A+ A = A
    same("again", "y")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", LINEAR)
def test_the_laws_in_single_precision(name, channels):
    check_laws(name, channels, np.float32, 2e-5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", LINEAR)
def test_the_laws_in_double_precision(name, channels):
    with jax.enable_x64(True):
        check_laws(name, channels, np.float64, 1e-10)
