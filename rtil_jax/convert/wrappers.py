"""Finds the networks in a checkpoint file by the names of their tensors.

A network is a group of tensors whose names, after a common prefix, are those of a known
layout: `g_ema.…`, `state_dict.decoder.…`, `params_ema._orig_mod.…`. The prefix only
decides the role of a network if the file has several.
"""

import dataclasses
import logging
import re

import numpy as np

from rtil_jax.convert.checkpoint import MODULE, PARTS, Checkpoint
from rtil_jax.convert.foreign import refusal
from rtil_jax.convert.layouts import Layout, Match, Tensors, match, shapes_of
from rtil_jax.convert.networks import KINDS
from rtil_jax.errors import UserError
from rtil_jax.torch_files import Saved

# Segments that torch.compile, FSDP and checkpointing insert into names.
_WRAPPERS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
_EMA = set("ema smooth avg average averaged shadow running swa gs".split())
_NOT_EMA = {"no", "non", "not", "without"}
_GENERATOR = {"g", "gen", "generator", "decoder"}
_DISCRIMINATOR = {"d", "disc", "discriminator", "critic"}
# The name of the mean of w among a network's tensors.
_MEANS = ("latent_avg", "mean_latent", "latent_mean", "w_avg")
_CLAIM = 0.5  # with fewer of a layout's names, it is another network, not a damaged one
_NUMBERS = ("float16", "bfloat16", "float32", "float64")


@dataclasses.dataclass(frozen=True)
class _Group:
    """Tensors with a common prefix, which is cut off, and the layout they match."""

    prefix: str
    tensors: Tensors
    match: Match

    @property
    def words(self) -> set[str]:
        """The words of the prefix: `netG_ema.module.` has net, g, ema and module."""
        found = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", self.prefix)
        return {word.lower() for word in found}

    @property
    def averaged(self) -> bool:
        return bool(self.words & _EMA) and not self.words & _NOT_EMA

    @property
    def exact(self) -> bool:
        return not self.match.differences

    @property
    def key(self) -> str:
        """The prefix without wrappers, which do not decide the role of a network."""
        return self.prefix.removesuffix(MODULE).removesuffix(".")


def find_networks(saved: Saved) -> Checkpoint:
    """Finds the generators and the discriminator in a file.

    The generator whose name says moving average becomes `g_ema`; another generator of
    the same size becomes `g`. Of several equal candidates, the first in the file wins.

    Raises:
        UserError: if the file holds a network that is known not to be supported, or if
            a network has numbers that are not finite, or not floating-point.
    """
    arrays = {_unwrapped(name): array for name, array in saved.arrays.items()}
    groups = _groups(arrays)
    generators = [kind.generator for kind in KINDS]
    claims = [g for g in groups if g.match.layout in generators]
    if not any(g.match.share >= _CLAIM for g in claims):
        closest = max((g.match.matched for g in claims), default=0)
        if reason := refusal(arrays, saved.foreign, closest):
            raise UserError(reason)
    if not claims:
        return Checkpoint({"g_ema": arrays}, flat=True, origins={"g_ema": ""})
    chosen = _roles(claims)
    _warn_of_others(claims, chosen)
    chosen |= _discriminator(arrays, groups, chosen)
    parts = {part: _network(group.tensors) for part, group in chosen.items()}
    for part in (part for part, group in chosen.items() if group.exact):
        parts[part] = _floats(part, parts[part])
    flat = len(parts) == 1 and next(iter(chosen.values())).key == ""
    beside = {k: x for k, x in arrays.items() if "." not in k and not flat}
    for group in chosen.values():
        beside |= {k: x for k, x in group.tensors.items() if k in _MEANS}
    return Checkpoint(
        parts,
        {key: _float32(array) for key, array in beside.items()},
        _numbers(saved, chosen),
        tuple(part for part, g in chosen.items() if g.prefix.endswith(MODULE)),
        flat,
        {part: group.key for part, group in chosen.items()},
    )


def _numbers(saved: Saved, chosen: dict[str, _Group]) -> dict[str, float]:
    """Returns the scalars that are saved beside the generator."""
    key = next(iter(chosen.values())).key
    parent = key[: key.rfind(".") + 1]
    scalars = {k: float(x) for k, x in saved.arrays.items() if x.shape == ()}
    return {
        name.removeprefix(parent): x
        for name, x in (scalars | saved.numbers).items()
        if name.startswith(parent) and "." not in name.removeprefix(parent)
    }


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _layouts() -> list[Layout]:
    layouts = [x for kind in KINDS for x in (kind.generator, kind.discriminator)]
    return list(dict.fromkeys(layouts))


