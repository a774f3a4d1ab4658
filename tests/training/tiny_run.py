"""A training run small enough to be repeated: 8 pixels, 8 channels, a dozen images."""

import json

import jax
import numpy as np
from PIL import Image

from configs.quickstart import get_config
from rtil_jax import devices
from rtil_jax.checkpoints import Checkpoints
from rtil_jax.experiments.training.configured_recipe import build_recipe, resolved
from rtil_jax.experiments.training.training_plan import abstract_state

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


PGGAN_FIELDS = {
    "resolution": 16,
    "family.codes": (1, 2, 3),
    "family.block": 2,
    "training.steps": 18,  # 6 at 4, 8 and 16 pixels, 3 of them fading in
    "training.batch_size": 6,
    "checkpoint.every": 4,
    "sample.every": 18,
    "sample.columns": 2,
    "log.every": 2,
    "data.count": 0,
}


class Killed(Exception):
    pass


def make_images(folder, count=12):
    """Random PNGs."""
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)
    for index, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{index:02d}.png")
    return folder


def tiny_config(folder, **fields):
    """`configs/quickstart.py:tiny` with FIELDS; `fields` are written a__b for a.b."""
    return _config("tiny", FIELDS, folder, fields)


def tiny_pggan_config(folder, **fields):
    """Likewise, of `configs/quickstart.py:pggan,tiny` and PGGAN_FIELDS."""
    return _config("pggan,tiny", PGGAN_FIELDS, folder, fields)


def tiny_run(folder, **fields):
    """The parsed run of `tiny_config`."""
    return resolved(tiny_config(folder, **fields), 1)


def _config(variant, common, folder, fields):
    config = get_config(variant)
    config.data.source = str(folder)
    config.data.cache_dir = str(folder.parent / "cache")
    changes = {name.replace("__", "."): value for name, value in fields.items()}
    config.update_from_flattened_dict(common | changes)
    return config.lock()


def final_state(config, workdir):
    """What the newest checkpoint holds, on one device."""
    mesh, recipe = devices.data_mesh(1), build_recipe(resolved(config, 1))
    with Checkpoints(str(workdir), 1) as checkpoints:
        return checkpoints.restore(abstract_state(recipe, mesh))


def saved_steps(workdir):
    names = [path.name for path in workdir.glob("checkpoints/*")]
    return sorted(int(name) for name in names if name.isdigit())


def read_metrics(workdir, rates=False):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    lines = [json.loads(line) for line in lines]
    return lines if rates else [{**line, "images_per_second": 0} for line in lines]


def assert_same_run(config, workdir, other):
    """Bit for bit: weights, EMA, optimisers, path means, logged metrics, pictures."""
    state, expected = final_state(config, workdir), final_state(config, other)
    for (path, a), b in zip(
        jax.tree.leaves_with_path(state), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_array_equal(a, b, err_msg=jax.tree_util.keystr(path))
    assert read_metrics(workdir) == read_metrics(other)
    last = sorted((other / "samples").iterdir())[-1].name
    pictures = [path / "samples" / last for path in (workdir, other)]
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


def contents(workdir):
    files = sorted(path for path in workdir.rglob("*") if path.is_file())
    return {path.relative_to(workdir): path.read_bytes() for path in files}
