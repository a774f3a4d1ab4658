"""What the noise of each problem is in, in words and in decibels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.operators import OPERATORS, sample_operators
from rtil_jax.operators.noise import noise_text, noise_unit, signal_to_noise

PICTURES = {
    "inpainting",
    "box_inpainting",
    "super_resolution",
    "gaussian_deblurring",
    "motion_deblurring",
    "denoising",
}


@pytest.mark.parametrize("problem", OPERATORS)
def test_every_problem_says_what_its_noise_is_in(problem):
    unit = noise_unit(OPERATORS[problem])
    text = noise_text(unit, 0.05, (0, 1), {"0.1": 31.21, "0.5": 31.19})
    if problem in PICTURES:
        assert text == "σ = 0.05 of pixels in [0, 1]"
    elif problem == "colourisation":
        assert text == "σ = 0.05 of luma in [0, 1]"
    else:
        assert text.startswith("σ = 0.05 in units of y, ")
        assert text.endswith(": SNR 31.2 dB")
    assert noise_text(unit, 0.0) == "none"


def test_levels_that_differ_are_told_by_ratio():
    text = noise_text("y", 2, snr={"0.1": 3.0, "0.5": 10.0})
    assert text == "σ = 2 in units of y: SNR 3.0 dB at 0.1, 10.0 dB at 0.5"
    assert noise_unit(lambda x: x) == "y"


@pytest.mark.parametrize("problem", ["compressed_sensing", "inpainting"])
def test_the_ratio_is_that_of_what_is_measured(problem):
    """With y of mean square s^2 where measured, noise of s / 10 is 20 dB below."""
    images = jax.random.uniform(jax.random.key(0), (3, 8, 8, 1), minval=-1.0)
    keys = jax.random.split(jax.random.key(1), 3)
    operators = sample_operators(problem, keys, (8, 8, 1), 0.5)
    y = np.asarray(jax.vmap(lambda a, x: a(x))(operators, images))
    rms = float(np.sqrt(np.mean(y[y != 0] ** 2)))
    assert signal_to_noise(operators, images, rms / 10) == pytest.approx(20, abs=1e-3)


def test_nothing_but_zeros_has_no_signal():
    keys = jax.random.split(jax.random.key(1), 1)
    operators = sample_operators("denoising", keys, (8, 8, 1), 1.0)
    assert signal_to_noise(operators, jnp.zeros((1, 8, 8, 1)), 1.0) == -np.inf
