import numpy as np
import pytest

from rtil_jax.data import ImageSet, batch_indices, training_batch


@pytest.fixture
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
    names = tuple(f"{index}.png" for index in range(10))
    return ImageSet(names, pixels)


@pytest.mark.parametrize("batch_size", [1, 4, 7, 25])
def test_every_epoch_reads_every_image_once(batch_size):
    steps = 70 // batch_size + 1
    drawn = [
        batch_indices(3, step * batch_size, batch_size, 10) for step in range(steps)
    ]
    assert all(batch.shape == (batch_size,) for batch in drawn)
    epochs = np.concatenate(drawn)[:70].reshape(7, 10)
    np.testing.assert_array_equal(np.sort(epochs), np.tile(np.arange(10), (7, 1)))
    assert len({tuple(epoch) for epoch in epochs}) == 7


def test_indices_are_a_function_of_seed_and_position():
    ahead = batch_indices(0, 1000, 8, 100)
    for step in range(5):
        batch_indices(0, step, 8, 100)
    np.testing.assert_array_equal(batch_indices(0, 1000, 8, 100), ahead)
    assert (batch_indices(1, 1000, 8, 100) != ahead).any()


def test_batches_of_different_sizes_lie_end_to_end():
    parts = [batch_indices(0, *part, 10) for part in ((0, 6), (6, 2), (8, 17))]
    np.testing.assert_array_equal(np.concatenate(parts), batch_indices(0, 0, 25, 10))


def test_batch_holds_the_images_of_its_indices(images):
    batch = training_batch(images, seed=0, start=32, batch_size=16, flip=False)
    assert batch.dtype == np.float32 and batch.shape == (16, 8, 8, 3)
    expected = images[batch_indices(0, 32, 16, 10)] / 127.5 - 1
    np.testing.assert_allclose(batch, expected, atol=1e-6)


def test_flips_mirror_about_half_of_the_rows(images):
    plain = training_batch(images, seed=0, start=0, batch_size=400, flip=False)
    flipped = training_batch(images, seed=0, start=0, batch_size=400)
    same = (flipped == plain).all(axis=(1, 2, 3))
    mirrored = (flipped == plain[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all() and 150 < same.sum() < 250


def test_rows_of_two_processes_make_the_global_batch(images):
    arguments = dict(seed=5, start=108, batch_size=12)
    halves = [
        training_batch(images, rows=rows, **arguments)
        for rows in (slice(0, 6), slice(6, 12))
    ]
    whole = training_batch(images, **arguments)
    np.testing.assert_array_equal(np.concatenate(halves), whole)
    again = training_batch(images, **arguments)
    np.testing.assert_array_equal(again, whole)
