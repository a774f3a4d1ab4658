"""Magnetic resonance imaging with several coils."""

from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Complex, Float

from rtil_jax.arrays import is_traced
from rtil_jax.errors import UserError
from rtil_jax.operators.algebra import Linear
from rtil_jax.operators.checks import as_channels, as_values
from rtil_jax.operators.fourier import as_plane, inverse_transform, transform
from rtil_jax.operators.interface import ANY, Images, ImageShape
from rtil_jax.operators.masks import scale
from rtil_jax.operators.pytrees import operator_class

CoilSpectra = Complex[Array, "*batch coils height width channels"]


@operator_class
class MultiCoilFourier(Linear):
    """Measures k-space with several coils: y_c = mask * F(coil_c * x).

    F and the mask are those of `Fourier`: orthonormal, with frequency 0 in the middle.
    The image x is real; put a constant phase into the coil maps.

    The standard deviation of noise on y is that of its real and imaginary parts, equal
    and independent in all coils.

    >>> import numpy as np
    >>> mask, maps = np.ones((8, 8)), np.ones((4, 8, 8)) / 2
    >>> A = MultiCoilFourier(mask, maps, channels=1)
    >>> A.output_shape
    (4, 8, 8, 1)

    Attributes:
        mask: `(1, height, width, 1)`, 1 where k-space is measured.
        coil_maps: `(coils, height, width, 1)`, the complex sensitivities.
        channels: channels of the images. None fits any number; `input_shape` then says
            3, until `fitted` or a `Problem` has seen the images.
    """

    noise_unit: ClassVar[str] = "y, coefficients of the orthonormal transform"
    array_rank: ClassVar[int] = 4  # without a batch axis
    mask: Any = struct.field()
    coil_maps: Any
    channels: int | None = struct.field(pytree_node=False)

    def __init__(self, mask: Any, coil_maps: Any, channels: int | None = None) -> None:
        """Makes the operator from a mask and coil maps.

        Args:
            mask: 1 or True where k-space is measured, its centre in the middle:
                `(height, width)`, `(height, 1)` for rows or `(1, width)` for columns.
            coil_maps: `(coils, height, width)`, complex or real.
            channels: channels of the images; None fits any number.

        Raises:
            UserError: if shapes or values are wrong, or nothing is measured.
        """
        name = "MultiCoilFourier"
        maps = as_values(f"{name}: coil_maps", coil_maps)
        maps = maps[..., 0] if maps.ndim == 4 and maps.shape[-1] == 1 else maps
        if maps.ndim != 3:
            raise UserError(
                f"{name}: coil_maps: found shape {maps.shape}, expected (coils, "
                "height, width)"
            )
        if not is_traced(maps) and not np.asarray(maps).any():
            raise UserError(
                f"{name}: coil_maps: found only zeros, expected sensitivities"
            )
        _, height, width = maps.shape
        plane = as_plane(f"{name}: mask", mask, (height, width, 1))
        maps = jnp.asarray(maps)
        maps = maps.astype(jnp.promote_types(maps.dtype, jnp.complex64))
        object.__setattr__(self, "mask", plane[None])
        object.__setattr__(self, "coil_maps", maps[..., None])
        object.__setattr__(self, "channels", as_channels(name, channels))

    @property
    def input_shape(self) -> ImageShape:
        height, width = self.mask.shape[-3:-1]
        return height, width, self.channels or 3

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.coil_maps.shape[-4], *self.input_shape

    @property
    def num_measurements(self) -> Float[Array, "*batch"]:
        each = 2 * self.input_shape[-1] * self.coil_maps.shape[-4]
        return each * jnp.sum(self.mask, axis=(-4, -3, -2, -1))

    def fitted(self, image_shape: ImageShape) -> "MultiCoilFourier":
        return self if self.channels else self.replace(channels=image_shape[-1])

    def _forward(self, x: Images) -> CoilSpectra:
        *lead, height, width, channels = x.shape
        shape = *lead, self.coil_maps.shape[-4], height, width, channels
        copies = jnp.broadcast_to(x[..., None, :, :, :], shape)
        return scale(self.mask, transform(scale(self.coil_maps, copies)))

    def _adjoint(self, y: CoilSpectra) -> Images:
        images = scale(jnp.conj(self.coil_maps), inverse_transform(scale(self.mask, y)))
        return jnp.sum(images.real, axis=-4)

    def _input_pattern(self) -> tuple[int | None, ...]:
        height, width = self.mask.shape[-3:-1]
        return height, width, self.channels or ANY

    def _output_pattern(self) -> tuple[int | None, ...]:
        return self.coil_maps.shape[-4], *self._input_pattern()
