"""`Prior` and `load_prior`: a trained generator in the form that inversion uses."""

import dataclasses
import functools
import math
import os
from collections.abc import Mapping
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from flax.errors import FlaxError
from jaxtyping import Array, Float

from rtil_jax.activations import in_precision
from rtil_jax.checkpoints import load_config, load_ema, load_step
from rtil_jax.errors import UserError
from rtil_jax.generators import Generator, init, sample_latents
from rtil_jax.generators.configured import (
    architecture_of,
    build_generator,
    steps_to_grow,
)
from rtil_jax.generators.interface import StyledGenerator
from rtil_jax.layers import LEAKY_SLOPE
from rtil_jax.precision import single
from rtil_jax.priors.feature_scales import (
    FEATURE_SCALES,
    measure_scales,
    read_scales,
)
from rtil_jax.priors.packed import is_packed, read_config, read_weights
from rtil_jax.priors.registry import locate

# A file in a prior's directory with `mean` and `std`, which replaces our own fit.
STYLE_FIT = "style_fit.npz"
FIT_SAMPLES = 2**16
_CHUNKS = 16


@struct.dataclass
class StyleFit:
    """A simple replacement for the mapping network: w = leaky_relu(std * z + mean).

    Here z ~ N(0, I).

    Attributes:
        mean: `(latent_dim,)`, mean of the mapping network's output before its last
            activation.
        std: `(latent_dim,)`, its standard deviation.
    """

    mean: Any
    std: Any

    def __call__(
        self, z: Float[Array, "batch layers latent"]
    ) -> Float[Array, "batch layers latent"]:
        mean, std = self.mean[None, None], self.std[None, None]
        return jax.nn.leaky_relu(std * z + mean, LEAKY_SLOPE)


