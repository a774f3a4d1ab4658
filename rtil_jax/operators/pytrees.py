"""`operator_class`, a decorator that makes an operator a frozen dataclass and a pytree.

The constructors of operators check their arguments. JAX also builds pytrees from
tracers, shapes and specs, which must not be checked, so it bypasses the constructor.
"""

import dataclasses
from typing import Any, TypeVar, dataclass_transform

import jax
from flax import struct

T = TypeVar("T")


@dataclass_transform(field_specifiers=(struct.field,), frozen_default=True)
def operator_class(cls: type[T]) -> type[T]:
    """Makes a class a frozen dataclass and a pytree that JAX builds without `__init__`.

    It is like `flax.struct.dataclass`, but keeps an `__init__` of the class or of a
    base class.
    """
    custom = cls.__init__ is not object.__init__
    cls = dataclasses.dataclass(frozen=True, repr=False, init=not custom)(cls)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    nodes = [f.name for f in fields if f.metadata.get("pytree_node", True)]
    static = [f.name for f in fields if not f.metadata.get("pytree_node", True)]

    def flatten(tree: T) -> tuple[tuple, tuple]:
        children = tuple(getattr(tree, name) for name in nodes)
        return children, tuple(getattr(tree, name) for name in static)

    def flatten_with_keys(tree: T) -> tuple[tuple, tuple]:
        children, rest = flatten(tree)
        keys = map(jax.tree_util.GetAttrKey, nodes)
        return tuple(zip(keys, children, strict=True)), rest

    def unflatten(rest: tuple, children: Any) -> T:
        names, values = (*nodes, *static), (*children, *rest)
        return stored(cls, **dict(zip(names, values, strict=True)))

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls


def stored(cls: type[T], **fields: Any) -> T:
    """Makes an instance with these fields, without checking them."""
    made = object.__new__(cls)
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made
