"""Reads the training images, and those of a step and a process."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from rtil_jax import data, devices
from rtil_jax.experiments.training.training_config import TrainingRun
from rtil_jax.training.recipe import Recipe


def load_training_images(config: TrainingRun) -> data.ImageSet:
    """Loads the training split, at the config's resolution and channels."""
    return data.load_images(**_arguments(config))


def probe_training_images(config: TrainingRun) -> tuple[data.ImageSet, int]:
    """Returns the first images and the number of all, without caching them.

    Raises:
        UserError: as `load_training_images` would.
    """
    return data.probe_images(**_arguments(config))


def _arguments(config: TrainingRun) -> dict[str, Any]:
    return dict(
        source=config.data.source,
        split=config.data.split,
        resolution=config.resolution,
        channels=config.channels,
        cache_dir=config.data.cache_dir or None,
        count=config.data.count or None,
        window=config.data.window,
    )


def describe_images(config: TrainingRun, images: data.ImageSet) -> str:
    """Describes the images, what is cut off and how they are flipped, in one line."""
    return f"{images.describe()}, {images.describe_cuts()}, {describe_flips(config)}"


def describe_flips(config: TrainingRun) -> str:
    """Describes the effect of `data.flip`."""
    return f"flips: {'half of them, at random' if config.data.flip else 'none'}"


@dataclasses.dataclass(frozen=True)
class Resident:
    """Training images that are stored on every device.

    A step then sends indices to the devices, and no pixels.

    Attributes:
        pixels: uint8 `(images, height, width, channels)`.
    """

    pixels: UInt8[Array, "images height width channels"]

    def __len__(self) -> int:
        return len(self.pixels)


def near_devices(
    images: data.ImageSet, mesh: jax.sharding.Mesh
) -> data.ImageSet | Resident:
    """Puts images on the devices if they fit in a quarter of each device's memory.

    Images stay where they are if a device does not report its memory (a CPU does not,
    and has the images already), or if there are several processes, because each of them
    reads only its own part.
    """
    size = len(images) * images.resolution**2 * images.channels
    if jax.process_count() > 1 or size > _memory(mesh) / 4:
        return images
    pixels = images[np.arange(len(images))]
    return Resident(jax.device_put(pixels, devices.replicated(mesh)))


def _memory(mesh: jax.sharding.Mesh) -> int:
    """Returns the bytes of one device; 0 if it does not report them."""
    return (mesh.devices.flat[0].memory_stats() or {}).get("bytes_limit", 0)


def read_batch(
    config: TrainingRun,
    recipe: Recipe,
    images: data.ImageSet | Resident,
    step: int,
    skipped: int,
) -> Array:
    """Reads the images of one step, split over the devices of the current mesh.

    A process reads only the images of its own devices; the order of images does not
    depend on the number of processes. While the devices compute a step, the host can
    read the images of the next.

    Args:
        config: the config of the run.
        recipe: its recipe.
        images: the training images.
        step: number of finished steps.
        skipped: number of images that were skipped before.

    Returns:
        `(batch, height, width, channels)` in [-1, 1].
    """
    plan, flip = recipe.batch_at(step), config.data.flip
    seed, start = config.seed, plan.start + skipped
    if isinstance(images, Resident):
        choice = data.batch_choice(seed, start, plan.size, len(images), flip)
        return _take_jitted(images.pixels, *choice, plan.resolution)

    def rows(index: Any) -> Array | np.ndarray:
        batch = data.training_batch(
            images,
            seed=seed,
            start=start,
            batch_size=plan.size,
            flip=flip,
            rows=index[0],
        )
        return data.shrink(batch, plan.resolution)

    shape = (plan.size, plan.resolution, plan.resolution, images.channels)
    sharding = devices.batch_sharded(jax.sharding.get_mesh())
    return jax.make_array_from_callback(shape, sharding, rows)


def take(
    pixels: UInt8[Array, "images height width channels"],
    indices: Int[Array, " batch"],
    mirrored: Bool[Array, " batch"],
    resolution: int,
) -> Float[Array, "batch height2 width2 channels"]:
    """Does on the devices what `training_batch` and `shrink` do on the host.

    Args:
        pixels: all images.
        indices: which images the batch has.
        mirrored: whether each of them is mirrored.
        resolution: height and width of the result, in pixels.
    """
    batch = pixels[indices]
    mirrored = mirrored.reshape(-1, 1, 1, 1)
    batch = jnp.where(mirrored, jnp.flip(batch, axis=2), batch)
    # From a table, because XLA rounds a division by a constant differently.
    levels = jnp.asarray(data.to_float(np.arange(256, dtype=np.uint8)))
    return devices.constrain_batch(data.shrink(levels[batch], resolution))


_take_jitted = jax.jit(take, static_argnames="resolution")
