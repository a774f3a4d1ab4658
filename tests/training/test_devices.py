import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from tests.training.tiny_run import FIELDS, final_state, tiny_config


def train_on(num_devices, workdir, config):
    """Output of `train.py` in a process of its own, with virtual devices."""
    count = f"--xla_force_host_platform_device_count={num_devices}"
    fields = {**FIELDS, "data.source": config.data.source}
    fields["data.cache_dir"] = config.data.cache_dir
    return subprocess.run(
        [sys.executable, "train.py", "--config=configs/quickstart.py:tiny"]
        + [f"--config.{name}={value}" for name, value in fields.items()]
        + [f"--workdir={workdir}"],
        env=os.environ | {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {count}"},
        capture_output=True,
        text=True,
        check=True,
    )


def test_four_devices_train_like_one(images, finished_run, tmp_path):
    config = tiny_config(images)
    result = train_on(4, tmp_path, config)
    assert "4 x cpu, batch size 4 = 1 process x 4 devices x 1," in result.stdout
    lines, expected = (
        [json.loads(line) for line in (path / "metrics.jsonl").open()]
        for path in (tmp_path, finished_run)
    )
    for line, like in zip(lines, expected, strict=True):
        assert line.keys() == like.keys() and line["step"] == like["step"]
        for name in line.keys() - {"images_per_second"}:
            np.testing.assert_allclose(
                line[name], like[name], rtol=1e-4, atol=1e-5, err_msg=name
            )
    state, like = final_state(config, tmp_path), final_state(config, finished_run)
    for (path, a), b in zip(
        jax.tree.leaves_with_path(state), jax.tree.leaves(like), strict=True
    ):
        name = jax.tree_util.keystr(path)
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def eight_devices():
    """What `eight_devices.py` prints."""
    flags = (
        f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.eight_devices"],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_the_losses_of_a_pggan_on_eight_devices_are_those_on_one(eight_devices):
    one, eight = eight_devices["curves"]
    for line, like in zip(eight, one, strict=True):
        assert line.keys() == like.keys()
        for name in line:
            np.testing.assert_allclose(
                line[name], like[name], rtol=1e-4, atol=1e-5, err_msg=name
            )


# Program -> (the network whose gradient it takes, how many terms of it are reduced).
REDUCED = {
    "discriminator": ("discriminator", 2),  # on real images, on generated ones
    "R1": ("discriminator", 2),  # a weight is read by D, and by D's gradient
    "generator": ("generator", 1),
    "path length": ("generator", 2),  # likewise
}


def test_gradients_and_scalars_are_all_that_devices_exchange(eight_devices):
    """One all-reduce of gradients in every program of StyleGAN2, and no other data.

    XLA's CPU pipeline reduces the terms of a gradient that is a sum before adding them,
    in one operation.
    """
    programs, bytes_of = eight_devices["exchanged"]["stylegan2"]
    assert programs.keys() == REDUCED.keys()
    for name, exchanged in programs.items():
        network, terms = REDUCED[name]
        assert {kind for kind, _ in exchanged} == {"all-reduce"}, name
        *scalars, gradients = sorted(size for _, size in exchanged)
        assert sum(scalars) < 100, name
        size = bytes_of[network]
        assert 0.9 * size < gradients < 1.1 * terms * size, name


def test_a_vanilla_pggan_exchanges_gradients_and_scalars_only(eight_devices):
    """One all-reduce for each network; the discriminator's gradient has four terms:
    on real images, on generated ones, and twice in the penalty."""
    programs, bytes_of = eight_devices["exchanged"]["pggan"]
    (exchanged,) = programs.values()
    assert {kind for kind, _ in exchanged} == {"all-reduce"}
    *scalars, generator, discriminator = sorted(size for _, size in exchanged)
    assert sum(scalars) < 100
    assert generator < 1.1 * bytes_of["generator"]
    assert discriminator < 4.1 * bytes_of["discriminator"]
