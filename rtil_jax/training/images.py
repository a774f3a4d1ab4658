"""What training reads: the images, and which of them belong to a step and a process."""

import jax
from jaxtyping import Array
from ml_collections import ConfigDict

from rtil_jax import data, devices
from rtil_jax.training.recipe import Recipe


def load_training_images(config: ConfigDict) -> data.ImageSet:
    """The training split, at the config's resolution and channels."""
    return data.load_images(
        config.data.source,
        config.data.split,
        resolution=config.resolution,
        channels=config.channels,
        cache_dir=config.data.cache_dir or None,
        count=config.data.count or None,
    )


def read_batch(
    config: ConfigDict, recipe: Recipe, images: data.ImageSet, step: int, skipped: int
) -> Array:
    """The images of one step, split over the devices of the current mesh.

    `skipped` images were left out before it. A process reads those of its own devices
    only; which row holds which image does not depend on how many there are.
    """
    plan = recipe.batch_at(step)

    def rows(index):
        batch = data.training_batch(
            images,
            seed=config.seed,
            start=plan.start + skipped,
            batch_size=plan.size,
            flip=config.data.flip,
            rows=index[0],
        )
        return data.shrink(batch, plan.resolution)

    shape = (plan.size, plan.resolution, plan.resolution, images.channels)
    sharding = devices.batch_sharded(jax.sharding.get_mesh())
    return jax.make_array_from_callback(shape, sharding, rows)