def _groups(arrays: Tensors) -> list[_Group]:
    """Returns every group of tensors with names of a layout, in the order of the file.

    All networks of a layout have the names of its smallest network: what comes before
    one of these names may be a prefix.
    """
    found = []
    for layout in _layouts():
        names = tuple(row.key for row in layout.rows(layout.size_of({})))
        prefixes = {"": None}
        for name in arrays:
            if name.endswith(names):
                prefixes |= {
                    name.removesuffix(n): None for n in names if name.endswith(n)
                }
        for prefix in prefixes:
            tensors = _below(arrays, prefix)
            result = match(layout, shapes_of(_network(tensors)))
            if result.matched:
                found.append(_Group(prefix, tensors, result))
    return found


def _network(tensors: Tensors) -> Tensors:
    return {key: x for key, x in tensors.items() if key not in _MEANS}


def _below(arrays: Tensors, prefix: str) -> Tensors:
    """Returns the tensors whose name begins with `prefix`, which is cut off."""
    return {
        k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)
    }


def _roles(claims: list[_Group]) -> dict[str, _Group]:
    """Assigns `g_ema`, `g` or both; without a complete network, the closest group."""
    networks = [group for group in claims if group.match.share >= _CLAIM]
    if not networks:
        return {"g_ema": max(claims, key=lambda g: g.match.share)}

    def order(group: _Group) -> tuple:
        named = bool(group.words & _GENERATOR)
        return group.key not in PARTS, not named, group.prefix.count(".")

    networks.sort(key=order)  # stable, so equal ones stay in the order of the file
    averaged = [group for group in networks if group.averaged]
    others = [group for group in networks if not group.averaged]
    if not averaged:
        first = others[0]
        return {"g" if first.key == "g" else "g_ema": first}
    ema = averaged[0]
    like = (ema.match.layout, ema.match.size)
    for group in others:
        alike = group.exact and (group.match.layout, group.match.size) == like
        if alike or group.key == "g":  # another `g` is refused later
            return {"g_ema": ema, "g": group}
    return {"g_ema": ema}


def _warn_of_others(claims: list[_Group], chosen: dict[str, _Group]) -> None:
    """Warns of complete generators that are left out of a file with several models."""
    taken = {group.key for group in chosen.values()}
    others = [group.key for group in claims if group.exact and group.key not in taken]
    if others:
        logging.getLogger("rtil_jax").warning(
            "found several generators, left out %s (took %s); to convert another one, "
            "save it in a separate file",
            ", ".join(dict.fromkeys(others)),
            ", ".join(taken),
        )


def _discriminator(
    arrays: Tensors, groups: list[_Group], generators: dict[str, _Group]
) -> dict[str, _Group]:
    """Returns {"d": the discriminator}; {} if the file has none."""
    expected = [
        kind.discriminator
        for kind in KINDS
        for group in generators.values()
        if kind.generator is group.match.layout
    ]
    layouts = [kind.discriminator for kind in KINDS]
    found = [
        group
        for group in groups
        if group.match.layout in layouts and group.match.share >= _CLAIM
    ]

    def order(group: _Group) -> tuple:
        return (
            group.match.layout not in expected,
            not group.words & _DISCRIMINATOR,
            group.averaged,
            group.prefix.count("."),
        )

    if found:
        return {"d": min(found, key=order)}
    tensors = _below(arrays, "d.")  # ... of an unknown layout
    result = match(KINDS[0].discriminator, shapes_of(tensors))
    return {"d": _Group("d.", tensors, result)} if tensors else {}


def _floats(part: str, tensors: Tensors) -> Tensors:
    found = {}
    for key, values in tensors.items():
        if values.dtype.name not in _NUMBERS:
            raise UserError(
                f"found {values.dtype.name} numbers in {key} of {part}, expected "
                f"{', '.join(_NUMBERS)}"
            )
        found[key] = _float32(values)
        if not np.isfinite(found[key]).all():
            raise UserError(
                f"found NaN or infinity in {key} of {part}, expected finite numbers; "
                "its training must have diverged"
            )
    return found


def _float32(array: np.ndarray) -> np.ndarray:
    floating = array.dtype.name in _NUMBERS
    return array.astype(np.float32, copy=False) if floating else array
