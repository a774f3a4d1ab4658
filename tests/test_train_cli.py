"""`train.py` as users run it: what it prints, and what it says to bad input."""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from rtil_jax.cli.main import run_named
from tests.training.tiny_run import FIELDS, make_images, saved_steps

TINY = "--config=configs/quickstart.py:tiny"
# Forks of a process that has imported all of it and run nothing.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["rtil_jax.cli.train"])


def run_train(arguments, out, err):
    for path, descriptor in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), descriptor)
    run_named("train", list(arguments), ["python", "train.py"])


@pytest.fixture
def cli(tmp_path):
    """`train.py` with the arguments; (exit code, output, lines of stderr)."""

    def call(*arguments):
        out, err = tmp_path / "out", tmp_path / "err"
        process = FORKS.Process(target=run_train, args=(arguments, out, err))
        process.start()
        process.join()
        return process.exitcode, out.read_text(), err.read_text().splitlines()

    return call


@pytest.fixture
def refused(cli):
    """The one line with which `train.py` refuses its arguments."""

    def call(*arguments):
        code, out, err = cli(*arguments)
        assert (code, out, len(err)) == (1, "", 1), (code, out, err)
        assert err[0].startswith("error: ")
        return err[0].removeprefix("error: ")

    return call


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("data") / "images")


def tiny_flags(images):
    fields = FIELDS | {
        "data.source": images,
        "data.cache_dir": images.parent / "cache",
        "training.steps": 2,
    }
    return [TINY] + [f"--config.{name}={value}" for name, value in fields.items()]


FLAGS = [
    ([], "command line: found no --config and no --workdir, expected"),
    (["--workdir=d"], "command line: found no --config, expected --config FILE"),
    ([TINY], "command line: found no --workdir, expected --config FILE[:variant]"),
    (["--config=no.py", "--workdir=d"], "--config: found no file 'no.py', expected"),
    (
        ["--config", "no.py", "--workdir=d", "--config.training.steps=3"],
        "--config: found no file 'no.py', expected FILE.py[:variant]",
    ),
    (["--config=configs", "--workdir=d"], "--config: found no file 'configs'"),
    (
        ["--config=configs/ilo.py:tiny", "--workdir=d"],
        "expected FILE.py[:variant]; did you mean configs/invert/ilo.py?",
    ),
    (
        ["--config=configs/quickstart.py:tinny", "--workdir=d"],
        "config variant: found 'tinny', expected some of ('rtil', 'vanilla',",
    ),
    ([TINY, "--wrkdir=d"], "--wrkdir: found no such flag; did you mean --workdir?"),
    ([TINY, "--workdir=d", "--dry-run"], "did you mean --dry_run?"),
    (
        [TINY, "--workdir=d", "--epochs=3"],
        "--epochs: found no such flag, expected one of --config, --workdir,",
    ),
    ([TINY, "--workdir"], "--workdir: found no value, expected --workdir=VALUE"),
    ([TINY, "--workdir="], "--workdir: found '', expected a path"),
    (
        ["--config=configs/invert/csgm.py", "--workdir=d"],
        "--config: found a config without config.training, expected one for train.py",
    ),
    ([TINY, "--workdir=d", "word"], "command line: found 'word', expected --NAME"),
    (
        [TINY, "--workdir=d", "--dry_run=perhaps"],
        "--dry_run: found 'perhaps', expected true or false",
    ),
]
FIELDS_AND_VALUES = [
    (
        "trainng.steps=3",
        "--config.trainng.steps: found no field 'trainng'; did you mean 'training'?",
    ),
    (
        "training.stepz=3",
        "--config.training.stepz: found no field 'stepz'; did you mean 'steps'?",
    ),
    ("training.zzz=3", "--config.training.zzz: found no field 'zzz'"),
    ("training=3", "--config.training: found '3', expected one of its fields"),
    ("training.steps=abc", "--config.training.steps: found 'abc', expected an integer"),
    ("training.steps=1.5", "--config.training.steps: found '1.5', expected an integer"),
    (
        "training.learning_rate=fast",
        "--config.training.learning_rate: found 'fast', expected a number",
    ),
    ("data.flip=maybe", "--config.data.flip: found 'maybe', expected true or false"),
    ("family.blocks=(1,", "--config.family.blocks: found '(1,', expected a tuple"),
    ("family.blocks=abc", "config.family.blocks: found ('abc',), expected integers"),
    (
        "family.blocks=(1,2,7)",
        "config.family.blocks: found (1, 2, 7), expected increasing blocks among "
        "(1, 2, 3, 4) (the generator has 32 pixels)",
    ),
    ("channels=2", "config.channels: found 2, expected one of (1, 3)"),
    ("resolution=48", "config.resolution: found 48, expected a power of two, at least"),
    ("sample.columns=0", "config.sample.columns: found 0, expected at least 1"),
    ("data.source=nowhere", "no such file or folder, expected a folder, a .zip file"),
    ("data.split=tset", "found split 'tset', expected test or train"),
    (
        "data.count=2000000",
        "found count = 2,000,000, expected at most 1,0",
    ),
]


