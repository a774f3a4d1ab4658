"""Writes prior directories from PyTorch checkpoints, and checkpoints from directories.

A converted directory has `config.json` and `checkpoints/` like a training directory. If
the source has them, it also has `style_fit.npz` (see `rtil_jax.priors.prior`) and
`torch_buffers.npz`, PyTorch's fixed noise maps and mean of w.
"""

import dataclasses
import os

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from ml_collections import ConfigDict

from rtil_jax import devices
from rtil_jax.checkpoints import Checkpoints, load_config, load_weights
from rtil_jax.config import plain, save_config
from rtil_jax.convert import files
from rtil_jax.convert.checkpoint import PARTS, Checkpoint
from rtil_jax.convert.layouts import Tensors
from rtil_jax.convert.networks import Converted, checkpoint_from, convert_checkpoint
from rtil_jax.convert.wrappers import find_networks
from rtil_jax.errors import UserError
from rtil_jax.experiments.training.configured_recipe import build_recipe, saved_run
from rtil_jax.experiments.training.training_plan import abstract_state, count_parameters
from rtil_jax.files import local_path
from rtil_jax.precision import single
from rtil_jax.priors.prior import STYLE_FIT, check_grown
from rtil_jax.training.state import TrainState

BUFFERS = "torch_buffers.npz"


def convert(
    source: str, to: str, style_fit: str | None = None, resolution: int | None = None
) -> str:
    """Converts a public PyTorch checkpoint to a prior directory, or a directory back.

    Args:
        source: a file of `torch.save` or safetensors, with any name, or a prior
            directory.
        to: the directory or the file to write.
        style_fit: for StyleGAN2, a file with `mean` and `std` of the styles, such as
            ILO's `gaussian_fit.pt`; None fits the network's own mapping.
        resolution: refuse a network of another resolution; None accepts any.

    Returns:
        What was done, in one line; for a directory also the command that continues
        training from it.

    Raises:
        UserError: if a file or directory cannot be used.
    """
    source, to = local_path(source, "SOURCE"), local_path(to, "--to")
    if os.path.isdir(source):
        return export_prior(source, to)
    _check_new_directory(to)
    saved = files.read(source)
    try:
        checkpoint = find_networks(saved)
        converted = convert_checkpoint(checkpoint, resolution)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error
    if style_fit:
        style_fit = local_path(style_fit, "--style_fit")
    fit = _read_style_fit(style_fit, converted.config) if style_fit else None
    write_prior(converted, to, fit)
    config = converted.config
    return (
        f"{to}: {config.architecture} of {config.resolution} x {config.resolution} x "
        f"{config.channels}, {count_parameters(converted.ema):,} parameters, from "
        f"{_origins(checkpoint, config.converted.parts)}\n"
        f"continue with: python train.py {' '.join(training_flags(config, to))}"
    )


def _origins(checkpoint: Checkpoint, parts: list[str]) -> str:
    """Says where the networks were in the file: `g_ema, d`, `state_dict.decoder`."""
    return ", ".join(checkpoint.origins[part] or "the whole file" for part in parts)


def training_flags(config: ConfigDict, directory: str) -> list[str]:
    """Returns the flags of `train.py` that start from a converted directory."""
    pggan = config.architecture == "pggan"
    file = "configs/pggan_ffhq256.py" if pggan else "configs/stylegan2_ffhq256.py"
    flags = [f"--config {file}", f"--config.init_from={directory}"]
    flags += [f"--config.{name}={config[name]}" for name in ("resolution", "channels")]
    for network in ("generator", "discriminator"):
        fields = config[network]
        others = ("max_channels", "channel_base") if fields.widths else ("widths",)
        for name, value in fields.items():
            if name not in ("style_mixing", "stddev_group", *others):
                text = f"'{value}'" if isinstance(value, tuple) else value
                flags.append(f"--config.{network}.{name}={text}")
    if pggan:
        flags.append(f"--config.family.block={config.family.block}")
        flags.append("--config.growing=none")
    return flags


