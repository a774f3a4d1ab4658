"""A training run small enough to be repeated: 8 pixels, 8 channels, a dozen images."""

import numpy as np
from PIL import Image

from configs.quickstart import get_config
from rtil_jax import devices
from rtil_jax.checkpoints import Checkpoints
from rtil_jax.config import build_recipe
from rtil_jax.training.plan import abstract_state

FIELDS = {
    "resolution": 8,
    "generator.mapping_layers": 1,
    "family.blocks": (1,),
    "training.steps": 9,
    "training.batch_size": 4,
    "training.r1_every": 4,
    "training.path_every": 3,
    "training.path_batch_shrink": 1,
    "checkpoint.every": 5,
    "sample.every": 9,
    "sample.columns": 2,
    "log.every": 2,
    "data.count": 0,
}


def make_images(folder, count=12):
    """Random PNGs."""
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)
    for index, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{index:02d}.png")
    return folder


def tiny_config(folder, **fields):
    """`configs/quickstart.py:tiny` with FIELDS; `fields` are written a__b for a.b."""
    config = get_config("tiny")
    config.data.source = str(folder)
    config.data.cache_dir = str(folder.parent / "cache")
    changes = {name.replace("__", "."): value for name, value in fields.items()}
    config.update_from_flattened_dict(FIELDS | changes)
    return config.lock()


def final_state(config, workdir):
    """What the newest checkpoint holds, on one device."""
    mesh = devices.data_mesh(1)
    with Checkpoints(str(workdir), 1) as checkpoints:
        return checkpoints.restore(abstract_state(build_recipe(config), mesh))
