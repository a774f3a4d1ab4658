"""Describes the noise on the measurements of a directory in words."""

from collections.abc import Sequence

from rtil_jax.experiments.report.rows import Row, groups
from rtil_jax.experiments.report.style import problem_text
from rtil_jax.operators.noise import noise_text, noise_unit, photon_text
from rtil_jax.operators.sampling import KINDS


def noise_sentences(rows: Sequence[Row], record: dict) -> list[str]:
    """Returns a sentence per problem and noise, for the methods in the record.

    Args:
        rows: the rows of `results.csv`.
        record: the contents of `config.json`; an old one has less.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for problem, label in groups(rows, "problem", "method"):
        settings = record.get("methods", {}).get(label)
        if settings and "noise_std" in settings and problem in KINDS:
            limits = settings.get("images", {}).get("range", (-1, 1))
            levels = record.get("snr", {}).get(label, {}).get(problem, {})
            text = noise_text(
                noise_unit(KINDS[problem]),
                settings["noise_std"],
                tuple(limits),
                dict(sorted(levels.items(), key=lambda item: float(item[0]))),
            )
            if settings.get("noise") == "poisson":
                text = photon_text(settings["peak"])
            found.setdefault((problem, text), []).append(label)
    if {text for _, text in found} == {"none"}:
        return ["Noise on the measurements: none."]
    several = len({label for labels in found.values() for label in labels}) > 1
    return [
        f"Noise on the measurements, {problem_text(problem)}"
        + (f" ({', '.join(labels)})" if several else "")
        + f": {text}."
        for (problem, text), labels in found.items()
    ]
