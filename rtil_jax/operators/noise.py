"""Describes the noise on measurements in words and in decibels.

In y = A(x) + sigma * N(0, I), sigma is in the units of y. If y is a picture, these are
pixels, so sigma depends on the range of the images. For other operators, the
signal-to-noise ratio shows how large sigma is.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rtil_jax.arrays import Limits
from rtil_jax.errors import UserError
from rtil_jax.operators.poisson import Poisson
from rtil_jax.operators.sampling import OPERATORS

# Units of y that are the units of images.
PICTURED = ("pixels", "luma")
UNKNOWN = "y"


def noise_unit(operator: Any) -> str:
    """Returns the unit of sigma: the operator's `noise_unit`, or "y" without one."""
    return getattr(operator, "noise_unit", UNKNOWN)


def noise_text(
    unit: str,
    noise_std: float | int,
    limits: tuple[float | int, float | int] = (-1, 1),
    snr: Mapping[str, float] | None = None,
) -> str:
    """Describes Gaussian noise in words, such as `σ = 0.05 of pixels in [-1, 1]`.

    Args:
        unit: the operator's `noise_unit`.
        noise_std: sigma, at least 0.
        limits: the values of black and white in the images.
        snr: {ratio as text: signal-to-noise ratio in dB}, if known.
    """
    if not noise_std:
        return "none"
    sigma = f"σ = {noise_std:.4g}"
    if unit in PICTURED:
        black, white = limits
        return f"{sigma} of {unit} in [{black:g}, {white:g}]"
    text = f"{sigma} in units of {unit}"
    levels = {ratio: f"{level:.1f} dB" for ratio, level in (snr or {}).items()}
    if not levels:
        return text
    if len(set(levels.values())) == 1:
        return f"{text}: SNR {next(iter(levels.values()))}"
    each = ", ".join(f"{level} at {ratio}" for ratio, level in levels.items())
    return f"{text}: SNR {each}"


def photon_text(peak: float | int) -> str:
    """Describes Poisson noise in words: `Poisson, a white pixel is 30 photons`."""
    return f"Poisson, a white pixel is {peak:g} photons"


def photons(problem: str, peak: Any, noise_std: Any, limits: Limits) -> Poisson:
    """Returns the Poisson noise of a problem.

    Args:
        problem: the name of the problem.
        peak: mean number of photons of a white pixel, above 0.
        noise_std: must be 0.
        limits: the values of black and white in the images.

    Raises:
        UserError: if its y is not a picture, and so no amount of light, or Gaussian
            noise is given as well.
    """
    if noise_std:
        raise UserError(
            f"noise_std: found {noise_std:g} with Poisson noise, expected 0, because "
            "`peak` sets the noise"
        )
    if problem in OPERATORS and noise_unit(OPERATORS[problem]) not in PICTURED:
        pictured = [n for n in OPERATORS if noise_unit(OPERATORS[n]) in PICTURED]
        raise UserError(
            f"problem: found {problem} with Poisson noise, expected a problem that "
            f"measures amounts of light: {', '.join(pictured)}"
        )
    return Poisson(peak, limits)


def signal_to_noise(
    operators: Any,
    images: Float[Array, "batch height width channels"],
    noise_std: float | int,
) -> float:
    """Returns the signal-to-noise ratio 10 log10(mean A(x)^2 / sigma^2) in dB.

    The mean is over all measurements of all images.

    Args:
        operators: one per image, as from `sample_operators`.
        images: x, `(batch, height, width, channels)`.
        noise_std: sigma, above 0.
    """

    def energy(operator: Any, x: Array) -> tuple[Float[Array, ""], Float[Array, ""]]:
        measured = jnp.sum(jnp.abs(operator(x)) ** 2)
        return measured, jnp.asarray(operator.num_measurements, jnp.float32)

    energies, counts = jax.vmap(energy)(operators, images)
    mean = float(jnp.sum(energies) / jnp.sum(counts))
    return 10 * math.log10(mean / noise_std**2) if mean else -math.inf
