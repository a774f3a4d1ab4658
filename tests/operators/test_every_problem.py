"""Every problem through what `invert.py` runs, with a generator of two layers."""

import csv
import os

import jax
import numpy as np
import pytest
from PIL import Image

from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion import sweep
from rtil_jax.experiments.inversion.inversion_config import inversion_config
from rtil_jax.generators import init
from rtil_jax.inversion import Prior
from rtil_jax.operators import OPERATORS, sample_operator
from rtil_jax.operators.ratios import RATIO_LABELS, RECIPROCALS, check_ratio
from tests.toy_generator import ToyGenerator

# Those of the paper have `tests/test_end_to_end.py`.
RATIOS = {
    "box_inpainting": 0.5,
    "colourisation": 1.0,
    "denoising": 1.0,
    "fourier": 0.5,
    "gaussian": 0.25,
    "gaussian_deblurring": 0.25,
    "motion_deblurring": 0.25,
    "phase_retrieval": 0.5,
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    levels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    for index, pixels in enumerate(levels):
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def toy_prior():
    generator = ToyGenerator(channels=3)
    return Prior.of(generator, init(generator, jax.random.key(0)))


@pytest.fixture
def run(pictures, toy_prior, tmp_path, monkeypatch):
    def run(problem, ratios, **fields):
        monkeypatch.setattr(sweep, "load_priors", lambda config: {"rtil": toy_prior})
        # It has no directory that would say what it was trained on.
        monkeypatch.setattr(sweep, "seen_in_training", lambda config, images: {})
        config = inversion_config("csgm")
        config.priors.rtil, config.images.source = "toy", str(pictures)
        config.images.cache_dir, config.images.count = str(pictures / ".cache"), 2
        config.problem, config.ratios, config.noise_std = problem, ratios, 0.01
        config.method.steps = 25
        config.update(fields)
        sweep.run_sweep(config, str(tmp_path / "run"))
        return tmp_path / "run"

    return run


# Whose y is a picture, and whose y is shown as A^T y.
REPORTED = ("box_inpainting", "fourier")


@pytest.mark.parametrize("problem", RATIOS)
def test_it_is_inverted_and_reported(problem, run, monkeypatch):
    ratio = RATIOS[problem]
    if problem not in REPORTED:  # reports take longer than such inversions
        monkeypatch.setattr(sweep, "write_report", lambda *_: None)
    directory = run(problem, (ratio,))
    with open(directory / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    # The loss fell: what the gradient of this operator says is so.
    assert {row["status"] for row in rows} == {"ok"}
    if problem in REPORTED:
        names = (f"{problem}_{ratio:g}_measurement.png", "psnr.png")
        names += (f"convergence_{problem}.png",)
        assert set(os.listdir(directory / "figures")) == set(names)


def test_photons_are_measured_and_their_likelihood_descended(run):
    directory = run("denoising", (1.0,), noise="poisson", peak=20.0, noise_std=0.0)
    with open(directory / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["status"] for row in rows} == {"ok"}
    text = "Noise on the measurements, denoising: Poisson, a white pixel is 20 photons."
    assert text in (directory / "summary.md").read_text()
    # The column is the squared error, which the likelihood is not.
    assert all(float(row["measurement_mse"]) > 0.05 for row in rows)


@pytest.mark.parametrize(
    "problem, fields, message",
    [
        ("denoising", {"peak": 0.0}, "peak: found 0.0, expected a number above 0 with"),
        ("denoising", {"noise": "gaussian"}, "peak: found 9.0, expected .* 0 without"),
        ("denoising", {"noise_std": 0.1}, "noise_std: found 0.1 with Poisson noise"),
        (
            "gaussian",
            {},
            "problem: found gaussian with Poisson noise, expected a problem th",
        ),
        ("denoising", {"noise": "shot"}, "noise: found 'shot', expected one of gauss"),
    ],
)
def test_noise_that_cannot_be_is_refused(problem, fields, message, run):
    fields = {"noise": "poisson", "peak": 9.0, "noise_std": 0.0} | fields
    with pytest.raises(UserError, match=message) as caught:
        run(problem, (1.0,), **fields)
    assert "\n" not in str(caught.value)


def test_the_ratio_of_every_problem_has_a_name():
    assert RATIO_LABELS.keys() == OPERATORS.keys() >= set(RECIPROCALS)


@pytest.mark.parametrize(
    "problem, ratio",
    [("denoising", 0.5), ("box_inpainting", 0.01), ("motion_deblurring", 0.1)],
)
def test_a_ratio_that_cannot_be_is_refused_before_anything_is_written(
    problem, ratio, run, tmp_path
):
    message = f"ratios: found {ratio} with problem={problem}"
    with pytest.raises(UserError, match=message) as caught:
        run(problem, (ratio,))
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "problem, ratio, message",
    [
        (
            "inpainting",
            10,
            "found 10, expected numbers in .*; for 10 % write 0.1",
        ),
        ("super_resolution", 4, r"for a factor of 4 write 1 / 4 = 0.25"),
        ("inpainting", "0.1", r"found '0.1', expected numbers in \(0, 1\]"),
        ("inpainting", None, "found None, expected numbers"),
        ("inpainting", (0.1,), "found .0.1,., expected numbers"),
        ("inpainting", True, "found True, expected numbers"),
    ],
)
def test_percentages_and_factors_say_what_to_write(problem, ratio, message):
    with pytest.raises(UserError, match=f"^ratios: .*{message}"):
        check_ratio(problem, ratio)


@pytest.mark.parametrize(
    "problem, near",
    {
        "inpaint": "inpainting",
        "superresolution": "super_resolution",
        "colorization": "colourisation",
        "deblurring": "motion_deblurring",
    }.items(),
)
def test_a_near_name_is_told(problem, near):
    message = f"^problem: found '{problem}', expected .*; did you mean {near}"
    with pytest.raises(UserError, match=message):
        sample_operator(problem, jax.random.key(0), (8, 8, 3), 0.5)


def test_numpy_s_ratios_do():
    for ratio in (np.float32(0.5), np.float64(0.5), np.array(0.5), 1):
        assert check_ratio("inpainting", ratio) in (0.5, 1)