def write_prior(
    converted: Converted, directory: str, style_fit: Tensors | None = None
) -> None:
    """Writes a directory that `load_prior` and `config.init_from` accept.

    Its optimisers start anew, and so does a discriminator that the source lacks.

    Args:
        converted: the networks and their config.
        directory: new or empty.
        style_fit: `mean` and `std` of the styles, each `(latent_dim,)`, or None.

    Raises:
        UserError: if the directory is not empty, or cannot be written.
    """
    _check_new_directory(directory)
    networks = {"generator": converted.generator, "ema": converted.ema}
    if converted.discriminator is not None:
        networks["discriminator"] = converted.discriminator
    recipe = build_recipe(saved_run(plain(converted.config)))

    @jax.jit
    def fresh_rest(key: jax.Array) -> TrainState:
        state = recipe.fresh_state(key)
        return dataclasses.replace(state, **dict.fromkeys(networks))

    state = fresh_rest(jax.random.key(0))
    state = dataclasses.replace(state, **single(jax.tree.map(jnp.array, networks)))
    config = plain(converted.config)
    try:
        os.makedirs(directory, exist_ok=True)
        for name, arrays in ((STYLE_FIT, style_fit), (BUFFERS, converted.buffers)):
            if arrays:
                path = os.path.join(directory, name)
                np.savez(path, **arrays)  # type: ignore[arg-type]  # as elsewhere
        save_config(config, os.path.join(directory, "config.json"))
        with Checkpoints(directory, keep=1) as checkpoints:
            checkpoints.save(0, state, config)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"--to: {directory}: cannot be written ({reason})") from error


def _check_new_directory(directory: str) -> None:
    """Raises UserError unless this is a new or empty directory."""
    if directory.endswith(files.SUFFIXES):
        raise UserError(
            f"--to: found the file name {directory!r}, expected a directory, because "
            "the source is a file"
        )
    try:
        found = os.listdir(directory)
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise UserError(
            f"--to: found a file at {directory}, expected a new or empty directory"
        ) from error
    except OSError as error:
        raise UserError(f"--to: {directory}: {error.strerror}") from error
    if found:
        raise UserError(
            f"--to: found {found[0]} in {directory}, expected a new or empty directory"
        )


def export_prior(directory: str, path: str) -> str:
    """Writes the networks of a prior directory in the layout of the public code.

    Returns:
        What was done, in one line.

    Raises:
        UserError: if the directory has no finished network, or the file cannot be
            written.
    """
    files.check_new_file(path)
    config = load_config(directory)
    check_grown(directory, config)
    recipe = build_recipe(saved_run(config))
    state = load_weights(directory, abstract_state(recipe, devices.data_mesh()))
    networks = dict(
        zip(PARTS, (state.ema, state.generator, state.discriminator), strict=True)
    )
    try:
        checkpoint = checkpoint_from(
            ConfigDict(config), networks, _read_buffers(directory)
        )
    except UserError as error:
        raise UserError(f"{directory}: {error}") from error
    files.write(path, checkpoint)
    return f"{path}: {', '.join(checkpoint.parts)}"


def fixed_noises(directory: str) -> tuple[Array, ...]:
    """Returns the noise maps that came with a converted StyleGAN2.

    They have the form of the generator's latents. PyTorch's `randomize_noise=False`
    uses these maps.

    Returns:
        `(1, r, r, 1)` for each convolution, of `g_ema`, or of `g` without it.

    Raises:
        UserError: if the directory has no noise maps.
    """
    buffers = _read_buffers(directory)
    for part in ("g_ema", "g"):
        names = [key for key in buffers if key.startswith(f"{part}.noises.")]
        if names:
            maps = [buffers[f"{part}.noises.noise_{i}"] for i in range(len(names))]
            return tuple(
                jnp.array(noise.transpose(0, 2, 3, 1), jnp.float32) for noise in maps
            )
    raise UserError(f"{directory}: found no noise maps in {BUFFERS}, expected some")


def _read_buffers(directory: str) -> Tensors:
    path = os.path.join(directory, BUFFERS)
    if not os.path.exists(path):
        return {}
    try:
        with np.load(path) as file:
            return dict(file)
    except Exception as error:  # A damaged zip may raise almost anything.
        raise UserError(f"{path}: found a damaged file ({error})") from error


def _read_style_fit(path: str, config: ConfigDict) -> Tensors:
    """Reads `mean` and `std`, each `(latent_dim,)`."""
    if config.architecture != "stylegan2":
        raise UserError(
            f"--style_fit: found a {config.architecture}, expected a StyleGAN2, the "
            "only network with styles"
        )
    arrays = files.read(path).arrays
    fit = {name: arrays[name] for name in ("mean", "std") if name in arrays}
    expected = (config.generator.latent_dim,)
    if [array.shape for array in fit.values()] != [expected] * 2:
        found = ", ".join(f"{name} {array.shape}" for name, array in fit.items())
        raise UserError(
            f"{path}: found {found or 'neither `mean` nor `std`'}, expected `mean` and "
            f"`std` of shape {expected}"
        )
    return {name: array.astype(np.float32) for name, array in fit.items()}
