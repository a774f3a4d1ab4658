"""Parses and checks the config of an inversion once.

    parse_inversion(config).entries   # label x problem x rule x ratio x prior

All later code takes the result, and does not read a `ConfigDict`.
"""

import dataclasses
from typing import Any

from ml_collections import ConfigDict

from rtil_jax.arguments import published
from rtil_jax.config import plain, require
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.inversion_config import METHODS
from rtil_jax.experiments.inversion.inversion_entries import (
    Entry,
    SettingKey,
    entries_of,
)
from rtil_jax.experiments.inversion.inversion_fields import (
    InversionFields,
    Perceptual,
    Setting,
    Shared,
)
from rtil_jax.experiments.parsing import check_names, given, parse


@dataclasses.dataclass(frozen=True, kw_only=True)
class InversionRun(Shared):
    """A parsed inversion: the fields that all settings share, and its entries.

    Attributes:
        entries: all entries, in the order of the work.
        record: the config in the form of JSON.
        records: {label: the config of that label}, in the form of JSON.
    """

    entries: tuple[Entry, ...]
    record: dict
    records: dict[str, dict]

    @property
    def settings(self) -> dict[SettingKey, list[Entry]]:
        """Returns the entries of each setting, with its ratios and priors."""
        settings: dict[SettingKey, list[Entry]] = {}
        for entry in self.entries:
            settings.setdefault(entry.setting, []).append(entry)
        return settings


def parse_inversion(config: ConfigDict) -> InversionRun:
    """Parses the config of an inversion.

    Raises:
        UserError: if a field cannot be used; reports the first one.
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
    for name in ("operator", "truth"):
        needed = fields.measurements or not getattr(fields, name)
        found, expected = getattr(fields, name), "'' without config.measurements"
        require(bool(needed), name, found, expected)
    entries: list[Entry] = []
    for label, one in configs.items():
        try:
            setting = Setting(**given(Setting, one, "config"))
            entries += entries_of(label, fields, setting)
        except UserError as error:
            if not fields.settings:
                raise
            raise UserError(f"config.settings.{label}: {error}") from error
    if not entries:
        raise UserError(
            f"config.problem: found {fields.problem}, expected a problem that a method "
            "of this config can solve"
        )
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
    """Returns {label: the config with the fields of that entry of `settings`}.

    Without `settings` the only label is the method's name.
    """
    if not fields.settings:
        return {config.method.name: config}
    for label, own in fields.settings.items():
        _check_label(label, own, fields)
    return {
        label: overridden(_of_method(config, own), own)
        for label, own in fields.settings.items()
    }


def _of_method(config: ConfigDict, own: ConfigDict) -> ConfigDict:
    """Returns `config`, with published settings if `own` names another method."""
    name = own.get("method", {}).get("name", config.method.name)
    if name == config.method.name:
        return config
    changed = config.copy_and_resolve_references().unlock()
    changed.method = ConfigDict({"name": name, **published(METHODS[name])})
    changed.method_for = ConfigDict()
    return changed


def _check_own_names(config: ConfigDict, prefix: str, fields: InversionFields) -> None:
    """Checks the names in `method`, `method_for` and `perceptual_for`, if given.

    `prefix` precedes the name of a field in errors, after `config.`.
    """
    arguments, priors = dict(config.get("method", {})), fields.priors
    method = METHODS[arguments.pop("name", fields.method["name"])]
    check_names(method, arguments, f"config.{prefix}method")
    for section, kind in (("method_for", method), ("perceptual_for", Perceptual)):
        for prior, own in config.get(section, {}).items():
            path = f"{prefix}{section}.{prior}"
            require(prior in priors, path, prior, f"one of {', '.join(priors)}")
            require(isinstance(own, ConfigDict), path, own, "fields")
            check_names(kind, own, f"config.{path}")


def _check_label(label: str, own: Any, fields: InversionFields) -> None:
    """Checks the label and the names of the fields of one entry of `settings`."""
    path = f"settings.{label}"
    require(not set("/\\") & set(label), path, label, "a label without / or \\")
    require(isinstance(own, ConfigDict), path, own, "fields")
    changeable = {field.name for field in dataclasses.fields(Setting)}
    for field in dataclasses.fields(InversionFields):
        shared = field.name in own and field.name not in changeable
        if shared:
            raise UserError(
                f"config.{path}.{field.name}: found a field that all settings share, "
                f"expected it as config.{field.name}"
            )
    check_names(Setting, own, f"config.{path}")
    name = own.get("method", {}).get("name", fields.method["name"])
    known = f"one of {', '.join(METHODS)}"
    require(name in METHODS, f"{path}.method.name", name, known)
    _check_own_names(own, f"{path}.", fields)


def overridden(config: ConfigDict, fields: ConfigDict) -> ConfigDict:
    """Returns a copy of `config` with some fields changed, also within sections."""
    changed = config.copy_and_resolve_references().unlock()
    for name, value in fields.items():
        if isinstance(value, ConfigDict) and name in changed:
            value = overridden(changed[name], value)
        try:
            changed[name] = value
        except TypeError:  # a value of another type, which the parser checks
            with changed.ignore_type():
                changed[name] = value
    return changed
