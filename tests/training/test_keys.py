"""No two purposes of a training run share a random key."""

import jax
import numpy as np
import pytest

from rtil_jax import generators
from rtil_jax.discriminators import PGGANDiscriminator, StyleGAN2Discriminator
from rtil_jax.experiments.training.configured_recipe import build_recipe, resolved
from rtil_jax.inversion.problems import image_keys
from rtil_jax.training import pggan, stylegan2
from rtil_jax.training.keys import run_key, run_keys, sample_key
from rtil_jax.training.state import TrainState
from tests.training.tiny_run import make_images, tiny_config, tiny_pggan_config

SEED, STEPS = 0, 18
# Images left out: none, and after going back three times.
SKIPPED = (0, 1, 2, 12)
STATE = TrainState(*[None] * 6)


@pytest.fixture
def drawn(monkeypatch):
    """The keys that steps and fresh weights ask for; nothing is computed."""
    keys = []

    def draws(result):
        def ask(*arguments, **_):
            keys.append(next(x for x in reversed(arguments) if is_key(x)))
            return result

        return ask

    for name in ("jit_discriminator", "jit_generator", "jit_path_length"):
        monkeypatch.setattr(stylegan2, name, draws((STATE, {})))
    monkeypatch.setattr(stylegan2, "jit_r1", lambda *_: (STATE, {}))
    monkeypatch.setattr(stylegan2, "jit_finish", lambda *_: STATE)
    monkeypatch.setattr(pggan, "jit_step", draws((STATE, {})))
    # Networks without weights.
    monkeypatch.setattr(generators, "init", draws({"params": {}}))
    for network in (PGGANDiscriminator, StyleGAN2Discriminator):
        monkeypatch.setattr(network, "init", draws({"params": {}}))
    return keys


def is_key(x):
    return isinstance(x, jax.Array) and jax.dtypes.issubdtype(
        x.dtype, jax.dtypes.prng_key
    )


@pytest.mark.parametrize("make_config", [tiny_config, tiny_pggan_config])
def test_every_purpose_has_a_key_of_its_own(make_config, drawn, tmp_path):
    config = make_config(make_images(tmp_path / "images", 1), seed=SEED)
    recipe = build_recipe(resolved(config, 1))
    recipe.fresh_state(run_keys(SEED).weights)
    assert len(drawn) == 2

    runs = [run_key(SEED, count) for count in SKIPPED]
    for key in runs:
        for step in range(STEPS):
            recipe.train_step(STATE, np.zeros(0), key, step)
    assert len(drawn) >= 2 + STEPS * len(SKIPPED)

    # Those that are only split or folded must not be drawn with either; nor may the
    # operators, noise and starts of an inversion with the same seed.
    inner = [jax.random.key(SEED), *run_keys(SEED), *runs, sample_key()]
    inversion = [key for keys in image_keys(SEED, np.arange(STEPS)) for key in keys]
    found = [tuple(jax.random.key_data(key).tolist()) for key in drawn + inversion]
    roots = {tuple(jax.random.key_data(key).tolist()) for key in inner}
    assert len(set(found)) == len(found)
    assert len(roots) == len(inner) - 1  # seed 0's samples are those of all
    assert roots.isdisjoint(found)
