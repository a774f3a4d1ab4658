"""The PRNG keys of a training run, one for every purpose.

JAX's `fold_in(key, i)` may equal `split(key)[i]`. So if a key is both split and folded,
or folded with two kinds of numbers, two purposes may get the same key. Here every key
is either split once, or folded with one kind of number:

    key(seed)   folded with TRAINING                              -> root
    root        split                                             -> RunKeys
    weights     split: generator, discriminator
    steps       folded with how many images were left out so far  -> `run_key`
    `run_key`   folded with the number of the step                -> a step's
    samples     split: members' inputs

NumPy draws the order and the flips of the images, see `rtil_jax.data.batches`.
"""

from typing import NamedTuple

import jax

# Inversion folds the key of the same seed with image indices, which are smaller.
TRAINING = 2**31 - 1


class RunKeys(NamedTuple):
    """The keys of a run, by purpose.

    Attributes:
        weights: for the weights of both networks before the first step.
        steps: for everything that steps draw, see `run_key`.
        samples: for the inputs of the pictures in `samples`.
    """

    weights: jax.Array
    steps: jax.Array
    samples: jax.Array


def run_keys(seed: int) -> RunKeys:
    """Returns the keys of a run whose config has this seed."""
    root = jax.random.fold_in(jax.random.key(seed), TRAINING)
    return RunKeys(*jax.random.split(root, 3))


def run_key(seed: int, skipped_images: int) -> jax.Array:
    """Returns the key from which each step's is folded; it changes after a rollback."""
    return jax.random.fold_in(run_keys(seed).steps, skipped_images)


def sample_key() -> jax.Array:
    """Returns the key of all sample pictures, so that all runs show the same inputs."""
    return run_keys(0).samples
