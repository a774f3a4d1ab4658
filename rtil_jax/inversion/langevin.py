"""Posterior samples of z_k: runs ILO, then a Langevin chain from where it ended.

With Gaussian noise of standard deviation s on m measurements and z_k ~ N(0, sigma^2 I),
as in RTIL training, the posterior is proportional to exp(-U / T) with

    U = ||A(G) - y||^2 / m + w ||z_k||^2 / (n sigma^2),  T = 2 s^2 / m,  w = n T / 2,

so the chain's updates are x - rate grad U + sqrt(2 rate T) N(0, I). Three things to
know about the draws:

- z_0 and the z_j of earlier blocks stay as ILO found them. The latents that the last
  stage moves are drawn too, uniformly on the sphere of their norm, which holds nearly
  all of their Gaussian prior (noise, then projection, is a random walk on the sphere).
- The chain has no Metropolis step. Where U / T has curvature c, a constant rate makes
  the variance too large by 1 / (1 - rate T c / 2). The schedule takes the rate, and
  with it the bias, to 0 by the end of the chain. The chain must be long enough to
  forget its start before that: rate * steps >> n sigma^2 / (2 w) in directions that y
  does not determine.
- The chain uses plain gradient descent, not Adam. Preconditioning by Adam's moments
  would need matching noise and a correction for how the moments change.
"""

import dataclasses
import math
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rtil_jax.arrays import as_number
from rtil_jax.errors import UserError
from rtil_jax.generators import Generator
from rtil_jax.inversion.ilo import ILO
from rtil_jax.inversion.inverting import Reconstruction, invert
from rtil_jax.inversion.keys import keys_of_images
from rtil_jax.inversion.problems import count_measurements, map_batched, settle
from rtil_jax.inversion.stages import Stage, Variables
from rtil_jax.inversion.units import Units
from rtil_jax.priors.prior import Prior, check_prior


@dataclasses.dataclass(frozen=True)
class Langevin:
    """A method that draws posterior samples: ILO, then a Langevin chain.

    The last iterate is the draw, so use it with `invert(..., select="last")`.

    Attributes:
        method: an ILO with at least two stages. Its `prior_sigma` is the sigma of the
            training, in its `units`; the chain moves in these units too. Its `sphere`,
            radii and prior weights apply to its own stages only.
        temperature: T, above 0.
        steps: number of steps of the chain.
        learning_rate: the highest rate of the chain's schedule.
    """

    method: ILO
    temperature: float
    steps: int
    learning_rate: float

    @property
    def units(self) -> Units:
        return self.method.units

    def stages(self, generator: Generator) -> tuple[Stage, ...]:
        """Returns the stages of `method`, followed by the chain.

        Raises:
            UserError: if `method` does not fit the generator, or has no stage with a
                z_k.
        """
        stages = self.method.stages(generator)
        if len(stages) < 2:
            raise UserError(
                "method.steps: found 1 stage, expected at least 2: the chain draws the "
                "z_k of the last one, and stage 0 has none"
            )
        size = math.prod(generator.intermediate_shape(stages[-1].block))
        chain = dataclasses.replace(
            stages[-1],
            optimizer="sgd",
            temperature=self.temperature,
            steps=self.steps,
            learning_rate=self.learning_rate,
            prior_weight=size * self.temperature / 2,
            prior_form="gaussian",
            sphere=True,
            noise_radius=None,
            style_radius=None,
            feature_radius=None,
        )
        return (*stages, chain)

    def start(self, prior: Prior, key: jax.Array) -> Variables:
        return self.method.start(prior, key)


@dataclasses.dataclass(frozen=True)
class PosteriorSamples:
    """The posterior samples of a batch of images, from `posterior_samples`.

    Attributes:
        images: `(batch, samples, height, width, channels)`.
        chains: the `Reconstruction` of all chains; the chains of an image are
            neighbours. Ignore the draw of a chain whose status is `failed`, and lower
            the learning rate.
    """

    images: Float[Array, "batch samples height width channels"]
    chains: Reconstruction

    def __repr__(self) -> str:
        failed = self.chains.status.count("failed")
        return f"PosteriorSamples(images {self.images.shape}, {failed} chains failed)"

    @property
    def mean(self) -> Float[Array, "batch height width channels"]:
        """The mean of the samples of each pixel, which minimises the squared error."""
        return jnp.mean(self.images, axis=1)

    @property
    def std(self) -> Float[Array, "batch height width channels"]:
        """The standard deviation of each pixel, with samples - 1 in the denominator."""
        return jnp.std(self.images, axis=1, ddof=1)


def posterior_samples(
    method: Any,
    prior: Any,
    problem: Any,
    keys: Any,
    *,
    noise_std: Any,
    steps: Any,
    learning_rate: Any,
    samples: Any = 16,
    mesh: jax.sharding.Mesh | None = None,
) -> PosteriorSamples:
    """Draws images from the posterior given y.

    Each sample is the end of its own Langevin chain, which starts from its own run of
    ILO, so the samples are independent. All chains of all images run as one batch. The
    docstring of `rtil_jax.inversion.langevin` derives the posterior.

    Args:
        method: an `ILO`, which finds the start of each chain.
        prior: as for `invert`, and likewise `problem`, `keys` and `mesh`.
        problem: the measurements, with Gaussian noise.
        keys: a seed, one PRNG key, or one key per image.
        noise_std: s, the standard deviation of the noise on y, above 0, in the units of
            y; if y is complex, that of its real and of its imaginary part.
        steps: number of steps of each chain, at least 0.
        learning_rate: the highest rate of the chain's schedule, above 0. The chain
            diverges above 2 / the curvature of U, which for `PartialCirculant` is of
            the order of the number of pixels.
        samples: number of samples per image, at least 2.
        mesh: the devices to split the images over; all devices by default.

    Raises:
        UserError: if an argument is out of range, or the images have different numbers
            of measurements, and therefore different T.
    """
    if not isinstance(method, ILO):
        kind = type(method).__name__
        raise UserError(f"method: found a {kind}, expected an ILO, as ILO(steps=100)")
    check_prior(prior)
    least, expected = sys.float_info.min, "a number above 0"
    samples = as_number("samples", samples, 2, 2**31, "a whole number from 2")
    steps = as_number("steps", steps, 0, 2**31, "a whole number from 0")
    rate = as_number("learning_rate", learning_rate, least, math.inf, expected)
    expected += ": without noise the posterior has no density"
    noise_std = as_number("noise_std", noise_std, least, math.inf, expected)
    problem = settle(problem, prior.image_shape)
    if problem.noise is not None:
        raise UserError("problem.noise: found Poisson, expected None: Gaussian noise")
    keys = keys_of_images(keys, len(problem.measurements))
    counts = np.unique(count_measurements(problem))
    if len(counts) > 1:
        raise UserError(
            f"problem: found operators of {counts.min():g} to {counts.max():g} "
            "measurements, expected the same number for all images"
        )
    temperature = 2 * noise_std**2 / float(counts[0])
    rows = np.repeat(np.arange(keys.shape[0]), samples)
    numbers = np.arange(len(rows)) % samples
    chains = invert(
        Langevin(method, temperature, steps, rate),
        prior,
        map_batched(lambda x: x[rows], problem),
        jax.vmap(jax.random.fold_in)(keys[rows], numbers),
        select="last",
        mesh=mesh,
        progress=False,
    )
    shape = (keys.shape[0], samples, *chains.images.shape[1:])
    return PosteriorSamples(chains.images.reshape(shape), chains)
