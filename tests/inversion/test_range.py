"""Targets in another range than the generator's, as in the public demo of RTIL."""

import csv
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from rtil_jax import metrics
from rtil_jax.checkpoints import Checkpoints
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.inversion_config import inversion_config
from rtil_jax.experiments.inversion.inversion_run import parse_inversion
from rtil_jax.experiments.inversion.measuring import from_range, in_range
from rtil_jax.experiments.inversion.sweep import run_sweep
from rtil_jax.generators import DCGANGenerator, init
from rtil_jax.inversion import (
    load_prior,
    load_solution,
    make_problem,
    measurement_loss,
    render,
)
from rtil_jax.training.state import TrainState
from tests.references.stylegan2 import random_variables

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)


def config_of(home, limits):
    config = inversion_config("csgm")
    config.priors.rtil = str(home / "prior")
    config.images.source = str(home / "pictures")
    config.images.cache_dir = str(home / "cache")
    config.images.range, config.images.count = limits, 0
    config.method.steps, config.lpips, config.ratios = 4, "", (0.5,)
    config.problem, config.select = "inpainting", "oracle"
    return config


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two pictures and a prior, inverted with targets in [0, 1]."""
    home = tmp_path_factory.mktemp("range")
    (home / "pictures").mkdir()
    for index, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(home / "pictures" / f"{index}.png")
    sizes = {"base_channels": 2, "latent_dim": 3}
    generator = DCGANGenerator(16, **sizes)
    ema = random_variables(functools.partial(init, generator))
    config = {"architecture": "dcgan", "resolution": 16, "channels": 3}
    state = TrainState(jnp.zeros((), jnp.int32), None, None, None, None, ema)
    with Checkpoints(str(home / "prior"), keep=1) as checkpoints:
        checkpoints.save(0, state, config | {"generator": sizes})
    run_sweep(config_of(home, (0.0, 1.0)), str(home / "run"))
    return home


def test_black_and_white_are_the_limits():
    images = jnp.array([-1.0, 0.0, 1.0])
    np.testing.assert_allclose(in_range(images, (0, 1)), [0, 0.5, 1])
    np.testing.assert_allclose(in_range(images, (-2, 6)), [-2, 2, 6])
    for limits in ((0, 1), (-2, 6)):
        again = from_range(in_range(images, limits), limits)
        np.testing.assert_allclose(again, images, atol=1e-6)


def test_the_usual_range_changes_no_bit():
    images = jax.random.normal(jax.random.key(0), (100,))
    for function in (in_range, from_range):
        np.testing.assert_array_equal(function(images, (-1.0, 1.0)), images)


def losses(image, index):
    """Of measurements of the image in [0, 1]."""
    truth = np.float32(PIXELS[index : index + 1] / 255)
    problem, _ = make_problem("inpainting", truth, np.array([index]), ratio=0.5, seed=0)
    return measurement_loss(problem, image)


def test_results_are_of_the_generators_images_read_as_zero_to_one(home):
    """The generator's own output, clipped to [0, 1], is the picture."""
    prior = load_prior(str(home / "prior"))
    with open(home / "run" / "results.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    for index, row in enumerate(rows):
        (path,) = (home / "run" / "solutions").glob(f"*_{index:05d}_*.npz")
        solution = load_solution(str(path), prior.generator, prior.variables)
        image = render(prior.generator, prior.variables, solution)
        unit = np.clip(image, 0, 1)
        (path,) = (home / "run" / "recovered").glob(f"*_{index:05d}_*.png")
        saved = np.asarray(Image.open(path))
        assert np.ptp(saved) > 50
        np.testing.assert_allclose(saved, 255 * unit[0], atol=0.51)
        psnr = metrics.psnr(unit, np.float32(PIXELS[index : index + 1] / 255))
        assert float(row["psnr"]) == pytest.approx(float(psnr[0]), abs=1e-2)
        loss = float(losses(image, index)[0])
        assert float(row["measurement_mse"]) == pytest.approx(loss, rel=1e-4)


def test_results_of_two_ranges_do_not_share_a_directory(home):
    with pytest.raises(UserError, match="results with another config.images.range"):
        run_sweep(config_of(home, (-1.0, 1.0)), str(home / "run"))


def test_a_directory_from_before_there_were_ranges_goes_on(home, tmp_path):
    config = config_of(home, (-1.0, 1.0))
    run_sweep(config, str(tmp_path))
    path = tmp_path / "config.json"
    record = json.loads(path.read_text())
    for old in (record["shared"], *record["methods"].values()):
        del old["images"]["range"]
    path.write_text(json.dumps(record))
    run_sweep(config, str(tmp_path))
    with pytest.raises(UserError, match="results with another config.images.range"):
        path.write_text(json.dumps(record))
        run_sweep(config_of(home, (0.0, 1.0)), str(tmp_path))


@pytest.mark.parametrize("limits", [(1, 0), (0, 0), (0, 1, 2), 3, ("a", "b"), ()])
def test_other_ranges_are_refused(limits, tmp_path):
    config = config_of(tmp_path, (0, 1))
    config.images.unlock()
    del config.images.range
    config.images.range = limits
    with pytest.raises(UserError, match="config.images.range: found"):
        parse_inversion(config)


@pytest.mark.parametrize("section", ["perceptual", "perceptual_for"])
def test_perceptual_losses_need_the_usual_range(section, tmp_path):
    config = config_of(tmp_path, (0, 1))
    if section == "perceptual":
        config.perceptual.distance = "lpips"
    else:
        config.perceptual_for.rtil = {"distance": "lpips"}
    with pytest.raises(UserError, match=r"images.range: .* \(-1, 1\), because of perc"):
        parse_inversion(config)
    config.images.range = (-1, 1)
    parse_inversion(config)
