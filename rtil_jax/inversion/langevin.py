"""Posterior samples of z_k: ILO, then a Langevin chain from where its last stage ended.

With Gaussian noise of standard deviation s on m measurements and z_k ~ N(0, sigma^2 I),
as RTIL draws it, the posterior is in proportion to exp(-U / T) with

    U = ||A(G) - y||^2 / m + w ||z_k||^2 / (n sigma^2),  T = 2 s^2 / m,  w = n T / 2,

so the chain's updates are x - rate grad U + sqrt(2 rate T) N(0, I). What to know about
the draws:

- z_0 and the z_j of earlier blocks stay what ILO found. The latents that the last stage
  moves are drawn too, uniformly on the sphere of their norm, where nearly all of their
  Gaussian prior is (noise, then projection, is a random walk on the sphere).
- There is no Metropolis step. Where U / T has curvature c, the variance of a chain at a
  constant rate is too large by 1 / (1 - rate T c / 2). The schedule takes the rate to 0
  by the end of the chain and the bias with it, if the chain is long enough to forget
  its start before: rate * steps >> n sigma^2 / (2 w) for directions that y says
  nothing about.
- It is plain gradient descent, not Adam: preconditioning by Adam's moments would need
  the noise to match, and a correction for their change that is never computed.
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
    """The method: the stages of an ILO, and a chain from where they end.

    Its last iterate is the draw: `invert` it with `select="last"`.

    Attributes:
        method: an ILO of at least two stages, whose `prior_sigma` is the training's
            (in its `units`, in which the chain moves too).
            Its `sphere`, radii and prior weights count for its own stages only.
        temperature: T.
        steps: of the chain.
        learning_rate: the chain's rate at the top of the schedule.
    """

    method: ILO
    temperature: float
    steps: int
    learning_rate: float

    @property
    def units(self) -> Units:
        return self.method.units

    def stages(self, generator: Generator) -> tuple[Stage, ...]:
        """Those of `method`, and the chain.

        Raises:
            UserError: as `method`, or if no stage of it has a z_k.
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
    """What `posterior_samples` returns.

    Attributes:
        images: `(batch, samples, height, width, channels)`.
        chains: of every chain, those of an image side by side; a chain that is
            `failed` has a draw of no meaning, and asks for a lower rate.
    """

    images: Float[Array, "batch samples height width channels"]
    chains: Reconstruction

    def __repr__(self) -> str:
        failed = self.chains.status.count("failed")
        return f"PosteriorSamples(images {self.images.shape}, {failed} chains failed)"

    @property
    def mean(self) -> Float[Array, "batch height width channels"]:
        """Pixelwise: the estimate of lowest mean squared error."""
        return jnp.mean(self.images, axis=1)

    @property
    def std(self) -> Float[Array, "batch height width channels"]:
        """Pixelwise, with samples - 1 in the denominator."""
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
    """Draws images from the posterior given y; see the module for which.

    Every draw is the end of a chain of its own, with an ILO of its own before it: they
    are independent. All chains of all images are one batch.

    Args:
        method: what finds the start of each chain.
        prior: as for `invert`; so are `problem`, `keys` and `mesh`.
        noise_std: s, of the noise on y in the units of y; of a complex y, on the real
            and on the imaginary part.
        steps: of each chain.
        learning_rate: of the chain. Diverges above 2 / the curvature of U, which for
            `PartialCirculant` is of the order of the image's number of pixels.
        samples: draws per image.

    Raises:
        UserError: if an argument is out of range, or the images' operators measure
            different numbers of entries, hence differ in T.
    """
    if not isinstance(method, ILO):
        kind = type(method).__name__
        raise UserError(f"method: found a {kind}, expected an ILO, as ILO(steps=100)")
    check_prior(prior)
    least, expected = sys.float_info.min, "a number above 0"
    samples = as_number("samples", samples, 2, 2**31, "at least 2 for a spread")
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
