"""The whole path on a folder of pictures: train, resume, invert, report."""

import csv
import importlib.util
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from rtil_jax.errors import UserError
from rtil_jax.experiments.compiling import Abandoned
from rtil_jax.experiments.family_samples import draw_family_samples
from rtil_jax.experiments.inversion import sweep
from rtil_jax.experiments.inversion.inversion_entries import build_method
from rtil_jax.experiments.inversion.results import COLUMNS, read_picture
from rtil_jax.experiments.inversion.shards import Shard
from rtil_jax.experiments.inversion.sweep import run_sweep
from rtil_jax.experiments.posterior import run_posterior
from rtil_jax.experiments.report import samples
from rtil_jax.experiments.training.loop import train
from rtil_jax.inversion import load_prior, load_solution, render
from rtil_jax.locks import owned
from tests.untrained_run import write_run


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
    """A folder of pictures, an RTIL prior trained on it, and a vanilla one's start."""
    home = tmp_path_factory.mktemp("home")
    write_pictures(home / "pictures" / "train", 12, seed=0)
    write_pictures(home / "pictures" / "test", 5, seed=1)
    for name in ("vanilla", "rtil"):
        config = get_config("configs/stylegan2_ffhq256.py", f"{name},tiny")
        config.data.source = str(home / "pictures")
        config.data.cache_dir = str(home / "cache")
        # No regularisers, which would be two more programs to compile.
        config.training.r1_every = config.training.path_every = 0
        if name == "vanilla":
            write_run(config, home / name, step=5)
            continue
        for steps in (3, 5):  # in the same directory: it resumes
            config.training.steps = config.checkpoint.every = steps
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


@pytest.fixture
def copied(inverted, tmp_path):
    """A copy of it, to change."""
    return shutil.copytree(inverted, tmp_path / "copied")


def read_rows(workdir):
    with open(workdir / "results.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_training_resumed_and_left_its_files(home):
    files = set(os.listdir(home / "rtil"))
    assert {"config.json", "checkpoints", "metrics.jsonl", "samples"} <= files
    assert "5" in os.listdir(home / "rtil" / "checkpoints")
    assert (home / "rtil" / "samples" / "0000005.png").exists()


def test_results_have_one_row_per_image_and_prior(inverted):
    rows = read_rows(inverted)
    assert list(rows[0]) == list(COLUMNS)
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
        "differences.png",
        "psnr.png",
        "ssim.png",
        "convergence_compressed_sensing.png",
        "compressed_sensing_0.25_measurement.png",
    }
    assert len(os.listdir(inverted / "recovered")) == 6
    page = (inverted / "report.html").read_text()
    assert "rtil − vanilla" in page and page.count("data:image/png;base64") == 4 + 3 * 6
    assert "picture1.png" in page and "error, white: " in page


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


@pytest.fixture
def calls(monkeypatch):
    """The batch size of every call of `invert`."""
    sizes, invert = [], sweep.invert

    def spy(method, prior, problem, *args, **options):
        sizes.append(len(problem.truth))
        return invert(method, prior, problem, *args, **options)

    monkeypatch.setattr(sweep, "invert", spy)
    return sizes


def test_a_repeated_run_does_nothing(home, copied, calls):
    before = read_rows(copied)
    run_sweep(inversion_config(home), str(copied))
    assert read_rows(copied) == before and calls == []


def test_more_images_are_added_to_those_that_are_done(home, copied, calls):
    before = read_rows(copied)
    run_sweep(inversion_config(home, images__count=4), str(copied))
    rows = read_rows(copied)
    assert rows[:6] == before and calls == [2, 2]
    assert {row["image"] for row in rows[6:]} == {"picture3.png"}


def test_a_lost_picture_is_made_again(home, copied, calls):
    names = [n for n in sorted(os.listdir(copied / "recovered")) if "_rtil_" in n]
    before = read_picture(str(copied / "recovered" / names[0]))
    (copied / "recovered" / names[0]).unlink()
    run_sweep(inversion_config(home), str(copied))
    again = read_picture(str(copied / "recovered" / names[0]))
    assert np.abs(again.astype(int) - before).max() <= 1
    assert calls == [2] and len(read_rows(copied)) == 6


def results(workdir):
    """Rows in any order, without the timings."""
    rows = [row | {"seconds": ""} for row in read_rows(workdir)]
    return sorted(map(str, rows))


def test_three_processes_make_what_one_makes(home, inverted, tmp_path, calls, capsys):
    for index in (2, 0, 1):  # in any order
        assert not (tmp_path / "results.csv").exists()
        capsys.readouterr()
        run_sweep(inversion_config(home), str(tmp_path), shard=Shard(index, 3))
    assert "reconstructions to make" not in capsys.readouterr().out
    # Two priors of two batches each: four, shared as 1, 1 and 2.
    assert len(calls) == 4
    assert results(tmp_path) == results(inverted)
    pages = [(d / "summary.md").read_text().count("|") for d in (inverted, tmp_path)]
    assert pages[0] == pages[1]


