"""What an inversion does, parsed once from its config and checked.

    parse_inversion(config).entries   # label x problem x rule x ratio x prior

Nothing after this reads a `ConfigDict`.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from rtil_jax.arguments import check_argument
from rtil_jax.config import plain, require
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.inversion_config import METHODS
from rtil_jax.experiments.inversion.inversion_fields import (
    InversionFields,
    Perceptual,
    Setting,
    Shared,
)
from rtil_jax.experiments.parsing import check_names, given, parse
from rtil_jax.inversion.inverting import Method
from rtil_jax.inversion.solver import SELECTIONS
from rtil_jax.operators import OPERATORS
from rtil_jax.operators.ratios import ratio_hint
from rtil_jax.operators.sampling import known_problems


class PerceptualTerm(NamedTuple):
    """The perceptual loss of an entry: the name of its distance, lambda, and `fill`."""

    distance: str
    weight: float
    fill: bool


class SettingKey(NamedTuple):
    """What tells one setting of a plan from another."""

    label: str
    problem: str
    select: str


@dataclasses.dataclass(frozen=True)
class Entry:
    """One method on one problem at one ratio, with one prior.

    Attributes:
        label: what the column `method` of the results says.
        problem: a name in `rtil_jax.operators.OPERATORS`.
        ratio: of the problem.
        select: the rule that picks the iterate.
        prior: its name.
        method: as built for this prior.
        noise_std: of the noise on y.
        restarts: independent starts per image.
        perceptual: what joins the loss; None for nothing.
    """

    label: str
    problem: str
    ratio: float
    select: str
    prior: str
    method: Method
    noise_std: float
    restarts: int
    perceptual: PerceptualTerm | None

    @property
    def setting(self) -> SettingKey:
        return SettingKey(self.label, self.problem, self.select)

    def key(self, prior: str | None = None, label: str | None = None) -> dict:
        """What its rows share; or those of another prior or label."""
        return {
            "prior": prior or self.prior,
            "method": label or self.label,
            "problem": self.problem,
            "ratio": self.ratio,
            "select": self.select,
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class InversionRun(Shared):
    """What an inversion does: what all settings share, and each entry.

    Attributes:
        entries: in the order of the work.
        record: the config as JSON has it.
        records: label -> the config of that label, likewise.
    """

    entries: tuple[Entry, ...]
    record: dict
    records: dict[str, dict]

    @property
    def settings(self) -> dict[SettingKey, list[Entry]]:
        """The entries of each setting: its ratios and priors."""
        settings: dict[SettingKey, list[Entry]] = {}
        for entry in self.entries:
            settings.setdefault(entry.setting, []).append(entry)
        return settings


def parse_inversion(config: ConfigDict) -> InversionRun:
    """The inversion that a config describes.

    Raises:
        UserError: for the first field that cannot be used.
    """
    if "method" not in config or "priors" not in config:
        raise UserError(
            "--config: found a config without config.priors and config.method, "
            "expected one for invert.py, such as configs/invert/ilo.py"
        )
    require(isinstance(config.method, ConfigDict), "method", config.method, "fields")
    name = config.method.get("name")
    require(name in METHODS, "method.name", name, f"one of {', '.join(METHODS)}")
    fields = parse(InversionFields, config)
    _check_own_names(config, "", fields)
    configs = _by_label(config, fields)
    if not any(fields.priors.values()):
        raise UserError(
            "config.priors: found no directory, expected at least one, e.g. "
            "--config.priors.rtil=DIR with a DIR that train.py has written"
        )
    entries: list[Entry] = []
    for label, one in configs.items():
        try:
            entries += _entries(label, fields, Setting(**given(Setting, one, "config")))
        except UserError as error:
            if not fields.settings:
                raise
            raise UserError(f"config.settings.{label}: {error}") from error
    return InversionRun(
        **{
            field.name: getattr(fields, field.name)
            for field in dataclasses.fields(Shared)
        },
        entries=tuple(entries),
        record=plain(config),
        records={label: plain(one) for label, one in configs.items()},
    )


def _by_label(config: ConfigDict, fields: InversionFields) -> dict[str, ConfigDict]:
    """Label -> the config with the fields of that entry of `settings`.

    Without `settings` the only label is the method's name.
    """
    if not fields.settings:
        return {config.method.name: config}
    for label, own in fields.settings.items():
        _check_label(label, own, fields)
    return {label: overridden(config, own) for label, own in fields.settings.items()}


def _check_own_names(config: ConfigDict, prefix: str, fields: InversionFields) -> None:
    """The names in `method`, `method_for` and `perceptual_for`, as far as given.

    `prefix` is what precedes a field's name in errors, after `config.`.
    """
    method, priors = METHODS[fields.method["name"]], fields.priors
    arguments = dict(config.get("method", {}))
    arguments.pop("name", None)
    check_names(method, arguments, f"config.{prefix}method")
    for section, kind in (("method_for", method), ("perceptual_for", Perceptual)):
        for prior, own in config.get(section, {}).items():
            path = f"{prefix}{section}.{prior}"
            require(prior in priors, path, prior, f"one of {', '.join(priors)}")
            require(isinstance(own, ConfigDict), path, own, "fields")
            check_names(kind, own, f"config.{path}")


def _check_label(label: str, own: Any, fields: InversionFields) -> None:
    """The label and the names of the fields of one entry of `settings`."""
    path = f"settings.{label}"
    require(not set("/\\") & set(label), path, label, "no / in it")
    require(isinstance(own, ConfigDict), path, own, "fields")
    changeable = {field.name for field in dataclasses.fields(Setting)}
    for field in dataclasses.fields(InversionFields):
        shared = field.name in own and field.name not in changeable
        require(not shared, f"{path}.{field.name}", "it", "it outside settings")
    check_names(Setting, own, f"config.{path}")
    named = "name" in own.get("method", ())
    require(not named, f"{path}.method.name", "it", "one method per config")
    _check_own_names(own, f"{path}.", fields)


def overridden(config: ConfigDict, fields: ConfigDict) -> ConfigDict:
    """A copy of `config` with some fields changed, sections field by field."""
    changed = config.copy_and_resolve_references().unlock()
    for name, value in fields.items():
        if isinstance(value, ConfigDict) and name in changed:
            value = overridden(changed[name], value)
        try:
            changed[name] = value
        except TypeError:  # of another type, which the parser refuses or knows
            with changed.ignore_type():
                changed[name] = value
    return changed


def _entries(label: str, fields: InversionFields, setting: Setting) -> Iterator[Entry]:
    """Problem x selection rule x ratio x prior, of one label."""
    methods = {prior: build_method(setting, prior) for prior in fields.priors}
    perceptual = {prior: perceptual_for(setting, prior) for prior in fields.priors}
    if any(one.distance for one in (setting.perceptual, *perceptual.values())):
        # Its networks read images in [-1, 1].
        require_symmetric(fields.images.range, "perceptual.distance")
    priors = [prior for prior, source in fields.priors.items() if source]
    for problem in words(fields.problem):
        require(problem in OPERATORS, "problem", problem, known_problems(problem))
        ratios = checked_ratios(problem, fields.ratios_for.get(problem, fields.ratios))
        for select in words(setting.select):
            known = f"one of {', '.join(SELECTIONS)}"
            require(select in SELECTIONS, "select", select, known)
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
                        restarts=setting.restarts,
                        perceptual=_term(perceptual[prior], problem, ratio),
                    )


def words(text: str) -> list[str]:
    """The parts of a field that may name several things: `a,b` is [a, b]."""
    return [word.strip() for word in text.split(",")]


def build_method(config: Any, prior: str) -> Method:
    """The method of `config.method` and `config.method_for` for a prior of that name.

    Raises:
        UserError: if a field's value is not one that the method can have.
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
    """The section `perceptual` with what is other for a prior."""
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
    """The ratios of one problem as numbers."""
    require(len(ratios) > 0, "ratios", (), "at least one number in (0, 1]")
    for ratio in ratios:
        number = type(ratio) in (float, int)
        hint = ratio_hint(problem, float(ratio)) if number else ""
        expected = f"numbers in (0, 1]{hint}"
        require(number and 0 < ratio <= 1, "ratios", ratios, expected)
    return [float(ratio) for ratio in ratios]


def require_symmetric(limits: tuple, reason: str) -> None:
    """Raises UserError unless targets are in [-1, 1], as `reason` needs them."""
    expected = f"(-1, 1), because of {reason}"
    require(limits == (-1, 1), "images.range", limits, expected)
