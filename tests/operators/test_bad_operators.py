"""Operators that cannot be: one line says why."""

import numpy as np
import pytest

from rtil_jax.errors import UserError
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
from tests.operators.own import HEIGHT, MASK, SHAPE, WIDTH, X

BAD = {
    "no mask": (lambda: Inpainting("mask"), "Inpainting: mask: found a str"),
    "sees nothing": (lambda: Inpainting(np.zeros((8, 8))), "found only zeros"),
    "bytes": (
        lambda: Inpainting(np.full((8, 8), 255, np.uint8)),
        "found values from 255 to 255, expected 1 .or True.*; for pixels write mask",
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
        "found weights that sum to 0, which removes",
    ),
    "kernel NaN": (lambda: Blur([[np.nan]], SHAPE), "found NaN or infinity in 1 of 1"),
    "borders": (
        lambda: Blur([[1.0]], SHAPE, borders="zero"),
        "borders='zero', expected circular or reflect",
    ),
    "k-space lines": (
        lambda: Fourier(np.ones(6), SHAPE),
        r"found shape \(6,\), expected \(8, 6\), .*mask\[None\] \(columns\)",
    ),
    "a lone line": (lambda: Fourier(np.ones((1, 6))), "which is a line, expected"),
    "k-space of another shape": (
        lambda: Fourier(MASK, SHAPE).pinv(np.zeros((6, 8, 3), np.complex64)),
        r"found measurements of shape \(6, 8, 3\), expected \(8, 6, 3\)",
    ),
    "no k-space": (lambda: Fourier(0 * MASK), "found only zeros"),
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
        r"signs: found other values, expected \+1 and -1",
    ),
    "filter and mask": (
        lambda: PartialCirculant(np.ones(12), np.ones(12), np.ones(11)),
        r"mask: found shape \(11,\), expected \(12,\), the shape of the fil",
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
    "zeros": (lambda: Gaussian(np.zeros((2, 192))), "found only zeros"),
    "weights": (
        lambda: Colourisation((1, 2), SHAPE),
        "found .1.0, 2.0., expected 3 numbers",
    ),
    "no size": (
        lambda: Colourisation().input_shape,
        "found image_shape=None",
    ),
    "codes": (
        lambda: PhaseRetrieval(np.ones(3)),
        r"found shape \(3,\), expected .heig",
    ),
    "composition": (
        lambda: SuperResolution(2, SHAPE) @ SuperResolution(2, SHAPE),
        r"found output \(4, 3, 3\) of the second, expected \(8, 6, 3\)",
    ),
    "not linear": (
        lambda: Denoising(SHAPE) @ PhaseRetrieval(np.ones(SHAPE)),
        "found the second not linear",
    ),
    "a sum of sizes": (
        lambda: Denoising(SHAPE) + Denoising((4, 4, 3)),
        r"found images of shape \(4, 4, 3\) for the second, expected \(8, 6, 3\)",
    ),
    "a sum of measurements": (
        lambda: Denoising(SHAPE) - SuperResolution(2, SHAPE),
        r"found measurements of shape \(4, 3, 3\) for the second, expected \(8",
    ),
    "a sum of magnitudes": (
        lambda: Denoising(SHAPE) + PhaseRetrieval(np.ones(SHAPE)),
        r"Denoising \+ PhaseRetrieval: found the second not linear",
    ),
    "a sum with a number": (
        lambda: Denoising(SHAPE) - 3,
        r"Denoising \+ int: found the second not linear",
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