@struct.dataclass
class Prior:
    """A generator with its variables, in the form that `invert` takes.

    Attributes:
        generator: any module with the interface of `rtil_jax.generators`.
        variables: the variables of `generator`, `{"params": ...}`.
        style_fit: the `StyleFit` of a generator with `map_styles`; None for others.
        feature_scales: the standard deviation of the features after each block but the
            last (see `priors.feature_scales`); None until it is needed.
    """

    generator: Generator = struct.field(pytree_node=False)
    variables: Any
    style_fit: Any = None
    feature_scales: Any = None

    def with_feature_scales(self) -> "Prior":
        """Returns the prior with its feature scales, measuring them if necessary."""
        if self.feature_scales is not None:
            return self
        scales = measure_scales(self.generator, self.variables)
        return dataclasses.replace(self, feature_scales=scales)

    def in_precision(self, precision: Any, field: str = "precision") -> "Prior":
        """The same prior, whose generator computes in `float32` or `bfloat16`.

        Its weights are float32 either way; see `rtil_jax.activations`.

        Args:
            precision: of the generator's activations and convolutions.
            field: what to call it in an error.

        Raises:
            UserError: if it is another, or the generator has float32 alone.
        """
        generator = in_precision(self.generator, precision, field)
        return dataclasses.replace(self, generator=generator)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of the images."""
        size = self.generator.resolution
        square = size, size, self.generator.channels
        return getattr(self.generator, "image_shape", square)  # rarely not square

    def __repr__(self) -> str:
        """Shows architecture, image shape and number of parameters, not the arrays."""
        leaves = jax.tree.leaves(self.variables)
        count = sum(math.prod(getattr(leaf, "shape", ())) for leaf in leaves)
        shape = " x ".join(map(str, self.image_shape))
        styles = "" if self.style_fit is None else ", style fit"
        name = type(self.generator).__name__
        return f"Prior({name}, {shape}, {count:,} parameters{styles})"

    @classmethod
    def of(cls, generator: Any, variables: Any) -> "Prior":
        """Makes a prior from your own generator; fits its styles if it has any.

        Args:
            generator: a module with the interface of `rtil_jax.generators`.
            variables: `{"params": ...}`, as `generators.init` returns.

        Raises:
            UserError: if this is not a generator, or the variables do not fit it.
        """
        check_variables(generator, variables)
        variables = single(variables)
        fit = fit_styles(generator, variables) if has_styles(generator) else None
        return cls(generator, variables, fit)


def check_prior(prior: Any) -> None:
    """Raises UserError if the argument of `invert` is not a `Prior`."""
    if not isinstance(prior, Prior):
        found = repr(prior) if isinstance(prior, str) else type(prior).__name__
        raise UserError(
            f"prior: found {found}, expected load_prior(DIR or 'pretrained:NAME') or "
            "Prior.of(generator, variables)"
        )


def check_variables(generator: Any, variables: Any) -> None:
    """Raises UserError if a generator cannot make images with these variables.

    It only compares shapes, and computes nothing.
    """

    found = f"an object of {type(generator).__name__}"
    if isinstance(generator, type):
        found = f"the class {generator.__name__}"
    parts = ("apply", "num_blocks", "resolution", "channels")
    if isinstance(generator, type) or not all(hasattr(generator, x) for x in parts):
        raise UserError(
            f"Prior.of: found {found}, expected a generator: a Flax module with the "
            "methods of docs/own_generator.md"
        )

    def image(variables: Any, key: jax.Array) -> Any:
        latents = sample_latents(generator, variables, key, 1)
        return generator.apply(variables, latents)

    try:
        found = jax.eval_shape(image, variables, jax.random.key(0)).shape
    except (FlaxError, TypeError, AttributeError) as error:
        parameters = isinstance(variables, Mapping) and "params" not in variables
        reason = " ".join(str(error).partition("(https")[0].split())
        raise UserError(
            f"Prior.of: found variables that do not fit {type(generator).__name__} "
            f"({reason[:200]}), expected {{'params': ...}}, as generators.init returns"
            + ("; write Prior.of(generator, {'params': params})" if parameters else "")
        ) from error
    size = generator.resolution
    if found != (1, size, size, generator.channels):
        raise UserError(
            f"Prior.of: found images {found} from {type(generator).__name__}, expected "
            f"{(1, size, size, generator.channels)} by its resolution and channels"
        )


def has_styles(generator: Generator) -> TypeGuard[StyledGenerator]:
    """Tells whether a generator has a mapping network and per-layer styles."""
    return hasattr(generator, "map_styles")


@functools.partial(jax.jit, static_argnums=0)
def fit_styles(generator: StyledGenerator, variables: dict) -> StyleFit:
    """Fits a Gaussian to the mapping network's output before its last activation.

    This is the recipe of PULSE, which ILO uses. The public RTIL code takes the numbers
    of another network; here they are fitted to the prior itself.
    """

    def chunk(
        key: jax.Array,
    ) -> tuple[Float[Array, " latent"], Float[Array, " latent"]]:
        shape = FIT_SAMPLES // _CHUNKS, generator.latent_dim
        z = jax.random.normal(key, shape, jnp.float32)
        w = generator.apply(variables, z, method="map_styles")[:, 0]
        before = jnp.where(w < 0, w / LEAKY_SLOPE, w)
        return jnp.mean(before, axis=0), jnp.mean(before**2, axis=0)

    keys = jax.random.split(jax.random.key(0), _CHUNKS)
    mean, square = (jnp.mean(x, axis=0) for x in jax.lax.map(chunk, keys))
    return StyleFit(mean, jnp.sqrt(jnp.maximum(square - mean**2, 1e-12)))


def load_prior(source: Any) -> Prior:
    """Loads a prior from a directory, or the packaged prior `pretrained:NAME`.

        prior = load_prior("pretrained:faces64_rtil")

    For a training directory, the prior is the moving average of the weights in the
    newest checkpoint.

    Raises:
        UserError: if the prior or a checkpoint does not exist, it does not fit its
            config, or its network is still growing.
    """
    directory, said = locate(source), ""

    def shapes_of(config: dict) -> Any:
        nonlocal said
        network = f"{architecture_of(config)} of {config['resolution']} pixels"
        said = f" (the config says {network})"
        return _variable_shapes(build_generator(config))  # type: ignore[arg-type]

    def shapes_when_grown(config: dict, step: int | float) -> Any:
        _check_grown(directory, config, step)
        return shapes_of(config)

    try:
        if is_packed(directory):
            config = read_config(directory)
            ema = read_weights(directory, shapes_of(config))
        else:
            config, ema = load_ema(directory, shapes_when_grown)
    except UserError as error:
        raise UserError(f"{error}{said}") from error
    generator, fit, scales = build_generator(config), None, None
    if has_styles(generator):
        path = os.path.join(directory, STYLE_FIT)
        there = os.path.exists(path)
        fit = _read_style_fit(path) if there else fit_styles(generator, ema)
    if is_packed(directory) and os.path.exists(
        path := os.path.join(directory, FEATURE_SCALES)
    ):
        scales = read_scales(path, generator)
    return Prior(generator, ema, fit, scales)


@functools.cache
def _variable_shapes(generator: Generator) -> Any:
    return jax.eval_shape(lambda key: init(generator, key), jax.random.key(0))


def load_training_config(source: str | os.PathLike) -> dict[str, Any]:
    """Returns the config with which the prior `load_prior(source)` was trained.

    Raises:
        UserError: if the config cannot be read.
    """
    directory = locate(source)
    read = read_config if is_packed(directory) else load_config
    return read(directory)


def check_grown(workdir: str, config: Any) -> None:
    """Raises UserError if the network in `workdir` is still growing."""
    _check_grown(workdir, config, load_step(workdir))


def _check_grown(workdir: str, config: Any, step: int | float) -> None:
    grown = steps_to_grow(config)
    if step < grown:
        raise UserError(
            f"{workdir}: found a network that is still growing at step {step:,}, "
            f"expected at least {grown:,} steps to {config['resolution']} pixels"
        )


def _read_style_fit(path: str) -> StyleFit:
    try:
        with np.load(path) as file:
            arrays = (jnp.array(file[name], jnp.float32) for name in ("mean", "std"))
            return StyleFit(*arrays)
    except Exception as error:  # A damaged zip raises almost any.
        raise UserError(
            f"{path}: found other contents ({str(error).partition('. ')[0]}), "
            "expected arrays `mean` and `std`"
        ) from error
