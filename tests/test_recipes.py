"""The recipes of docs/measurements.md run as printed, with a small prior and a step."""

import importlib
import os
import re
import shlex
from pathlib import Path

import pytest

from rtil_jax.cli.flags import parse_arguments, parser_of
from rtil_jax.experiments.inversion import sweep
from tests.untrained_run import write_dcgan

DOCUMENT = Path("docs/measurements.md").read_text(encoding="utf-8")
INTRODUCTION, *RECIPES = re.split(
    "^### ", DOCUMENT.split("\n## Recipes\n")[1].split("\n## ")[0], flags=re.MULTILINE
)


def blocks(language, text):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(text):
    """[command's name, *words] of each line of a shell."""
    lines = "".join(blocks("sh", text)).replace("\\\n", " ").splitlines()
    for words in map(shlex.split, filter(str.strip, lines)):
        if words[0] == "rtil":
            yield words[1:]
        else:
            assert words[:2] == ["python", "invert.py"]
            yield ["invert", *words[2:]]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """(a folder with the configs, what its pictures are made of, a small prior)."""
    home, configs = tmp_path_factory.mktemp("clone"), os.path.abspath("configs")
    os.symlink(configs, home / "configs")
    prior = write_dcgan(tmp_path_factory.mktemp("prior"), 32)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("RTIL_JAX_DATA", str(home / "cache"))
        names = {}
        (first,) = blocks("python", INTRODUCTION)
        exec(compile(first, "docs/measurements.md", "exec"), names)
    return home, names, prior


def test_there_are_six():
    titles = [recipe.partition("\n")[0] for recipe in RECIPES]
    assert titles == [
        "A masked photograph",
        "A small photograph",
        "A blurred photograph",
        "k-space",
        "Coded measurements",
        "Your own operator",
    ]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda x: x.partition("\n")[0])
def test_a_recipe_runs(recipe, clone, monkeypatch):
    home, names, prior = clone
    monkeypatch.chdir(home)
    monkeypatch.setattr(sweep, "write_report", lambda *_: None)  # takes longest
    for block in blocks("python", recipe):
        exec(compile(block, "docs/measurements.md", "exec"), names | {})
    for name, *words in commands(recipe):
        if name == "invert":
            # Instead of shipped priors, in hundreds of steps.
            words += [f"--config.priors.rtil={prior}", "--config.priors.vanilla="]
            words += ["--config.method.steps=1"]
        command = importlib.import_module(f"rtil_jax.cli.{name}")
        arguments = parse_arguments(parser_of(command), words)
        arguments.command_line = ""
        command.run(arguments)
        if name == "invert":
            assert list((home / arguments.workdir).glob("recovered/*.png"))
        else:
            assert (home / arguments.to).exists()
