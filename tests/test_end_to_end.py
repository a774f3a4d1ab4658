"""The whole path on a folder of pictures: train, resume, invert, report."""

import csv
import importlib.util
import os

import numpy as np
import pytest
from PIL import Image

from rtil_jax.errors import UserError
from rtil_jax.inversion import load_prior, load_solution, render, sweep
from rtil_jax.inversion.results import COLUMNS, read_picture
from rtil_jax.inversion.sweep import run_sweep
from rtil_jax.training.loop import train


def get_config(path, variant):
    spec = importlib.util.spec_from_file_location("config", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(variant)


def write_pictures(folder, count, seed):
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    for index in range(count):
        pixels = generator.integers(0, 256, (4, 4, 3), np.uint8)
        picture = Image.fromarray(pixels).resize((20, 24), Image.Resampling.BICUBIC)
        picture.save(folder / f"picture{index}.png")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder of pictures, and a vanilla and an RTIL prior trained on it."""
    home = tmp_path_factory.mktemp("home")
    write_pictures(home / "pictures" / "train", 12, seed=0)
    write_pictures(home / "pictures" / "test", 5, seed=1)
    for name in ("vanilla", "rtil"):
        config = get_config("configs/stylegan2_ffhq256.py", f"{name},tiny")
        config.data.source = str(home / "pictures")
        config.data.cache_dir = str(home / "cache")
        config.training.steps = config.checkpoint.every = 3
        train(config, str(home / name))
        config.training.steps = 5  # the same directory: it resumes
        train(config, str(home / name))
    return home


def inversion_config(home, method="ilo", **changes):
    config = get_config(f"configs/invert/{method}.py", "tiny")
    config.priors.vanilla, config.priors.rtil = (
        str(home / "vanilla"),
        str(home / "rtil"),
    )
    config.images.source = str(home / "pictures")
    config.images.cache_dir = str(home / "cache")
    config.images.count = 3
    config.batch_size = 2
    config.ratios = (0.25,)
    config.method.steps = (4, 3, 2) if method == "ilo" else 4
    for name, value in changes.items():
        section, _, field = name.rpartition("__")
        (config[section] if section else config)[field] = value
    return config


@pytest.fixture(scope="module")
def inverted(home):
    """A finished inversion's directory."""
    workdir = home / "inverted"
    run_sweep(inversion_config(home), str(workdir))
    return workdir


def read_rows(workdir):
    with open(workdir / "results.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_training_resumed_and_left_its_files(home):
    for name in ("vanilla", "rtil"):
        files = set(os.listdir(home / name))
        assert {"config.json", "checkpoints", "metrics.jsonl", "samples"} <= files
        assert "5" in os.listdir(home / name / "checkpoints")
        assert (home / name / "samples" / "0000005.png").exists()


def test_results_have_one_row_per_image_and_prior(inverted):
    rows = read_rows(inverted)
    assert tuple(rows[0]) == COLUMNS
    assert {(r["image"], r["prior"]) for r in rows} == {
        (f"picture{i}.png", prior) for i in range(3) for prior in ("vanilla", "rtil")
    }
    for row in rows:
        assert float(row["psnr"]) > 0 and float(row["seconds"]) > 0
        assert row["status"] in ("ok", "stalled") and row["lpips"] == ""


def test_reports_and_pictures_are_there(inverted):
    assert "rtil − vanilla" in (inverted / "summary.md").read_text()
    figures = set(os.listdir(inverted / "figures"))
    assert figures == {
        "compressed_sensing_psnr.png",
        "compressed_sensing_0.25_ilo_measurement.png",
    }
    assert len(os.listdir(inverted / "recovered")) == 6


def test_saved_solutions_render_to_the_recovered_pictures(home, inverted):
    prior = load_prior(str(home / "rtil"))
    names = [n for n in os.listdir(inverted / "solutions") if "_rtil_" in n]
    assert len(names) == 3
    for name in names:
        path = str(inverted / "solutions" / name)
        solution = load_solution(path, prior.generator, prior.variables)
        image = render(prior.generator, prior.variables, solution)[0]
        levels = np.clip((np.asarray(image) + 1) * 127.5, 0, 255)
        picture = read_picture(str(inverted / "recovered" / name[:-3]) + "png")
        assert np.abs(levels - picture).max() <= 0.51


def test_recovered_pictures_have_the_reported_psnr(home, inverted):
    for row in read_rows(inverted):
        index = int(row["image"][7])
        picture = Image.open(home / "pictures" / "test" / row["image"])
        square = picture.crop((0, 2, 20, 22)).resize((16, 16), Image.Resampling.LANCZOS)
        stem = f"compressed_sensing_0.25_{row['prior']}_ilo_measurement"
        name = f"{stem}_{index:05d}_picture{index}.png"
        found = read_picture(str(inverted / "recovered" / name))
        error = (np.asarray(square, float) - found) / 255
        assert 10 * np.log10(1 / np.mean(error**2)) == pytest.approx(
            float(row["psnr"]), abs=0.05
        )


def test_a_repeated_run_does_only_what_is_missing(home, inverted, monkeypatch):
    before, calls = read_rows(inverted), []
    invert = sweep.invert

    def spy(method, prior, problem, *args, **options):
        calls.append(len(problem.truth))
        return invert(method, prior, problem, *args, **options)

    monkeypatch.setattr(sweep, "invert", spy)
    run_sweep(inversion_config(home), str(inverted))
    assert read_rows(inverted) == before and calls == []
    run_sweep(inversion_config(home, images__count=4), str(inverted))
    rows = read_rows(inverted)
    assert rows[:6] == before and calls == [1, 1]
    assert {row["image"] for row in rows[6:]} == {"picture3.png"}


def test_another_method_and_problem_join_the_same_directory(home, inverted):
    config = inversion_config(home, "csgm", problem="inpainting", ratios=(0.5,))
    run_sweep(config, str(inverted))
    methods = {(r["method"], r["problem"]) for r in read_rows(inverted)}
    assert ("csgm", "inpainting") in methods
    assert ("ilo", "compressed_sensing") in methods


def test_other_settings_do_not_join_it(home, inverted):
    before = read_rows(inverted)
    for change in ({"seed": 5}, {"method__learning_rate": 0.3}):
        with pytest.raises(UserError, match=r"config.json: .* another config\.\w+"):
            run_sweep(inversion_config(home, **change), str(inverted))
    assert read_rows(inverted) == before


def test_a_reconstruction_does_not_depend_on_what_else_was_asked_for(home, inverted):
    workdir = home / "alone"
    config = inversion_config(home, priors__vanilla="", batch_size=3)
    run_sweep(config, str(workdir))
    together = {
        row["image"]: row
        for row in read_rows(inverted)
        if (row["prior"], row["method"]) == ("rtil", "ilo")
    }
    for row in read_rows(workdir):
        expected = float(together[row["image"]]["psnr"])
        assert float(row["psnr"]) == pytest.approx(expected, abs=0.01)


def test_a_dry_run_says_the_plan_and_writes_nothing(home, capsys):
    run_sweep(inversion_config(home), str(home / "never"), dry_run=True)
    plan = capsys.readouterr().out
    for word in ("devices", "4 + 3 + 2", "parameters", "MiB", "0.25"):
        assert word in plan
    assert not (home / "never").exists()


BAD = {
    "problem": ({"problem": "deblur"}, "config.problem: found 'deblur'"),
    "ratio": ({"ratios": (0.0,)}, "config.ratios: found"),
    "factor": (
        {"problem": "super_resolution", "ratios": (0.3,)},
        "1 / factor for a factor of 2, 4, 8 or 16",
    ),
    "select": ({"select": "best"}, "config.select: found 'best'"),
    "stages": ({"method__steps": (1,) * 4}, "method.steps: found 4 stages"),
    "steps": ({"method__steps": ("a",)}, "config.method.steps: found"),
    "field": ({"methd": 3}, r"config.methd: there is no such field; did you mean"),
    "method field": ({"method__step": 3}, "config.method.step: there is no such"),
    "no prior": (
        {"priors__vanilla": "", "priors__rtil": ""},
        "config.priors: found no directory",
    ),
    "empty prior": ({"priors__rtil": "."}, r"\.: found no 'checkpoints' folder"),
    "images": ({"images__source": "nowhere"}, "nowhere: no such file or folder"),
    "split": ({"images__split": "valid"}, "no split 'valid'"),
    "count": ({"images__count": 99}, "found 5 images, 99 asked for"),
    "batch": ({"batch_size": 0}, "config.batch_size: found 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(case, home):
    changes, message = BAD[case]
    workdir = home / "bad"
    with pytest.raises(UserError, match=message) as caught:
        run_sweep(inversion_config(home, **changes), str(workdir))
    assert "\n" not in str(caught.value)
    assert not workdir.exists()
