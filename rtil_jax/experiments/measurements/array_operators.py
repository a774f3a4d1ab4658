"""Builds operators from the arrays in a file, by the names of the arrays."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rtil_jax.errors import UserError
from rtil_jax.operators import (
    OPERATORS,
    Blur,
    Colourisation,
    Denoising,
    Fourier,
    FourierLines,
    Gaussian,
    Inpainting,
    MultiCoilFourier,
    ParallelBeamCT,
    PartialCirculant,
    PhaseRetrieval,
    SuperResolution,
)
from rtil_jax.operators.interface import ImageShape
from rtil_jax.operators.pytrees import stored

Arrays = Mapping[str, np.ndarray]


class Reader(NamedTuple):
    """Builds the operator of one problem from arrays.

    Attributes:
        needed: names of arrays that a file must have; one of them for a tuple.
        optional: names of arrays that a file may have.
        ranks: {name: number of axes for one image}; a batch has one axis more.
        make: returns the operator for (arrays of one image, image shape).
    """

    needed: tuple[Any, ...]
    optional: tuple[str, ...]
    ranks: Mapping[str, int]
    make: Callable[[Arrays, ImageShape], Any]

    @property
    def known(self) -> list[str]:
        return [*(n for name in self.needed for n in _either(name)), *self.optional]


def _either(name: Any) -> tuple[str, ...]:
    return name if isinstance(name, tuple) else (name,)


def _circulant(arrays: Arrays, shape: ImageShape) -> Any:
    mask, signs = arrays["mask"], arrays["signs"]
    # `spectrum` is the transform of the filter, exact to the last bit.
    taps = arrays.get("filter")
    if taps is None:
        taps = np.fft.irfft(arrays["spectrum"], n=np.shape(mask)[-1])
    made = PartialCirculant(taps, signs, mask, shape)
    if "spectrum" not in arrays:
        return made
    return made.replace(spectrum=jnp.asarray(arrays["spectrum"]))


def _blur(arrays: Arrays, shape: ImageShape) -> Any:
    if "spectrum" in arrays:
        spectrum = jnp.asarray(arrays["spectrum"])
        expected = (shape[0], shape[1] // 2 + 1, 1)
        if spectrum.shape != expected:
            raise UserError(
                f"spectrum: found shape {spectrum.shape}, expected {expected}"
            )
        return stored(Blur, spectrum=spectrum, image_shape=shape, padding=None)
    borders = str(arrays.get("borders", "circular"))
    return Blur(arrays["kernel"], shape, borders=borders)


def _lines(arrays: Arrays, shape: ImageShape) -> Any:
    expected = (shape[0] // 2 + 1, 1, 1, 1)
    mask = jnp.asarray(arrays["mask"], jnp.float32)
    if mask.shape != expected:
        raise UserError(f"mask: found shape {mask.shape}, expected {expected}")
    return stored(FourierLines, mask=mask, image_shape=shape)


def _phases(arrays: Arrays, shape: ImageShape) -> Any:
    return PhaseRetrieval(arrays["codes"], arrays.get("mask"))


def _grey(arrays: Arrays, shape: ImageShape) -> Any:
    if "weights" not in arrays:
        return OPERATORS["colourisation"].sample(jax.random.key(0), shape, 1.0)
    return Colourisation(np.asarray(arrays["weights"], float), shape)


def _scan(arrays: Arrays, shape: ImageShape) -> Any:
    return ParallelBeamCT(arrays["angles"], shape, _whole(arrays, "detectors"))


def _whole(arrays: Arrays, name: str) -> int | None:
    """Returns a whole number; None if it is missing."""
    if name not in arrays:
        return None
    found = np.asarray(arrays[name])
    if found.ndim or found.dtype.kind not in "iuf" or found % 1 != 0:
        raise UserError(f"{name}: found {found.tolist()}, expected a whole number")
    return int(found)


_INPAINTING = Reader(
    ("mask",), (), {"mask": 3}, lambda a, s: Inpainting(a["mask"], channels=s[-1])
)
_BLUR = Reader(
    (("kernel", "spectrum"),), ("borders",), {"kernel": 2, "spectrum": 3}, _blur
)
# Problem -> how arrays make its operator.
READERS: dict[str, Reader] = {
    "inpainting": _INPAINTING,
    "box_inpainting": _INPAINTING,
    "super_resolution": Reader(
        ("factor",), (), {}, lambda a, s: SuperResolution(_whole(a, "factor"), s)
    ),
    "compressed_sensing": Reader(
        (("filter", "spectrum"), "signs", "mask"),
        (),
        {"filter": 1, "spectrum": 1, "signs": 1, "mask": 1},
        _circulant,
    ),
    "gaussian": Reader(
        ("matrix",), (), {"matrix": 2}, lambda a, s: Gaussian(a["matrix"], s)
    ),
    "fourier": Reader(
        ("mask",), (), {"mask": 2}, lambda a, s: Fourier(a["mask"], image_shape=s)
    ),
    "fourier_lines": Reader(("mask",), (), {"mask": 4}, _lines),
    "multi_coil": Reader(
        ("mask", "coil_maps"),
        (),
        {"mask": 2, "coil_maps": 3},
        lambda a, s: MultiCoilFourier(a["mask"], a["coil_maps"], channels=s[-1]),
    ),
    "phase_retrieval": Reader(("codes",), ("mask",), {"codes": 3, "mask": 3}, _phases),
    "tomography": Reader(("angles",), ("detectors",), {"angles": 1}, _scan),
    "colourisation": Reader((), ("weights",), {}, _grey),
    "denoising": Reader((), (), {}, lambda a, s: Denoising(s)),
    "deblurring": _BLUR,
    "gaussian_deblurring": _BLUR,
    "motion_deblurring": _BLUR,
}


def operator_of(
    where: str, problem: str, arrays: Arrays, shape: ImageShape, count: int
) -> tuple[Any, bool]:
    """Builds an operator from arrays; returns it, and whether all images share it.

    Args:
        where: the file, for messages.
        problem: a name in `READERS`.
        arrays: {name: array}, for one image or with a leading axis of all images.
        shape: `(height, width, channels)` of the images to recover.
        count: number of images.

    Raises:
        UserError: if a name is missing or unknown, or an array does not fit.
    """
    reader = READERS[problem]
    _check_names(where, problem, reader, arrays)
    if reader is _INPAINTING and arrays["mask"].shape == (count, *shape[:2]):
        arrays = {**arrays, "mask": arrays["mask"][..., None]}
    batched = [
        name
        for name, rank in reader.ranks.items()
        if name in arrays
        and np.ndim(arrays[name]) == rank + 1
        # A user's mask may have a last axis of 1.
        and len(arrays[name]) == count
        and not _is_single(problem, arrays[name], shape)
    ]
    each = []
    try:
        for i in range(count if batched else 1):
            own = {n: x[i] if n in batched else x for n, x in arrays.items()}
            each.append(reader.make(own, shape).fitted(shape))
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{where}: found arrays that do not make an operator of {problem} ({error})"
        ) from error
    for made in each:
        if tuple(made.input_shape) != tuple(shape):
            raise UserError(
                f"{where}: found {', '.join(arrays)} for images of {made.input_shape}, "
                f"expected {tuple(shape)}, the images of the prior"
            )
    if not batched:
        return each[0], True
    return jax.tree.map(lambda *x: jnp.stack(x), *each), False


def _is_single(problem: str, array: np.ndarray, shape: ImageShape) -> bool:
    """Tells whether a mask of k-space or a kernel, with a last axis of 1, is for one
    image."""
    return array.ndim == 3 and array.shape[-1] == 1 and array.shape[0] == shape[0]


def _check_names(where: str, problem: str, reader: Reader, arrays: Arrays) -> None:
    missing = [
        " or ".join(_either(name))
        for name in reader.needed
        if not any(n in arrays for n in _either(name))
    ]
    unknown = sorted(arrays.keys() - set(reader.known))
    if missing or unknown:
        parts = [f"no {', '.join(missing)}"] if missing else []
        parts += [f"the unknown {', '.join(unknown)}"] if unknown else []
        needed = [" or ".join(_either(name)) for name in reader.needed]
        known = ", ".join(["y", *needed, *(f"perhaps {n}" for n in reader.optional)])
        raise UserError(
            f"{where}: found {' and '.join(parts)}, expected the arrays {known} for "
            f"problem={problem}"
        )


def arrays_of(operators: Any) -> tuple[str, dict[str, np.ndarray]]:
    """Returns the problem in `READERS` ("" for the usual one) and arrays of operators.

    `operator_of` makes the same operators of them, to the last bit.
    """
    if isinstance(operators, SuperResolution):
        return "", {"factor": np.asarray(operators.factor)}
    if isinstance(operators, Colourisation | Denoising):
        return "", {}
    name = "fourier_lines" if isinstance(operators, FourierLines) else ""
    fields = ("spectrum", "signs", "mask", "matrix", "codes")
    found = {
        field: np.asarray(jax.device_get(getattr(operators, field)))
        for field in fields
        if field in operators.__dict__
    }
    if isinstance(operators, PartialCirculant):  # for people and other programs
        n = found["mask"].shape[-1]
        found["filter"] = np.fft.irfft(found["spectrum"], n=n).astype(np.float32)
    return name, found
