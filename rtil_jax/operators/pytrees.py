"""`operator_class`: a frozen dataclass that JAX can take apart and put together.

The constructors of operators check what people hand in. JAX puts pytrees together from
tracers, shapes and specs as well, and so goes around the constructor.
"""

import dataclasses
from typing import Any, TypeVar, dataclass_transform

import jax
from flax import struct

T = TypeVar("T")


@dataclass_transform(field_specifiers=(struct.field,), frozen_default=True)
def operator_class(cls: type[T]) -> type[T]:
    """Like `flax.struct.dataclass`, but a pytree without a call of `__init__`.

    A class with an `__init__` of its own, or a base class with one, keeps it.
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
    """An instance with these fields, none of them checked."""
    made = object.__new__(cls)
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made
