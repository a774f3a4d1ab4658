"""What a public layout is: the names and shapes of a network's tensors, and ours.

One table serves both directions, and says how a file differs from it.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from rtil_jax.convert.transforms import Transform
from rtil_jax.errors import UserError

Shapes = dict[str, tuple[int, ...]]
Tensors = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Size:
    """All that shapes depend on.

    Attributes:
        channels: of the images.
        widths: channels of the features at 4, 8, ..., resolution pixels.
        latent_dim: of z; 0 for discriminators.
        mapping_layers: of StyleGAN2; 0 for others.
    """

    channels: int
    widths: tuple[int, ...]
    latent_dim: int = 0
    mapping_layers: int = 0

    @property
    def resolution(self) -> int:
        return 2 ** (len(self.widths) + 1)


@dataclasses.dataclass(frozen=True)
class Row:
    """One tensor: its name and shape in PyTorch, its path in our params."""

    key: str
    shape: tuple[int, ...]
    path: tuple[str, ...]
    transform: Transform


@dataclasses.dataclass(frozen=True)
class Layout:
    """A network's public layout.

    Attributes:
        name: for messages.
        size_of: the size that the shapes of a file suggest; never fails.
        rows: its parameters, in the order of the file.
        constants: tensors that every file has alike.
        buffers: shapes of tensors that a prior has no place for. They are kept beside
            it for the way back.
    """

    name: str
    size_of: Callable[[Shapes], Size]
    rows: Callable[[Size], list[Row]]
    constants: Callable[[Size], Tensors] = lambda size: {}
    buffers: Callable[[Size], Shapes] = lambda size: {}


def axis(shapes: Shapes, key: str, index: int, default: int = 1) -> int:
    """`shapes[key][index]`, or `default` where there is none."""
    shape = shapes.get(key, ())
    return shape[index] if index < len(shape) else default


def count(shapes: Shapes, pattern: str) -> int:
    """How many of `pattern.format(0)`, `pattern.format(1)`, ... there are in all.

    A gap is counted too, so that the tensor that is missing can be named.
    """
    prefix, suffix = pattern.split("{}")
    found = (
        key.removeprefix(prefix).removesuffix(suffix)
        for key in shapes
        if key.startswith(prefix) and key.endswith(suffix)
    )
    numbers = (int(x) + 1 for x in found if x.isdecimal() and len(x) < 3)
    return max(numbers, default=0)


def shapes_of(tensors: Tensors) -> Shapes:
    """Shapes by name."""
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}


@dataclasses.dataclass(frozen=True)
class Match:
    """How the tensors of a file compare with a layout at its nearest size.

    Attributes:
        layout, size: what they are compared with.
        differences: one phrase each.
        matched, expected: how many of the layout's parameters are there, with the right
            shape, and how many it has.
        share: `matched` of all names, the layout's and the file's.
    """

    layout: Layout
    size: Size
    differences: tuple[str, ...]
    matched: int
    expected: int
    share: float


def match(layout: Layout, shapes: Shapes) -> Match:
    """Compares `shapes` with `layout`."""
    size = layout.size_of(shapes)
    expected = {row.key: row.shape for row in layout.rows(size)}
    optional = shapes_of(layout.constants(size)) | layout.buffers(size)
    phrases = []
    for key, shape in (expected | optional).items():
        if key in shapes and shapes[key] != shape:
            phrases.append(f"{key} has shape {shapes[key]}, expected {shape}")
        elif key in expected and key not in shapes:
            phrases.append(f"{key} is missing")
    foreign = [key for key in shapes if key not in expected and key not in optional]
    phrases += [f"{key} is not expected" for key in foreign]
    matched = sum(shapes.get(key) == shape for key, shape in expected.items())
    share = matched / max(len(expected) + len(foreign), 1)
    return Match(layout, size, tuple(phrases), matched, len(expected), share)


def identify(
    layouts: Iterable[Layout], shapes: Shapes, where: str = ""
) -> tuple[Layout, Size]:
    """The layout without a difference.

    Args:
        layouts: the known ones.
        shapes: by name.
        where: they are in the file, for the message.

    Raises:
        UserError: if there is none; it names the closest and the first differences.
    """
    layouts = list(layouts)
    best = max((match(layout, shapes) for layout in layouts), key=lambda m: m.share)
    if not best.differences:
        return best.layout, best.size
    known = f"known are {', '.join(layout.name for layout in layouts)}"
    if not best.matched:
        some = ", ".join(list(shapes)[:3]) or "no tensors"
        raise UserError(f"found an unknown layout ({some}), close to none; {known}")
    rest = len(best.differences) - 3
    raise UserError(
        f"found an unknown layout; the closest known one is {best.layout.name}, but "
        f"{', '.join(best.differences[:3])}"
        + (f" (and {rest} more differences)" if rest > 0 else "")
        + f"; {best.matched} of its {best.expected} names match"
        + (f" in {where}" if where else "")
        + f"; {known}"
    )


def to_params(layout: Layout, size: Size, tensors: Tensors) -> dict:
    """Our variables, `{"params": ...}`.

    Raises:
        UserError: if a constant is not the one that the layout has.
    """
    for key, expected in layout.constants(size).items():
        found = tensors.get(key, expected)
        if not np.allclose(found, expected, atol=1e-6):
            raise UserError(
                f"{key}: found {_brief(found)}, expected {_brief(expected)}, as "
                f"{layout.name} has it"
            )
    params: dict = {}
    for row in layout.rows(size):
        _put(params, row.path, _array(row.transform.ours(tensors[row.key])))
    return {"params": params}


def to_tensors(layout: Layout, size: Size, variables: dict) -> Tensors:
    """The inverse of `to_params`, constants included."""
    tensors = {}
    for row in layout.rows(size):
        leaf = variables["params"]
        for name in row.path:
            leaf = leaf[name]
        tensors[row.key] = _array(row.transform.theirs(np.asarray(leaf)))
    return tensors | layout.constants(size)


def _array(x: np.ndarray) -> np.ndarray:
    """A float32 copy, contiguous in the order of its indices; scalars stay scalars."""
    return np.array(x, np.float32, order="C")


def _put(tree: dict[str, Any], path: tuple[str, ...], leaf: np.ndarray) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = leaf


def _brief(x: np.ndarray) -> str:
    values = ", ".join(f"{value:g}" for value in np.ravel(x)[:4])
    return values if np.ndim(x) == 0 else f"[{values}{', ...' * (np.size(x) > 4)}]"
