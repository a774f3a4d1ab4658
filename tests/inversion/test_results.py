"""The rows and files of an inversion's directory, with several processes in it."""

import itertools
import json
import os
import string
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rtil_jax.experiments.inversion.file_names import file_stem, old_file_stem
from rtil_jax.experiments.inversion.results import KEY, Results
from rtil_jax.experiments.inversion.shards import ALL, Shard
from rtil_jax.experiments.report import read_results
from tests.experiments.report.directory import row

OTHERS = (Shard(0, 2), Shard(1, 2), Shard(2, 3), ALL)


def psnr(workdir, image="a"):
    return Results(str(workdir), ALL)[row(image, "rtil", 0)]["psnr"]


@pytest.mark.parametrize("order", list(itertools.permutations(OTHERS, 3)))
def test_the_row_that_was_written_last_is_right(tmp_path, order):
    """Whoever wrote it: a picture was lost, and another number of processes came."""
    for number, shard in enumerate(order):
        results = Results(str(tmp_path), shard)
        results.add([row("a", "rtil", float(number)), row("b", "rtil", -1.0)])
        assert psnr(tmp_path) == number
    # The first one's next row makes none of its old ones new.
    Results(str(tmp_path), order[0]).add([row("c", "rtil", 9.0)])
    assert psnr(tmp_path) == 2 and psnr(tmp_path, "c") == 9
    Results(str(tmp_path), order[1]).merge()
    assert psnr(tmp_path) == 2 and psnr(tmp_path, "b") == -1
    assert os.listdir(tmp_path) == ["results.csv"]


def test_a_process_that_goes_on_knows_what_others_have_replaced(tmp_path):
    mine, other = (Results(str(tmp_path), Shard(0, count)) for count in (2, 3))
    mine.add([row("a", "rtil", 1.0)])
    other.add([row("a", "rtil", 2.0)])
    mine.add([row("b", "rtil", 3.0)])
    assert psnr(tmp_path) == 2 and psnr(tmp_path, "b") == 3
    other.merge()
    mine.add([row("c", "rtil", 4.0)])
    assert psnr(tmp_path) == 2
    assert len(read_results(str(tmp_path / "results-0-of-2.csv"))) == 1


def test_files_that_are_not_ours_are_not_read(tmp_path):
    Results(str(tmp_path), ALL).add([row("a", "rtil", 1.0)])
    stale = (tmp_path / "results.csv").read_text().replace("1.0,", "7.0,")
    for name in ("results_backup.csv", "results (1).csv", "results-old.csv"):
        (tmp_path / name).write_text(stale)
    assert psnr(tmp_path) == 1
    Results(str(tmp_path), ALL).merge()
    assert len(os.listdir(tmp_path)) == 4


def test_the_order_of_settings_is_kept(tmp_path):
    for index in (2, 0, 1):
        shard = Results(str(tmp_path), Shard(index, 11))
        shard.add([row("a", "rtil", 1.0, method=f"m{index}")])
    Results(str(tmp_path), Shard(10, 11)).add([row("a", "rtil", 1.0, method="m10")])
    results = Results(str(tmp_path), ALL)
    results.merge()
    assert results.names("method") == ["m0", "m1", "m2", "m10"]


WORDS = st.text(alphabet="aAé_.-:/0", min_size=1, max_size=4) | st.sampled_from(
    ["a_last_00001_b", "a" * 40, "a" * 41, "x\\y", "con:", "vanilla", "N = 1"]
)
SETTINGS = st.fixed_dictionaries(
    {
        "prior": WORDS,
        "method": WORDS,
        "problem": st.sampled_from(["gaussian", "gaussian_deblurring"]),
        "ratio": st.sampled_from([0.1, 0.1000001, 0.100000001, 1 / 3, 1.0]),
        "select": st.sampled_from(["last", "oracle"]),
        "image": WORDS.flatmap(
            lambda name: st.sampled_from([f"{name}{end}" for end in IMAGE_ENDS])
        ),
    }
)
IMAGE_ENDS = ("", ".png", ".jpg", ".JPG", ".png.jpg", ".jpg.png")


