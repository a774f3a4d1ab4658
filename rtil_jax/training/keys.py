"""The random keys of a training run: every purpose has one of its own.

JAX's `fold_in(key, i)` is `split(key)[i]`. A key that is both split and folded, or
folded with numbers of two kinds, therefore gives the same key to two purposes. Here
every key is split once, or folded with numbers of one kind:

    key(seed)   folded with TRAINING                              -> root
    root        split                                             -> RunKeys
    weights     split: generator, discriminator
    steps       folded with how many images were left out so far  -> `run_key`
    `run_key`   folded with the number of the step                -> a step's
    samples     split: members' inputs

The order and the flips of the images are drawn by NumPy, see `rtil_jax.data.batches`.
"""

from typing import NamedTuple

import jax

# Inversion folds the key of the same seed with the numbers of images, which are less.
TRAINING = 2**31 - 1


class RunKeys(NamedTuple):
    """What is drawn with each key.

    Attributes:
        weights: both networks before the first step.
        steps: everything that steps draw, see `run_key`.
        samples: the inputs of the pictures in `samples`.
    """

    weights: jax.Array
    steps: jax.Array
    samples: jax.Array


def run_keys(seed: int) -> RunKeys:
    """The keys of a run whose config has this seed."""
    root = jax.random.fold_in(jax.random.key(seed), TRAINING)
    return RunKeys(*jax.random.split(root, 3))


def run_key(seed: int, skipped_images: int) -> jax.Array:
    """The key that every step is folded from; another one after going back."""
    return jax.random.fold_in(run_keys(seed).steps, skipped_images)


def sample_key() -> jax.Array:
    """The key of all pictures: those of any two runs show the same inputs."""
    return run_keys(0).samples
