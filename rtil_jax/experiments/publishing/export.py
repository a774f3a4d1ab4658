"""Exports a training directory to a folder inside the package."""

import os
import re
import shutil
import tempfile

import jax
import numpy as np

from rtil_jax.checkpoints import checksum, load_config, load_step
from rtil_jax.config import save_config
from rtil_jax.errors import UserError
from rtil_jax.experiments import report
from rtil_jax.experiments.member_names import member_names
from rtil_jax.experiments.publishing.card import Notes, card, run_facts
from rtil_jax.experiments.publishing.rounding import (
    RECOVERED,
    TOLERATED,
    lost,
    rounded,
    rounding_psnr,
)
from rtil_jax.experiments.training.configured_recipe import build_recipe, saved_run
from rtil_jax.experiments.training.training_config import TrainingRun
from rtil_jax.experiments.training.training_plan import count_parameters
from rtil_jax.files import local_path, read_json
from rtil_jax.generators import Generator
from rtil_jax.priors import registry
from rtil_jax.priors.feature_scales import FEATURE_SCALES, write_scales
from rtil_jax.priors.packed import CONFIG, WEIGHTS, is_packed, write_weights
from rtil_jax.priors.prior import STYLE_FIT, load_prior
from rtil_jax.training.recipe import Recipe

CARD, SAMPLES = "card.md", "samples.png"
COLUMNS = 8
NAME = re.compile(r"[A-Za-z0-9][\w-]*")


def export(directory: str, name: str, notes: Notes, scores: str | None = None) -> str:
    """Makes `pretrained:NAME` from a training directory; replaces one of that name.

    Weights are stored as float16 if that costs less than `rounding.TOLERATED`.

    Args:
        directory: the training directory.
        name: the name of the prior.
        notes: facts for its card.
        scores: a file that `rtil score` has written for this directory, or None.

    Returns:
        What was done, in one line.

    Raises:
        UserError: if the directory has no finished prior, the scores belong to another
            prior, or the folder cannot be written.
    """
    to, directory = folder_of(name), local_path(directory, "DIR")
    prior, config = load_prior(directory), load_config(directory)
    run, step = saved_run(config), load_step(directory)
    recipe = build_recipe(run)
    exact = jax.device_get(prior.variables)
    scored = read_scores(scores, checksum(exact)) if scores else None
    weights, precision = stored(prior.generator, recipe, exact)
    facts = run_facts(directory, run, recipe, step)
    with tempfile.TemporaryDirectory() as made:
        write_weights(made, weights)
        save_config(without_paths(config), os.path.join(made, CONFIG))
        if os.path.exists(fit := os.path.join(directory, STYLE_FIT)):
            shutil.copy(fit, made)
        scales = prior.with_feature_scales().feature_scales
        write_scales(os.path.join(made, FEATURE_SCALES), scales)
        draw_samples(recipe, weights, step, os.path.join(made, SAMPLES))
        size = os.path.getsize(os.path.join(made, WEIGHTS)) / 2**20
        facts["weights"] = f"{size:.2f} MiB, {precision}"
        text = card(name, describe(run, recipe, weights), facts, notes, scored)
        with open(os.path.join(made, CARD), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(made, 0o755)  # only its owner can read a temporary folder
        put(made, to)
    return f"{to}: {facts['weights']}"


def folder_of(name: str) -> str:
    """Returns the folder of `pretrained:NAME`.

    Raises:
        UserError: if a prior cannot have this name.
    """
    to = os.path.join(registry.ROOT, name)
    if not NAME.fullmatch(name) or (os.path.exists(to) and not is_packed(to)):
        raise UserError(
            f"NAME: found {name!r}, expected letters, digits, _ and -, and no name "
            f"that is used otherwise in {registry.ROOT}"
        )
    return to


def put(made: str, to: str) -> None:
    """Replaces a folder by another one; raises UserError if it cannot be written."""
    try:
        if os.path.exists(to):
            shutil.rmtree(to)
        shutil.copytree(made, to)
    except OSError as error:
        raise UserError(f"{to}: cannot be written ({error.strerror})") from error


def stored(generator: Generator, recipe: Recipe, exact: dict) -> tuple[dict, str]:
    """Returns the weights to store, and a sentence about their precision.

    Args:
        generator: the generator.
        recipe: the recipe of the run, with its family.
        exact: the float32 variables.
    """
    half = rounded(exact)
    psnr = rounding_psnr(generator, recipe.family, exact, half)
    cost = lost(psnr)
    says = (
        f"{psnr:.1f} dB between float16 and float32 images of the same latents, which "
        f"costs an image {RECOVERED:g} dB from the truth {cost:.1g} dB"
    )
    if cost < TOLERATED:  # False for nan
        return half, f"float16: {says}"
    return exact, f"float32: {says}"


def describe(run: TrainingRun, recipe: Recipe, weights: dict) -> str:
    """Describes architecture, size and family in a sentence.

    Args:
        run: the config of the run.
        recipe: its recipe.
        weights: the variables, whose number is stated.
    """
    size, members = run.resolution, recipe.family.num_members
    trained = "as usual (vanilla)"
    if members > 1:
        trained = f"with RTIL, as a family of {members} members: {recipe.family}"
    return (
        f"{run.architecture} generator of {size} x {size} x {run.channels} "
        f"images, {count_parameters(weights):,} parameters, trained {trained}."
    )


def draw_samples(recipe: Recipe, weights: dict, step: int, path: str) -> None:
    """Draws samples of the stored weights, with one row for each member.

    Args:
        recipe: the recipe of the run.
        weights: the variables as they are stored.
        step: number of finished steps.
        path: the PNG to write.
    """
    variables = jax.tree.map(lambda x: np.asarray(x, np.float32), weights)
    rows = recipe.sample(variables, step, COLUMNS)
    labelled = dict(zip(member_names(recipe.family), rows, strict=True))
    report.labelled_rows(labelled, path)


def without_paths(config: dict) -> dict:
    """Returns a copy of a config without the paths of this machine."""
    source = file_name(config["data"]["source"])
    data = config["data"] | {"source": source, "cache_dir": ""}
    return config | {"data": data, "init_from": file_name(config["init_from"])}


def file_name(source: str) -> str:
    """Returns the last part of an absolute path, and any other text unchanged."""
    return os.path.basename(source.rstrip("/")) if os.path.isabs(source) else source


def read_scores(path: str, network: int) -> dict:
    """Reads scores; raises UserError if the file has none for this network."""
    scores = read_json(path, "a file of rtil score")
    if not isinstance(scores, dict) or not {"network", "images"} <= scores.keys():
        raise UserError(
            f"--scores: found no scores in {path}, expected a file of rtil score"
        )
    images = scores["images"]
    if scores["network"] != network:
        raise UserError(
            f"--scores: found the scores of another network in {path}, expected those "
            "of this directory's newest checkpoint"
        )
    return scores | {"images": images | {"source": file_name(images["source"])}}
