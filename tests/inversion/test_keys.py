"""One key for all images, one for each, or keys of the older form."""

import jax
import numpy as np
import pytest

from rtil_jax.errors import UserError
from rtil_jax.inversion.keys import keys_of_images

KEY = jax.random.key(5)


def numbers(keys):
    return np.asarray(jax.random.key_data(keys))


def test_one_key_per_image_stays():
    keys = jax.random.split(jax.random.key(0), 3)
    np.testing.assert_array_equal(numbers(keys_of_images(keys, 3)), numbers(keys))


def test_one_key_is_folded_with_each_image_s_index():
    keys = keys_of_images(jax.random.key(5), 3)
    expected = [numbers(jax.random.fold_in(jax.random.key(5), i)) for i in range(3)]
    np.testing.assert_array_equal(numbers(keys), expected)
    assert keys_of_images(jax.random.key(5), 1).shape == (1,)


def test_a_seed_is_the_key_of_it():
    for seed in (5, np.int64(5)):
        found, expected = keys_of_images(seed, 3), keys_of_images(KEY, 3)
        np.testing.assert_array_equal(numbers(found), numbers(expected))


def test_keys_of_the_older_form_are_the_same():
    for old, new in (
        (jax.random.PRNGKey(5), KEY),
        (np.asarray(jax.random.PRNGKey(5)), KEY),
        (jax.random.split(jax.random.PRNGKey(5), 3), jax.random.split(KEY, 3)),
    ):
        found, expected = keys_of_images(old, 3), keys_of_images(new, 3)
        np.testing.assert_array_equal(numbers(found), numbers(expected))


@pytest.mark.parametrize(
    "keys, message",
    [
        (-1, "key: found -1, expected a whole number in .0, 2.32"),
        (0.5, "keys: found 0.5, expected a seed, jax.random.key"),
        (True, "keys: found True, expected a seed"),
        (None, "keys: found None, expected a seed, jax.random.key"),
        (np.arange(3), "keys: found int64 of shape .3,., expected a seed"),
        (np.zeros(3, np.uint32), "keys: found uint32 of shape .3,., expected"),
        (jax.random.split(jax.random.key(0), 2), "found 2 keys, expected 3, one per"),
    ],
)
def test_what_is_no_key_is_one_line(keys, message):
    with pytest.raises(UserError, match=message):
        keys_of_images(keys, 3)
