"""What an inversion does, parsed once from its config and checked.

    parse_inversion(config).entries   # label x problem x rule x ratio x prior

Nothing after this reads a `ConfigDict`.
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
            f"config.problem: found {fields.problem}, expected one that a method of "
            "this config fits"
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
    """Label -> the config with the fields of that entry of `settings`.

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
    """`config`, or with the published settings of the method that `own` names."""
    name = own.get("method", {}).get("name", config.method.name)
    if name == config.method.name:
        return config
    changed = config.copy_and_resolve_references().unlock()
    changed.method = ConfigDict({"name": name, **published(METHODS[name])})
    changed.method_for = ConfigDict()
    return changed


def _check_own_names(config: ConfigDict, prefix: str, fields: InversionFields) -> None:
    """The names in `method`, `method_for` and `perceptual_for`, as far as given.

    `prefix` is what precedes a field's name in errors, after `config.`.
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
    """The label and the names of the fields of one entry of `settings`."""
    path = f"settings.{label}"
    require(not set("/\\") & set(label), path, label, "no / in it")
    require(isinstance(own, ConfigDict), path, own, "fields")
    changeable = {field.name for field in dataclasses.fields(Setting)}
    for field in dataclasses.fields(InversionFields):
        shared = field.name in own and field.name not in changeable
        require(not shared, f"{path}.{field.name}", "it", "it outside settings")
    check_names(Setting, own, f"config.{path}")
    name = own.get("method", {}).get("name", fields.method["name"])
    known = f"one of {', '.join(METHODS)}"
    require(name in METHODS, f"{path}.method.name", name, known)
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