def test_a_sweep_killed_between_batches_ends_like_another(
    home, inverted, tmp_path, monkeypatch
):
    class Killed(BaseException):
        pass

    invert, count = sweep.invert, itertools.count(1)

    def deadly(*args, **options):
        if next(count) % 2 == 0:
            raise Killed
        return invert(*args, **options)

    monkeypatch.setattr(sweep, "invert", deadly)
    for _ in range(3):
        with pytest.raises(Killed):
            run_sweep(inversion_config(home), str(tmp_path))
    monkeypatch.setattr(sweep, "invert", invert)
    run_sweep(inversion_config(home), str(tmp_path))
    assert results(tmp_path) == results(inverted)


def test_a_signal_saves_the_batch_at_hand_and_the_same_command_goes_on(
    home, inverted, tmp_path, monkeypatch, capsys
):
    invert, coming = sweep.invert, [signal.SIGTERM]

    def signalled(*args, progress, **options):
        def show(*step):
            if coming:
                os.kill(os.getpid(), coming.pop())
            progress(*step)

        return invert(*args, progress=show, **options)

    monkeypatch.setattr(sweep, "invert", signalled)
    run_sweep(inversion_config(home), str(tmp_path))
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == (
        "stopped by SIGTERM; results so far are saved, the same command continues"
    )
    assert "SIGTERM: stopping after this batch\n" in said.err
    assert len(read_rows(tmp_path)) == 2
    coming.append(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(inversion_config(home), str(tmp_path))
    assert len(read_rows(tmp_path)) == 3
    run_sweep(inversion_config(home), str(tmp_path))
    assert results(tmp_path) == results(inverted)


def test_asked_to_stop_while_it_compiles_it_does_so_at_once(
    home, tmp_path, monkeypatch, capsys
):
    def slow(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        raise Abandoned

    monkeypatch.setattr(sweep, "compile_ahead", slow)
    run_sweep(inversion_config(home), str(tmp_path))
    assert "stopped by SIGTERM" in capsys.readouterr().out
    assert not (tmp_path / "results.csv").exists()


def test_a_line_cut_short_is_made_again(home, copied, calls):
    text = (copied / "results.csv").read_text()
    (copied / "results.csv").write_text(text[:-9])
    with pytest.warns(UserWarning, match="incomplete last line"):
        run_sweep(inversion_config(home), str(copied))
    assert calls == [2] and len(read_rows(copied)) == 6


def test_another_method_and_problem_join_the_same_directory(home, copied):
    config = inversion_config(
        home, "csgm", problem="inpainting", ratios=(0.5,), restarts=2
    )
    run_sweep(config, str(copied))
    methods = {(r["method"], r["problem"]) for r in read_rows(copied)}
    assert methods == {("csgm", "inpainting"), ("ilo", "compressed_sensing")}


def figure_config(home, **settings):
    config = inversion_config(home, "csgm", priors__vanilla="")
    config.problem, config.select = "denoising, inpainting", "measurement,oracle"
    config.ratios, config.ratios_for.inpainting = (1.0,), (0.5,)
    config.images.count = config.batch_size = 2
    config.settings = {"few": {"method": {"steps": 3}}, **settings}
    return config


def test_a_figure_compares_settings_problems_and_rules(home, tmp_path, calls):
    run_sweep(
        figure_config(home, noisy={"method": {"steps": 5}, "noise_std": 0.5}),
        str(tmp_path),
        command="python invert.py ...",
    )
    rows = read_rows(tmp_path)
    keys = {(r["method"], r["problem"], r["ratio"], r["select"]) for r in rows}
    assert len(rows) == 2 * len(keys) == 2 * 8 == 2 * len(calls)
    assert ("few", "inpainting", "0.5", "oracle") in keys
    assert ("noisy", "denoising", "1.0", "measurement") in keys
    for name in ("denoising_1_measurement", "inpainting_0.5_oracle"):
        assert (tmp_path / "figures" / f"{name}.png").exists()
    record = json.loads((tmp_path / "config.json").read_text())
    noise = {label: one["noise_std"] for label, one in record["methods"].items()}
    assert noise == {"few": 0, "noisy": 0.5}
    sentence = "- Noise on the measurements, denoising (noisy): σ = 0.5 of pixels in ["
    assert sentence in (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert record["commands"] == ["python invert.py ..."]
    assert record["versions"]["jax"] == jax.__version__
    assert record["device"] == f"{jax.device_count()} x cpu" and "revision" in record


def test_a_figure_goes_on_where_it_stopped(home, tmp_path, calls):
    run_sweep(figure_config(home), str(tmp_path))
    assert len(calls) == 4
    run_sweep(figure_config(home, more={"method": {"steps": 4}}), str(tmp_path))
    assert len(calls) == 8
    changed = figure_config(home, few={"method": {"steps": 4}})
    with pytest.raises(UserError, match="another config.method.steps"):
        run_sweep(changed, str(tmp_path))


def test_the_posterior_has_a_picture_and_a_row_per_image(home, tmp_path, capsys):
    config = inversion_config(home, priors__vanilla="", noise_std=0.5)
    config.chain = {"samples": 2, "steps": 3, "learning_rate": 0.01}
    config.images.count = 2
    rows = run_posterior(config, str(tmp_path))
    assert [row["image"] for row in rows] == ["picture0.png", "picture1.png"]
    assert all(0 <= row["covered"] <= 1 < row["psnr_of_mean"] for row in rows)
    line = r"noise     σ = 0.5 in units of y, whose entries .*: SNR \d+\.\d dB\n"
    printed = capsys.readouterr().out
    assert re.search(line, printed)
    # Of two draws, the one interval is between them.
    assert re.search(r"coverage  rtil at 0.25: 33 % hold \d+ %\n", printed)
    assert all(row["crps"] > 0 for row in rows)
    names = {"posterior.csv", "coverage.csv", "coverage.png"}
    assert set(os.listdir(tmp_path)) == names | {"rtil_compressed_sensing_0.25.png"}
    header, point = (tmp_path / "coverage.csv").read_text().splitlines()
    assert header == "prior,ratio,level,covered" and point.startswith("rtil,0.25,0.33")
    config.noise_std = 0.0
    with pytest.raises(UserError, match="config.noise_std: found 0.0, expected above"):
        run_posterior(config, str(tmp_path))


def test_every_member_of_every_family_has_a_row_of_samples(home, tmp_path):
    priors = {"vanilla": str(home / "vanilla"), "rtil": str(home / "rtil"), "no": ""}
    config = ConfigDict({"priors": priors, "columns": 3})
    path = draw_family_samples(config, str(tmp_path / "new"))
    width, height = Image.open(path).size
    assert width == 3 * (96 + samples.GAP)  # 16 pixels, enlarged 6 times
    assert height == 4 * (96 + samples.TEXT)  # vanilla, and RTIL's G^0, G^1, G^2
    config.priors.rtil = "nowhere"
    with pytest.raises(UserError, match="config.priors.rtil: found 'nowhere'"):
        draw_family_samples(config, str(tmp_path))


def test_solutions_tell_how_the_loss_fell(inverted):
    (path,) = (inverted / "solutions").glob("*_rtil_*picture0.npz")
    with np.load(path) as saved:
        history = saved["fact:history"]
    assert history[:, 0].tolist() == [0, 0, 1, 1, 2, 2]
    assert history[:, 1].tolist() == [0, 4, 0, 3, 0, 2]
    assert np.all(np.isfinite(history[:, 2]))


@pytest.mark.parametrize(
    "method, change",
    [
        ("ilo", {"seed": 5}),
        ("ilo", {"method__learning_rate": 0.3}),
        ("csgm", {"seed": 5}),
        ("csgm", {"noise_std": 0.1}),
    ],
)
def test_other_settings_do_not_join_it(method, change, home, inverted):
    before = read_rows(inverted)
    with pytest.raises(UserError, match=r"config.json: .* another config\.\w+"):
        run_sweep(inversion_config(home, method, **change), str(inverted))
    assert read_rows(inverted) == before


def test_a_prior_that_has_changed_does_not_join_it(home, inverted):
    config = inversion_config(home, priors__rtil=str(home / "vanilla"))
    with pytest.raises(UserError, match="found results of another network called rtil"):
        run_sweep(config, str(inverted))


def test_a_training_directory_is_not_written_to(home):
    before = sorted(os.listdir(home / "rtil"))
    with pytest.raises(UserError, match="found a training run"):
        run_sweep(inversion_config(home), str(home / "rtil"))
    assert sorted(os.listdir(home / "rtil")) == before


def test_one_process_per_shard(home, copied):
    config = inversion_config(home)
    hint = "start each process with --num_shards=N --shard=I"
    with owned(str(copied)):
        message = f"in use by process {os.getpid()} on .* {hint}"
        with pytest.raises(UserError, match=message):
            run_sweep(config, str(copied), command="refused")
        with owned(str(copied), f"lock{Shard(1, 3).suffix}"):
            run_sweep(config, str(copied), command="first", shard=Shard(0, 3))
            with pytest.raises(UserError, match="in use by process"):
                run_sweep(config, str(copied), command="refused", shard=Shard(1, 3))
    commands = json.loads((copied / "config.json").read_text())["commands"]
    assert "first" in commands and "refused" not in commands


def test_fields_of_one_prior_alone(home):
    config = inversion_config(home, method_for__vanilla={"learning_rate": 0.1})
    rates = [build_method(config, name).learning_rate for name in ("rtil", "vanilla")]
    assert rates == [0.2, 0.1]


def test_the_command_line_says_one_line_and_fails(tmp_path):
    command = [sys.executable, "invert.py", "--config=configs/invert/ilo.py:tiny"]
    done = subprocess.run(
        [*command, "--config.priors.mine=nowhere", f"--workdir={tmp_path}/new"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: config.priors.mine: found 'nowhere'")
    assert done.stderr.count("\n") == 1 and not (tmp_path / "new").exists()


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
    config = inversion_config(home, images__count=0)
    run_sweep(config, str(home / "never"), dry_run=True, shard=Shard(1, 4))
    plan = capsys.readouterr().out
    for word in (
        "noise      none",
        "devices",
        "4 + 3 + 2",
        "parameters",
        "MiB",
        "0.25",
    ):
        assert word in plan
    assert "5 images of pictures [test], cut to squares of 16 x 16\n" in plan
    assert "batches      3 x 2 images in each of 2 settings\n" in plan
    assert "this part    shard 2 of 4: batches 2 to 3 of 6\n" in plan
    assert re.search(r"time +about .*: 24 steps at [\d.e-]+ s, and .* to compile", plan)
    assert not (home / "never").exists()


BAD = {
    "problem": ({"problem": "deblur"}, "config.problem: found 'deblur'"),
    "ratio": ({"ratios": (0.0,)}, "config.ratios: found"),
    "factor": (
        {"problem": "super_resolution", "ratios": (0.3,)},
        "expected 1 / 2, 1 / 4, 1 / 8 or 1 / 16",
    ),
    "select": ({"select": "best"}, "config.select: found 'best'"),
    "stages": ({"method__steps": (1,) * 4}, "method.steps: found 4 stages"),
    "steps": ({"method__steps": ("a",)}, "config.method.steps: found"),
    "field": ({"methd": 3}, r"config.methd: found an unknown field; did you mean"),
    "method field": ({"method__step": 3}, "config.method.step: found an unknown"),
    "no prior": (
        {"priors__vanilla": "", "priors__rtil": ""},
        "config.priors: found no prior",
    ),
    "empty prior": ({"priors__rtil": "."}, r"\.: found no 'checkpoints' folder"),
    "images": ({"images__source": "nowhere"}, "nowhere: found no such file or folder"),
    "split": ({"images__split": "valid"}, "expected one of split 'valid'"),
    "count": ({"images__count": 99}, "found 5 images, expected at least 99"),
    "other prior": (
        {"method_for__rtyl": ConfigDict({"learning_rate": 0.1})},
        "config.method_for.rtyl: found 'rtyl', expected one of rtil, vanilla",
    ),
    "radius": (
        {"method__style_radii": (0.0, 1.0, 1.0)},
        "config.method.style_radii: found .*, expected above 0",
    ),
    "small": (
        {
            "problem": "inpainting",
            "ratios": (0.5,),
            "perceptual__distance": "lpips",
            "perceptual__weights": {"inpainting": 1.0},
        },
        "config.perceptual.distance: found 'lpips', expected '' for images of 16",
    ),
    "seed": ({"seed": -1}, "config.seed: found -1"),
    "batch": ({"batch_size": 0}, "config.batch_size: found 0"),
}


@pytest.mark.parametrize("case", ["images", "split", "count", "stages", "empty prior"])
def test_a_dry_run_fails_as_the_run_would(case, home):
    changes, message = BAD[case]
    with pytest.raises(UserError, match=message):
        run_sweep(inversion_config(home, **changes), str(home / "bad"), dry_run=True)


def test_a_dry_run_looks_at_the_directory(home, inverted):
    def refused(workdir, message, **changes):
        with pytest.raises(UserError, match=message):
            run_sweep(inversion_config(home, **changes), str(workdir), dry_run=True)

    refused(home / "rtil", "found a training run")
    refused(home / "pictures" / "test" / "picture0.png", "cannot be written")
    refused(inverted, "another config.seed", seed=5)


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(case, home):
    changes, message = BAD[case]
    workdir = home / "bad"
    with pytest.raises(UserError, match=message) as caught:
        run_sweep(inversion_config(home, **changes), str(workdir))
    assert "\n" not in str(caught.value)
    assert not workdir.exists()
