import json
import os
import subprocess
import sys

import jax
import numpy as np

from rtil_jax.training.loop import train
from tests.training.tiny_run import (
    FIELDS,
    PGGAN_FIELDS,
    final_state,
    tiny_config,
    tiny_pggan_config,
)


def train_on(num_devices, workdir, config, variant="tiny", fields=FIELDS):
    """Output of `train.py` in a process of its own, with virtual devices."""
    count = f"--xla_force_host_platform_device_count={num_devices}"
    fields = {**fields, "data.source": config.data.source}
    fields["data.cache_dir"] = config.data.cache_dir
    return subprocess.run(
        [sys.executable, "train.py", f"--config=configs/quickstart.py:{variant}"]
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


def test_four_devices_train_a_pggan_like_one(images, tmp_path):
    fields = PGGAN_FIELDS | {
        "resolution": 8,
        "growing": "none",
        "training.steps": 2,
        "training.batch_size": 12,
        "log.every": 1,
    }
    config = tiny_pggan_config(images, **fields)
    train(config, str(tmp_path / "one"))
    train_on(4, tmp_path / "four", config, "pggan,tiny", fields)
    one, four = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").open()]
        for name in ("one", "four")
    )
    for line, like in zip(four, one, strict=True):
        for name in line.keys() - {"images_per_second"}:
            np.testing.assert_allclose(
                line[name], like[name], rtol=1e-3, atol=1e-4, err_msg=name
            )
