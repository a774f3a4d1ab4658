"""The entries of an inversion: one method on one problem at one ratio, with one prior.

entries_of(label, fields, setting)   # problem x rule x ratio x prior, all checked
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from rtil_jax.arguments import check_argument
from rtil_jax.baselines.interface import misfit
from rtil_jax.config import require
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.inversion_config import METHODS, NO_PRIOR
from rtil_jax.experiments.inversion.inversion_fields import (
    InversionFields,
    Perceptual,
    Setting,
    noise_of,
)
from rtil_jax.experiments.parsing import given
from rtil_jax.inversion.finishes import find_finish
from rtil_jax.inversion.solver import SELECTIONS
from rtil_jax.inversion.without_prior import is_baseline, needs_prior
from rtil_jax.operators import Poisson
from rtil_jax.operators.ratios import ratio_hint
from rtil_jax.operators.sampling import KINDS, OPERATORS, known_problems


class PerceptualTerm(NamedTuple):
    """The perceptual loss of an entry: the name of its distance, its weight, `fill`."""

    distance: str
    weight: float
    fill: bool


class SettingKey(NamedTuple):
    """The key of a setting in a plan."""

    label: str
    problem: str
    select: str


@dataclasses.dataclass(frozen=True)
class Entry:
    """One method on one problem at one ratio, with one prior.

    Attributes:
        label: the text in the column `method` of the results.
        problem: a name in `rtil_jax.operators.sampling.KINDS`.
        ratio: how much is measured, in the problem's terms.
        select: the rule that selects the iterate.
        prior: the name of the prior; `none` for a method without a prior.
        method: a `Method` with its arguments for this prior, or a baseline.
        noise_std: standard deviation of Gaussian noise on y.
        noise: Poisson noise, or None for Gaussian noise.
        restarts: number of independent starts per image.
        perceptual: the perceptual loss; None for none.
        held_out_fraction: the share of measurements to hold out, if they select.
        finish: the finish after the last stage; "" for none.
        precision: that of the generator; a baseline does not read it.
    """

    label: str
    problem: str
    ratio: float
    select: str
    prior: str
    method: Any
    noise_std: float
    noise: Poisson | None
    restarts: int
    perceptual: PerceptualTerm | None
    held_out_fraction: float
    finish: str = ""
    precision: str = "float32"

    @property
    def fits(self) -> int:
        """How often the stages run."""
        return 2 if self.select == "held_out" else 1

    @property
    def setting(self) -> SettingKey:
        return SettingKey(self.label, self.problem, self.select)

    def key(self, prior: str | None = None, label: str | None = None) -> dict:
        """Returns what its rows share, or those of another prior or label."""
        return {
            "prior": prior or self.prior,
            "method": label or self.label,
            "problem": self.problem,
            "ratio": self.ratio,
            "select": self.select,
        }


def entries_of(
    label: str, fields: InversionFields, setting: Setting
) -> Iterator[Entry]:
    """Yields the entries of one label: problems x selection rules x ratios x priors.

    A baseline has no iterates to select from, so it only uses the first rule.

    Args:
        label: the label of the setting.
        fields: the fields that all settings share.
        setting: the fields of this setting.

    Raises:
        UserError: if a field cannot be used; reports the first one.
    """
    kind = METHODS[setting.method["name"]]
    named = list(fields.priors) if needs_prior(kind) else [NO_PRIOR]
    methods = {prior: build_method(setting, prior) for prior in named}
    perceptual = {prior: perceptual_for(setting, prior) for prior in named}
    baseline, rules = is_baseline(kind), words(setting.select)
    if baseline:
        rules, perceptual = rules[:1], dict.fromkeys(named, Perceptual())
    if any(one.distance for one in perceptual.values()):
        # Its networks read images in [-1, 1].
        require_symmetric(fields.images.range, "perceptual.distance")
    priors = [prior for prior in named if fields.priors.get(prior) or prior == NO_PRIOR]
    if not priors:
        raise UserError(
            "config.priors: found no prior, expected at least one, such as "
            "--config.priors.rtil=DIR with a directory that train.py has written"
        )
    noisy = 1.0 if setting.noise == "poisson" else setting.noise_std
    find_finish("config.finish", setting.finish, noisy)
    for problem in words(fields.problem):
        known = KINDS if fields.measurements else OPERATORS
        require(problem in known, "problem", problem, known_problems(problem, known))
        ratios = checked_ratios(problem, fields.ratios_for.get(problem, fields.ratios))
        if not _fits(setting, problem):
            continue
        noise = noise_of(setting, problem, fields.images.range)
        for select in rules:
            rule = f"one of {', '.join(SELECTIONS)}"
            require(select in SELECTIONS, "select", select, rule)
            unknown = bool(fields.measurements) and not fields.truth
            expected = "another rule, because config.truth, the true images, is not set"
            require(not (unknown and select == "oracle"), "select", select, expected)
            for ratio in ratios:
                for prior in priors:
                    yield Entry(
                        label=label,
                        problem=problem,
                        ratio=ratio,
                        select=select,
                        prior=prior,
                        method=methods[prior],
                        noise_std=setting.noise_std,
                        noise=noise,
                        restarts=1 if baseline else setting.restarts,
                        perceptual=_term(perceptual[prior], problem, ratio),
                        held_out_fraction=setting.held_out_fraction,
                        finish=setting.finish,
                        precision=setting.precision,
                    )


def _fits(setting: Setting, problem: str) -> bool:
    """Tells whether a method and its finish fit a problem.

    Raises:
        UserError: if they do not, and `config.where_it_fits` is not set.
    """
    name, operator = setting.method["name"], KINDS[problem]
    expected = misfit(METHODS[name], operator) if is_baseline(METHODS[name]) else ""
    what, remedy = f"method.name={name}", "where_it_fits=True leaves out other problems"
    if setting.finish and not expected and not hasattr(operator, "adjoint"):
        what, expected = f"finish={setting.finish}", "a linear one"
        remedy = "finish= is no finish"
    if expected and not setting.where_it_fits:
        raise UserError(
            f"config.{what}: found problem={problem}, expected {expected}; "
            f"--config.{remedy}"
        )
    return not expected


def words(text: str) -> list[str]:
    """Splits a field that may name several things: `a,b` becomes [a, b]."""
    return [word.strip() for word in text.split(",")]


def build_method(config: Any, prior: str) -> Any:
    """Builds the method of `config.method` and `config.method_for` for a prior.

    Raises:
        UserError: if a field has a value that the method does not accept.
    """
    own = dict(config.method_for.get(prior, {}))
    values = dict(config.method) | own
    kind = METHODS[values.pop("name")]
    arguments = {field.name: field for field in dataclasses.fields(kind)}
    for name, value in values.items():
        path = f"method_for.{prior}.{name}" if name in own else f"method.{name}"
        values[name] = value = check_argument(arguments[name], value, f"config.{path}")
        if name.endswith("radii"):
            require(min(value, default=1) > 0, path, value, "above 0")
    return kind(**values)


def perceptual_for(setting: Setting, prior: str) -> Perceptual:
    """Returns the section `perceptual` with the changes for a prior."""
    own = setting.perceptual_for.get(prior, ConfigDict())
    changes = given(Perceptual, own, f"config.perceptual_for.{prior}")
    for name in ("weights", "from_ratio"):
        changes[name] = {**getattr(setting.perceptual, name), **changes.get(name, {})}
    return dataclasses.replace(setting.perceptual, **changes)


def _term(perceptual: Perceptual, problem: str, ratio: float) -> PerceptualTerm | None:
    weight = perceptual.weights.get(problem, 0.0)
    used = perceptual.distance and ratio >= perceptual.from_ratio.get(problem, 0)
    if not used or not weight:
        return None
    return PerceptualTerm(perceptual.distance, weight, perceptual.fill)


def checked_ratios(problem: str, ratios: tuple) -> list[float]:
    """Returns the ratios of one problem as numbers, after checking them."""
    require(len(ratios) > 0, "ratios", (), "at least one number in (0, 1]")
    for ratio in ratios:
        number = type(ratio) in (float, int)
        hint = ratio_hint(problem, float(ratio)) if number else ""
        expected = f"numbers in (0, 1]{hint}"
        require(number and 0 < ratio <= 1, "ratios", ratios, expected)
    return [float(ratio) for ratio in ratios]


def require_symmetric(limits: tuple, reason: str) -> None:
    """Raises UserError unless images are in [-1, 1]; `reason` says what needs it."""
    expected = f"(-1, 1), because of {reason}"
    require(limits == (-1, 1), "images.range", limits, expected)