@settings(deadline=None, derandomize=True, max_examples=200)
@given(SETTINGS, SETTINGS, st.integers(0, 1), st.sampled_from([0, 1, 123_456]))
def test_no_two_reconstructions_have_the_same_file(a, b, first, second):
    same = (a, first) == (b, second)
    stems = file_stem(a, first), file_stem(b, second)
    assert (stems[0] == stems[1]) == same
    for stem in stems:
        assert not set(stem) & set('<>:"/\\|?*') and len(stem.encode()) < 220
        assert stem.split("-")[0][0] in string.ascii_lowercase


def test_names_that_others_read_alike_are_told_apart():
    def stem(prior, label, image="x.png"):
        return file_stem(row(image, prior, 0, method=label), 0)

    assert stem("rtil", "ilo") == "compressed_sensing_0.1_rtil_ilo_measurement_00000_x"
    assert stem("a_b", "c") != stem("a", "b_c")
    assert stem("a", "A").lower() != stem("a", "a").lower()
    assert stem("a", "b", "u/x.png") != stem("a", "b", "v/x.png")
    assert stem("a", "b", "x.jpg").endswith("_00000_x.jpg")


def save_as_version_01(workdir, one):
    for folder in ("recovered", "solutions"):
        (workdir / folder).mkdir(exist_ok=True)
    stem = old_file_stem(one, 0)
    Image.new("L", (2, 2)).save(workdir / "recovered" / f"{stem}.png")
    facts = {f"fact:{name}": np.asarray(one[name]) for name in KEY}
    np.savez(workdir / "solutions" / f"{stem}.npz", **facts)


def test_files_of_version_01_are_found_by_whom_they_are_of(tmp_path):
    mine, other = row("x.jpg", "a_b", 1.0, method="c"), row("x.jpg", "a", 2.0)
    other |= {"method": "b_c"}
    assert old_file_stem(mine, 0) == old_file_stem(other, 0)
    save_as_version_01(tmp_path, mine)
    results = Results(str(tmp_path), ALL)
    results.add([mine, other])
    assert not results.is_done(other, 0) and results.is_done(mine, 0)
    assert os.listdir(tmp_path / "recovered") == [f"{file_stem(mine, 0)}.png"]


EIGHT = """
import multiprocessing, sys
from ml_collections import ConfigDict
from rtil_jax.experiments.inversion import inversion_workdir as workdir
from rtil_jax.experiments.inversion.inversion_config import inversion_config
from rtil_jax.experiments.inversion.inversion_run import parse_inversion
from rtil_jax.experiments.inversion.results import Results
from rtil_jax.experiments.inversion.shards import Shard
from rtil_jax.experiments.report import write_summary
from tests.experiments.report.directory import row

home = sys.argv[1]
config = inversion_config("csgm")
config.priors.rtil = "somewhere"
workdir.provenance = lambda command: {"command": command}

def process(index):
    workdir.claim_workdir(parse_inversion(config), home, {}, f"run {index}")
    results = Results(home, Shard(index, 8))
    for image in range(6):
        results.add([row(f"{index}-{image}.png", "rtil", 1.0)])
    results.reload()
    results.merge()
    summary = open(write_summary(home)).read()
    assert summary.startswith("# Results") and summary.endswith(" 0 |\\n"), summary

with multiprocessing.get_context("fork").Pool(8, maxtasksperchild=1) as pool:
    pool.map(process, range(8), chunksize=1)
"""


def test_eight_processes_at_once(tmp_path):
    """No row, no command line is lost, and nothing is ever seen in part."""
    command = [sys.executable, "-c", EIGHT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = read_results(str(tmp_path / "results.csv"))
    found = sorted(row["image"] for row in rows)
    assert found == [f"{index}-{image}.png" for index in range(8) for image in range(6)]
    record = json.loads((tmp_path / "config.json").read_text())
    assert sorted(record["commands"]) == [f"run {index}" for index in range(8)]
    assert sorted(os.listdir(tmp_path)) == ["config.json", "results.csv", "summary.md"]
