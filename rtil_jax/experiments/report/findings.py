"""Finds the best method or prior of each setting, and its lead over the second."""

import collections
import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from rtil_jax.experiments.report.rows import Row, groups, names
from rtil_jax.experiments.report.style import problem_text, ratio_text
from rtil_jax.experiments.report.tables import Table
from rtil_jax.metrics import confidence_interval

LABEL = 30  # most characters of a name on the terminal


@dataclasses.dataclass(frozen=True)
class Finding:
    """The two best of one setting, by mean PSNR over the images that all have.

    Attributes:
        setting: problem, ratio and, if there are several, the selection rule.
        count: number of images.
        best: name of the best: its prior, its method, or both.
        psnr: its mean PSNR, in dB.
        second: name of the second best; empty if there is none.
        second_psnr: its mean PSNR; NaN if there is none.
        lead: mean of the paired differences, best minus second; NaN without a second.
        half: half-width of its 95 % interval; NaN for fewer than two images.
    """

    setting: tuple[str, ...]
    count: int
    best: str
    psnr: float
    second: str = ""
    second_psnr: float = math.nan
    lead: float = math.nan
    half: float = math.nan

    @property
    def is_clear(self) -> bool:
        """Tells whether the interval of the lead excludes 0."""
        return self.lead > self.half


def find_best(rows: Sequence[Row]) -> list[Finding]:
    """Returns a finding per problem, ratio and rule; none without true images."""
    rows = [row for row in rows if not math.isnan(row["psnr"])]
    columns = [name for name in ("prior", "method") if len(names(rows, name)) > 1]
    several = len(names(rows, "select")) > 1
    found = []
    for (problem, ratio, rule), group in groups(
        rows, "problem", "ratio", "select"
    ).items():
        setting = problem_text(problem), ratio_text(problem, ratio)
        lines = {
            _label(key, columns): {row["image"]: row["psnr"] for row in line}
            for key, line in groups(group, "prior", "method").items()
        }
        found.append(_finding((*setting, *([rule] if several else [])), lines))
    return found


def _label(key: tuple[str, str], columns: Sequence[str]) -> str:
    """Names a line by what tells it apart; baselines, without a prior, by method."""
    prior, method = key
    if prior == "none":
        return method
    words = {"prior": prior, "method": method}
    return ", ".join(words[name] for name in columns or ["prior"])


def _finding(setting: tuple[str, ...], lines: dict[str, dict[str, float]]) -> Finding:
    shared = set.intersection(*(set(line) for line in lines.values()))
    means = {
        label: float(np.mean([line[i] for i in sorted(shared or line)]))
        for label, line in lines.items()
    }
    best, *others = sorted(means, key=lambda label: -means[label])
    images = sorted(shared or lines[best])
    if not others:
        return Finding(setting, len(images), best, means[best])
    second = others[0]
    lead = half = math.nan
    if shared:
        with np.errstate(invalid="ignore"):  # two infinite values may be subtracted
            pairs = [lines[best][i] - lines[second][i] for i in images]
        lead, half = confidence_interval(pairs)
    return Finding(
        setting, len(images), best, means[best], second, means[second], lead, half
    )


def conclusion(findings: Sequence[Finding]) -> str:
    """Sums up all settings in a sentence; "" if nothing was compared."""
    compared = [finding for finding in findings if finding.second]
    if not compared:
        return ""
    total = len(compared)
    wins = collections.Counter(finding.best for finding in compared)
    clear = collections.Counter(found.best for found in compared if found.is_clear)
    parts = [
        f"{label} has the best mean PSNR in {count} of {total} "
        f"setting{'' if total == 1 else 's'}"
        + (f" (clearly in {clear[label]})" if clear[label] else " (never clearly)")
        for label, count in wins.most_common()
    ]
    return (
        f"{'; '.join(parts)}. A lead is clear if the 95 % interval of its paired "
        "difference to the second excludes 0."
    )


def findings_table(findings: Sequence[Finding]) -> Table:
    """Returns a table with a line per setting."""
    header = ["problem", "ratio", "select", "images", "best", "PSNR (dB)"]
    header += ["second", "its PSNR (dB)", "lead (dB, paired)", "verdict"]
    body = []
    for found in findings:
        setting = [*found.setting, ""][:3]
        others = ["", "", "", ""]
        if found.second:
            others = [found.second, f"{found.second_psnr:.2f}", lead_text(found)]
            others.append(verdict(found))
        line = [str(found.count), found.best, f"{found.psnr:.2f}", *others]
        body.append([*setting, *line])
    return Table("", header, body)


def lead_text(found: Finding) -> str:
    if math.isnan(found.lead):
        return "n/a"
    half = "n/a" if math.isnan(found.half) else f"{found.half:.2f}"
    return f"{found.lead:+.2f} ± {half}"


def verdict(found: Finding) -> str:
    """Says in words what the lead means."""
    if math.isnan(found.half):
        return "too few images to tell"
    if found.is_clear:
        return f"{found.best} is ahead"
    return "no clear difference"


def findings_lines(findings: Sequence[Finding]) -> list[str]:
    """Returns a line per setting, of at most 100 columns, for the terminal."""
    settings = [", ".join(found.setting) for found in findings]
    width = max(map(len, settings), default=0)
    lines = []
    for setting, found in zip(settings, findings, strict=True):
        line = f"{setting:{width}}  {found.best[:LABEL]} {found.psnr:.2f} dB"
        if found.second:
            line += f", {found.second[:LABEL]} {found.second_psnr:.2f}"
            line += f": {lead_text(found)}"
        lines.append(line[:100])
    return lines


def differences(rows: Sequence[Row]) -> list[Row]:
    """Returns rows with differences of PSNR between each prior and the first one.

    Differences are taken image by image. The `prior` of these rows is `OTHER − FIRST`.
    If there is only one prior, methods are compared instead.
    """
    column = next((c for c in ("prior", "method") if len(names(rows, c)) > 1), "")
    if not column:
        return []
    reference = names(rows, column)[0]
    keys = [c for c in ("image", "prior", "method", "problem", "ratio", "select")]
    keys.remove(column)
    base = {
        tuple(row[key] for key in keys): row["psnr"]
        for row in rows
        if row[column] == reference
    }
    found = []
    for row in rows:
        other = base.get(tuple(row[key] for key in keys))
        if row[column] != reference and other is not None:
            label = f"{row[column]} − {reference}"
            found.append(row | {column: label, "psnr": row["psnr"] - other})
    return [row for row in found if math.isfinite(row["psnr"])]