PGGAN_FIELDS_AND_VALUES = [
    ("architecture=stylegan2", "found 'stylegan2', but this config has no config."),
    ("family.codes=0", "config.family.codes: found (0,), expected increasing numbers"),
    (
        "family.block=9",
        "config.family.block: found 9, expected one of 1 to 4, the last",
    ),
    ("phases.resolutions=(4,8)", "found (4, 8), expected powers of two from 4 or more"),
    ("phases.resolutions=32", None),  # a schedule of one phase
    ("phases.batch_sizes=(8,8)", "found (8, 8), expected one for each of the 4 phases"),
    ("growing=fast", "config.growing: found 'fast', expected one of"),
]


@pytest.mark.parametrize("flag, message", PGGAN_FIELDS_AND_VALUES)
def test_bad_fields_and_values_of_growing(cli, refused, tmp_path, flag, message):
    config = "--config=configs/quickstart.py:pggan,tiny"
    flags = [config, f"--workdir={tmp_path / 'run'}", f"--config.{flag}"]
    if message:
        assert message in refused(*flags)
    else:
        assert cli(*flags, "--dry_run")[0] == 0
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("arguments, message", FLAGS)
def test_bad_flags(refused, arguments, message):
    assert message in refused(*arguments)


@pytest.mark.parametrize("flag", ["-h", "--help", "--helpfull", "-help"])
def test_help_exits_with_0_and_lists_flags_and_configs(cli, flag):
    code, out, err = cli(flag)
    assert (code, err) == (0, [])
    assert "--dry_run\n      Check all inputs" in out
    assert "\n  configs/quickstart.py\n      Cartoon faces" in out


def test_help_with_a_config_lists_its_fields(cli):
    code, out, err = cli("--help", TINY, "--config.training.steps=7")
    assert (code, err) == (0, [])
    assert "--config.training.steps=7\n      Number of updates of both networks" in out
    assert (
        "--config.family.blocks='(1, 2, 3)'\n      Blocks whose features are perturbed"
        in out
    )


@pytest.mark.parametrize("flag, message", FIELDS_AND_VALUES)
def test_bad_fields_and_values(refused, tmp_path, flag, message):
    workdir = tmp_path / "run"
    assert message in refused(TINY, f"--workdir={workdir}", f"--config.{flag}")
    assert not workdir.exists()


@pytest.mark.parametrize(
    "text, message",
    [
        ("def get_config(:", "SyntaxError: "),
        ("def get_config():\n  return nothing", "NameError: name 'nothing' is not"),
        ("def get_config():\n  return int('a')", "ValueError: invalid literal for int"),
        ("def get_config():\n  return open('/no')", "No such file or directory: '/no'"),
        ("def get_confg():\n  return 1", "AttributeError: "),
    ],
)
def test_bad_config_files(refused, tmp_path, text, message):
    path = tmp_path / "mine.py"
    path.write_text(text)
    line = refused(f"--config={path}", "--workdir=d")
    assert line.startswith(f"{path}: ") and message in line


@pytest.mark.parametrize("content", [None, b"not an image"])
def test_folders_without_a_usable_image(refused, cli, tmp_path, content):
    images = tmp_path / "images"
    images.mkdir()
    flags = [*tiny_flags(images), f"--workdir={tmp_path / 'run'}"]
    if content is None:
        message = f"{images}: found no files, expected images (.png, "
        assert message in refused(*flags)
    else:
        (images / "broken.png").write_bytes(content)
        code, out, err = cli(*flags)
        assert (code, out) == (1, "")
        assert f"warning: {images}: skipped broken.png (" in "\n".join(err)
        last = f"error: {images}: found no readable image among 1 ("
        assert err[-1].startswith(last)
    assert not (tmp_path / "run").exists()


