"""Parallel-beam computed tomography."""

import math
import operator
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.errors import UserError
from rtil_jax.operators.algebra import Linear
from rtil_jax.operators.checks import as_image_shape, as_real_values
from rtil_jax.operators.interface import Images, ImageShape, Unmasked
from rtil_jax.operators.masks import scale
from rtil_jax.operators.pytrees import operator_class

Sinograms = Float[Array, "*batch angles detectors channels"]


@operator_class
class ParallelBeamCT(Unmasked, Linear):
    """Measures integrals along parallel rays: the Radon transform of every channel.

    At each angle, rays fall through the image on a row of detector pixels, which are as
    wide as the image's pixels and centred on its middle. At 0 degrees the rays run down
    the columns, and each column has a detector pixel; angles increase as in
    scikit-image's `radon`. The integral along a ray sums bilinear interpolations at
    steps of one pixel. Outside, the image is 0, which is mid-grey in [-1, 1].

    The standard deviation of noise on y is in the units of these sums, which are as
    large as pixels times the number of pixels that a ray crosses.

    >>> import numpy as np
    >>> A = ParallelBeamCT(np.arange(0, 180, 6), (16, 16, 1), detectors=23)
    >>> A.output_shape
    (30, 23, 1)

    Attributes:
        angles: `(angles,)`, in degrees.
        image_shape: `(height, width, channels)`.
        detectors: number of detector pixels.
    """

    noise_unit: ClassVar[str] = "y, sums of pixels along rays"
    array_rank: ClassVar[int] = 1  # without a batch axis
    angles: Any
    image_shape: ImageShape = struct.field(pytree_node=False)
    detectors: int = struct.field(pytree_node=False)

    def __init__(self, angles: Any, image_shape: Any, detectors: Any = None) -> None:
        """Makes a scan from its angles.

        Args:
            angles: `(angles,)`, in degrees, in any order.
            image_shape: `(height, width, channels)`.
            detectors: number of detector pixels, at least 1; None covers the diagonal
                of the image.

        Raises:
            UserError: if shapes or values are wrong.
        """
        turns = as_real_values("ParallelBeamCT: angles", angles)
        if turns.ndim != 1:
            raise UserError(
                f"ParallelBeamCT: angles: found shape {turns.shape}, expected (angles,)"
                " in degrees, such as np.arange(0, 180, 3)"
            )
        shape = as_image_shape("ParallelBeamCT", image_shape)
        count = _diagonal(shape) if detectors is None else detectors
        try:
            count = operator.index(count)
        except TypeError:
            count = 0
        if count < 1:
            raise UserError(
                f"ParallelBeamCT: found detectors={detectors!r}, expected a whole "
                "number from 1"
            )
        object.__setattr__(self, "angles", jnp.asarray(turns))
        object.__setattr__(self, "image_shape", shape)
        object.__setattr__(self, "detectors", count)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.angles.shape[-1], self.detectors, self.image_shape[-1]

    @property
    def num_measurements(self) -> int:
        return math.prod(self.output_shape)

    def preview(self, y: Sinograms) -> Images:
        """Returns the filtered back-projection, the usual first picture of a scan."""
        size = 2 * self.detectors  # zeros keep the two ends apart
        frequencies = jnp.fft.rfftfreq(size).astype(y.dtype)[:, None]
        spectrum = scale(frequencies, jnp.fft.rfft(y, n=size, axis=-2))
        filtered = jnp.fft.irfft(spectrum, n=size, axis=-2)[..., : self.detectors, :]
        return jnp.clip(self.adjoint(filtered) * math.pi / self.angles.shape[-1], -1, 1)

    def _forward(self, x: Images) -> Sinograms:
        lead = x.shape[:-3]
        planes = jnp.moveaxis(x, -1, -3).reshape(-1, *x.shape[-3:-1])
        # One angle at a time: all together need hundreds of times an image's memory.
        sums = jax.lax.map(lambda angle: self._project(planes, angle), self.angles)
        y = jnp.moveaxis(sums, 0, 1).reshape(*lead, -1, *self.output_shape[:2])
        return jnp.moveaxis(y, -3, -1)

    def _project(self, planes: Array, angle: Array) -> Array:
        """Returns the sums along the rays at one angle, `(planes, detectors)`."""
        height, width, _ = self.image_shape
        radians = jnp.deg2rad(angle).astype(planes.dtype)
        across = (np.arange(self.detectors) - (self.detectors - 1) / 2)[None]
        steps = _diagonal(self.image_shape)
        along = (np.arange(steps) - (steps - 1) / 2)[:, None]
        across, along = across.astype(planes.dtype), along.astype(planes.dtype)
        cos, sin = jnp.cos(radians), jnp.sin(radians)
        rows = (height - 1) / 2 + cos * along - sin * across
        columns = (width - 1) / 2 + sin * along + cos * across

        def read(plane: Array) -> Array:
            found = jax.scipy.ndimage.map_coordinates(plane, [rows, columns], order=1)
            return jnp.sum(found, axis=0)

        return jax.vmap(read)(planes)


def _diagonal(image_shape: ImageShape) -> int:
    """Returns the pixels of the image's diagonal, odd if the height is odd."""
    height, width, _ = image_shape
    length = math.ceil(math.hypot(height, width))
    return length + (length - height) % 2
