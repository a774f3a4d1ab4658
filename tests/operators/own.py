"""Operators of one's own arrays, for the tests of what they are and of their laws."""

import jax.numpy as jnp
import numpy as np

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
# Made of others.
DERIVED = {
    "composed": lambda s, t: LINEAR["inpainting"](s, t) @ LINEAR["circular blur"](s, t),
    "scaled": lambda s, t: -0.5 * LINEAR["fourier"](s, t),
    "stack": lambda s, t: Stack(
        LINEAR["fourier"](s, t), LINEAR["gaussian"](s, t), LINEAR["inpainting"](s, t)
    ),
    "transposed": lambda s, t: LINEAR["gaussian"](s, t).T,
    "sum": lambda s, t: LINEAR["inpainting"](s, t) + LINEAR["circular blur"](s, t),
    "difference": lambda s, t: LINEAR["fourier"](s, t) - LINEAR["denoising"](s, t),
    "gram": lambda s, t: LINEAR["super_resolution"](s, t).gram,
}

SHAPE = (HEIGHT, WIDTH, 3)
X = normal(2, *SHAPE, dtype=np.float32)
