"""Images that are kept on the devices are those that would have been read."""

import jax
import numpy as np
import pytest

from rtil_jax import devices
from rtil_jax.experiments.training import training_images as reading
from rtil_jax.experiments.training.configured_recipe import build_recipe, resolved
from rtil_jax.experiments.training.training_images import (
    Resident,
    load_training_images,
    near_devices,
    read_batch,
)
from tests.training.tiny_run import tiny_config, tiny_pggan_config, tiny_run


@pytest.fixture
def found(images):
    return load_training_images(tiny_run(images))


@pytest.fixture
def mesh():
    mesh = devices.data_mesh()
    with jax.set_mesh(mesh):
        yield mesh


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("make", [tiny_config, tiny_pggan_config])
def test_a_batch_is_the_same_from_either_place(images, found, mesh, make, flip):
    config = resolved(make(images, data__flip=flip), 1)
    recipe = build_recipe(config)
    resident = Resident(jax.numpy.asarray(found[np.arange(len(found))]))
    for step, skipped in [(0, 0), (5, 0), (1, 8)]:
        read, taken = (
            read_batch(config, recipe, one, step, skipped) for one in (found, resident)
        )
        assert taken.dtype == read.dtype
        assert taken.sharding.is_equivalent_to(read.sharding, 4)
        # A PGGAN's first images are means, which the two may sum in another order.
        np.testing.assert_allclose(taken, read, atol=(make is tiny_pggan_config) * 1e-6)


def test_images_are_kept_where_a_quarter_of_the_memory_holds_them(
    found, mesh, monkeypatch
):
    assert near_devices(found, mesh) is found  # A CPU does not say what it has.
    size = len(found) * 8 * 8 * 3
    monkeypatch.setattr(reading, "_memory", lambda mesh: 4 * size - 1)
    assert near_devices(found, mesh) is found
    monkeypatch.setattr(reading, "_memory", lambda mesh: 4 * size)
    pixels = near_devices(found, mesh).pixels
    np.testing.assert_array_equal(pixels, found[np.arange(len(found))])
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    assert near_devices(found, mesh) is found