def test_bad_work_directories(refused, images, tmp_path):
    flags = tiny_flags(images)
    file = tmp_path / "file"
    file.write_text("precious")
    message = f"--workdir: found a file {file}, expected a directory"
    assert refused(*flags, f"--workdir={file}").endswith(message)
    assert file.read_text() == "precious"
    below = file / "run"
    line = refused(*flags, f"--workdir={below}")
    assert line == f"--workdir: {below} cannot be written (see {file})"
    (tmp_path / "config.json").write_text("{")
    line = refused(*flags, f"--workdir={tmp_path}")
    assert f"{tmp_path / 'config.json'}: found a file that is not JSON (" in line


def test_a_dry_run_prints_the_plan_and_writes_nothing(cli, tmp_path):
    workdir = tmp_path / "run"
    fields = ["resolution=8", "family.blocks=1", "data.count=3"]
    fields += ["generator.mapping_layers=1"]
    flags = [f"--config.{field}" for field in fields]
    code, out, err = cli(TINY, *flags, f"--workdir={workdir}", "--dry_run")
    assert code == 0
    assert not workdir.exists()
    plan = dict(line.split(maxsplit=1) for line in out.splitlines()[1:5])
    assert plan["devices"] == "1 x cpu"
    assert (
        plan["images"]
        == "3 images of avatars:toon-head [train], 8 x 8 x 3, flips: none"
    )
    assert "8 = 1 process x 1 device x 8" in plan["batch"]
    assert re.fullmatch(r"[\d,]+ parameters", plan["generator"])
    assert "G^0 0.500, G^1 0.500 (drawn), sigma 1.0, after blocks (1,)\n" in out
    assert "steps          20 = 0.2 thousand images\n" in out
    assert re.search(r"  memory         \d+ MiB per device, in the .* step", out)
    assert re.search(r"  time           about .*: 20 steps at .* to compile", out)


@pytest.mark.parametrize(
    "flag, message",
    [
        ("data.source=nowhere", "no such file or folder, expected a folder, a .zip"),
        (
            "data.count=2000000",
            "found count = 2,000,000, expected at most 1,0",
        ),
        ("init_from=nowhere", "found 'nowhere', which does not exist, expected a dir"),
    ],
)
def test_a_dry_run_fails_as_the_run_would(refused, tmp_path, flag, message):
    flags = [TINY, f"--workdir={tmp_path / 'run'}", f"--config.{flag}", "--dry_run"]
    assert message in refused(*flags)
    assert not (tmp_path / "run").exists()


@pytest.fixture
def compiled(tmp_path_factory, monkeypatch):
    """Runs of this module compile only once."""
    cache = tmp_path_factory.getbasetemp() / "compiled"
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(cache))


def start(*arguments):
    command = [sys.executable, "train.py", *map(str, arguments)]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen(command, **pipes)


def test_training_prints_four_lines_its_progress_and_its_warnings(
    images, tmp_path, compiled
):
    folder = make_images(tmp_path / "images")
    (folder / "broken.png").write_bytes(b"not an image")
    workdir = tmp_path / "run"
    process = start(*tiny_flags(folder), f"--workdir={workdir}")
    out, err = process.communicate()
    assert process.returncode == 0, err
    header, taken, *finished = out.splitlines()
    assert re.fullmatch(
        r"1 x cpu, batch size 4 = 1 process x 1 device x 4, "
        r"[\d,]+ \+ [\d,]+ parameters, 2 steps",
        header,
    )
    assert taken == (
        "12 images of images [all: no train/ or test/], 1 skipped as damaged, nothing "
        "is cut off, flips: none"
    )
    picture = workdir / "samples" / "0000002.png"
    assert picture.exists() and finished == [
        f"finished 2 steps; everything is in {workdir}",
        f"samples: {picture}",
    ]
    lines = [line.strip() for line in re.split("[\r\n]", err) if line.strip()]
    bars = [line for line in lines if re.match("(preparing images|training): ", line)]
    compiling = [line for line in lines if line.startswith("compiling ")]
    warnings = [line for line in lines if line not in bars + compiling]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"warning: {folder}: skipped broken.png (")
    assert re.search(r"2/2 .*(it/s|s/it), d_loss=\d.*, g_loss=\d", bars[-1])


def test_an_interrupted_run_can_be_continued(images, tmp_path, compiled):
    workdir = tmp_path / "run"
    flags = [*tiny_flags(images), "--config.training.steps=1000000"]
    flags += ["--config.checkpoint.every=1", f"--workdir={workdir}"]
    process = start(*flags)
    while process.poll() is None and not saved_steps(workdir):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 0, err
    last = max(saved_steps(workdir))
    assert out.splitlines()[-1] == (
        f"stopped by SIGINT after step {last:,}, which is saved; the same command "
        "continues"
    )
    process = start(*flags, f"--config.training.steps={last}")
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert f"resuming at step {last:,}\n" in out
