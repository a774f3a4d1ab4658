"""The model card: what a prior is and where it comes from, in Markdown."""

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
    """What no file of a training run records.

    Attributes:
        data: what the images are, and how many.
        licence: of the images.
        hardware: that it was trained on.
        command: that trained it.
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
    """The whole text.

    Args:
        name: of the prior.
        description: what it is, a sentence.
        facts: what the run's files say.
        notes: what a person says.
        scores: from `score_prior`; None if it has not been scored.
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
    """Steps, images, seed and time of a training directory; versions of today."""
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
    """Time of the first `step` steps, by the rates in `metrics.jsonl`; None without it.

    Time that a killed run lost, and that of starting again, is not in it.
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
