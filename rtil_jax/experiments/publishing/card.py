"""Writes the model card of a prior in Markdown: what it is and where it comes from."""

import dataclasses
import json
import os

from rtil_jax.experiments.scoring import score_table
from rtil_jax.experiments.training.metrics_file import NAME as METRICS
from rtil_jax.experiments.training.training_config import TrainingRun
from rtil_jax.provenance import versions
from rtil_jax.training.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Notes:
    """Facts for the card that a training run does not record.

    Attributes:
        data: what the images are, and how many.
        licence: the licence of the images.
        hardware: what the prior was trained on.
        command: the command that trained it.
    """

    data: str
    licence: str
    hardware: str
    command: str


def card(
    name: str,
    description: str,
    facts: dict[str, str],
    notes: Notes,
    scores: dict | None,
) -> str:
    """Returns the text of a model card.

    Args:
        name: the name of the prior.
        description: a sentence about the prior.
        facts: facts from the files of the run.
        notes: facts from a person.
        scores: from `score_prior`; None if the prior has not been scored.
    """
    noted = dataclasses.asdict(notes)
    command = noted.pop("command")
    rows = (f"| {key} | {_cell(value)} |" for key, value in (noted | facts).items())
    table = "\n".join(rows)
    scored = score_table(scores) if scores else "Not scored."
    return f"""# {name}

{description}

```python
from rtil_jax.inversion import load_prior

prior = load_prior("pretrained:{name}")
```

![Samples of every member](samples.png)

Each row is a member of the family; G^0 is the GAN itself.

| | |
| --- | --- |
{table}

Trained by

```sh
{command}
```

with the configuration in [config.json](config.json).

## Scores

{scored}
"""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def run_facts(
    directory: str, run: TrainingRun, recipe: Recipe, step: int
) -> dict[str, str]:
    """Returns steps, images, seed and time of a training directory, and versions.

    Args:
        directory: the training directory.
        run: its config.
        recipe: its recipe.
        step: number of finished steps.
    """
    images = recipe.batch_at(step).start
    seconds = training_seconds(os.path.join(directory, METRICS), recipe, step)
    packages = ", ".join(f"{name} {number}" for name, number in versions().items())
    return {
        "steps": f"{step:,}, {images:,} images seen",
        "seed": str(run.seed),
        "time": "not recorded" if seconds is None else f"{seconds / 3600:.2f} hours",
        "packed with": packages,
    }


def training_seconds(path: str, recipe: Recipe, step: int) -> float | None:
    """Returns the seconds of the first `step` steps, from the rates in `metrics.jsonl`.

    Time that a killed run lost does not count. The result is None without the file.

    Args:
        path: the file `metrics.jsonl`.
        recipe: the recipe of the run.
        step: number of finished steps.
    """
    if not os.path.exists(path):
        return None
    seconds, before = 0.0, 0
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(text) for text in file]
    for line in lines:
        if line["step"] <= step:
            images = recipe.batch_at(line["step"]).start
            seconds += (images - before) / line["images_per_second"]
            before = images
    return seconds
