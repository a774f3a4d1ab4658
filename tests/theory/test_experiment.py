"""`rtil theory`: what it writes, and what it refuses."""

import csv
import importlib.util
import subprocess
import sys

import pytest
from ml_collections import ConfigDict
from PIL import Image

from rtil_jax.errors import UserError
from rtil_jax.experiments.theory.experiment import run_theory
from rtil_jax.experiments.theory.theory_config import parse_theory

PATH = "configs/ablations/theory.py"
SPEC = importlib.util.spec_from_file_location("theory", PATH)
CONFIG = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(CONFIG)


def small_config(**changes):
    """`tiny`, with one m for each way of solving."""
    config = CONFIG.get_config("tiny")
    config.measurements, config.learned.measurements = (12, 40), (40,)
    config.learned.signals, config.learned.training.steps = 8, 200
    config.learned.inversion.steps = 200
    config.update_from_flattened_dict(changes)
    return config


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    path = tmp_path_factory.mktemp("theory") / "run"
    run_theory(small_config(), str(path))
    return path


def test_results_hold_lemma_5_2(workdir):
    with open(workdir / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    keys = "solved_by", "measurements", "model"
    assert [tuple(row[key] for key in keys) for row in rows] == [
        (solved_by, m, model)
        for solved_by, counts in (
            ("closed_form", ("12", "40")),
            ("gradient_descent", ("40",)),
        )
        for m in counts
        for model in ("vanilla", "rtil")
    ]
    for row in rows:
        names = ("mean_error", "standard_error", "expected_error", "bound")
        error, standard_error, expected, bound = (float(row[name]) for name in names)
        if row["model"] == "vanilla":
            assert abs(error - expected) < 4 * standard_error
            assert min(error, expected) > float(row["sharper_bound"]) * 0.9 > bound
        elif row["measurements"] == "12":
            assert error > 1  # fewer measurements than features
        else:
            limit = 1e-20 if row["solved_by"] == "closed_form" else 1e-2
            assert error < limit and expected < 1e-20


def test_the_figure_has_something_in_it(workdir):
    with Image.open(workdir / "figures" / "errors.png") as figure:
        assert min(figure.size) > 500
        colours = figure.convert("RGB").getcolors(maxcolors=2**24)
    # Blue for vanilla and vermilion for RTIL, more than specks.
    for colour in ((0, 114, 178), (213, 94, 0)):
        assert dict((c, n) for n, c in colours)[colour] > 500


def test_the_same_config_writes_the_same_again_and_another_is_refused(workdir):
    before = (workdir / "results.csv").read_bytes()
    run_theory(small_config(), str(workdir))
    assert (workdir / "results.csv").read_bytes() == before
    with pytest.raises(UserError, match="config.json: found another seed"):
        run_theory(small_config(seed=1), str(workdir))


def test_a_file_cannot_be_the_directory(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="--workdir=.*file: cannot be written"):
        run_theory(small_config(), str(tmp_path / "file"))


@pytest.mark.parametrize("text", ["{", "3"])
def test_a_config_json_that_is_no_config_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(
        UserError,
        match="config.json: (found a file that is|found the config of another)",
    ):
        run_theory(small_config(), str(tmp_path))
    assert (tmp_path / "config.json").read_text() == text


def test_training_that_diverges_is_named(tmp_path):
    changes = {"learned.training.learning_rate": 1.0, "measurements": (12,)}
    with pytest.raises(UserError, match="learning_rate: found 1.0, expected a smaller"):
        run_theory(small_config(**changes), str(tmp_path))
    assert not (tmp_path / "results.csv").exists()


@pytest.mark.parametrize("variant", [None, "tiny"])
def test_the_config_is_one_that_can_run(variant):
    config = CONFIG.get_config(variant)
    parse_theory(config)
    assert isinstance(config, ConfigDict)
    assert f"rtil theory --config {PATH}" in CONFIG.__doc__
    with pytest.raises(UserError, match="expected some of"):
        CONFIG.get_config("huge")


@pytest.mark.parametrize(
    "field, found, message",
    [
        ("latent_dim", 0, "found 0, expected at least 1"),
        ("num_features", 4, r"found 4, expected more than latent_dim \(4\)"),
        ("resolution", 4, r"found 4, expected more than 16 pixels"),
        ("measurements", (3,), r"found \(3,\), expected whole numbers from 4 to 63"),
        ("measurements", (64,), r"found \(64,\), expected whole numbers from 4 to 63"),
        ("measurements", (), r"found \(\), expected whole numbers"),
        ("measurements", (20.0,), r"found \(20.0,\), expected whole numbers"),
        ("learned.measurements", (15,), r"expected whole numbers from 16 to 63"),
        ("operators", 1, "found 1, expected at least 2"),
        ("signals", 0, "found 0, expected at least 1"),
        ("learned.signals", 1, "found 1, expected at least 2"),
        ("learned.training.steps", 0, "found 0, expected above 0"),
        ("learned.inversion.learning_rate", 0.0, "found 0.0, expected above 0"),
    ],
)
def test_bad_fields_are_named(field, found, message):
    with pytest.raises(UserError, match=rf"^config.{field}: .*{message}"):
        parse_theory(small_config(**{field: found}))


def test_the_command_line_says_one_line_to_bad_input(tmp_path):
    flags = [f"--config={PATH}:tiny", "--config.latent_dim=20", f"--workdir={tmp_path}"]
    command = [sys.executable, "-m", "rtil_jax", "theory", *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    expected = "found 16, expected more than latent_dim (20)"
    assert done.stderr == f"error: config.num_features: {expected}\n"
