"""Public layouts of networks: the names and shapes of tensors in PyTorch and here.

One table serves both directions of the conversion, and shows how a file differs.
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
    """The numbers that decide the shapes of a network's tensors.

    Attributes:
        channels: channels of the images.
        widths: channels of the features at 4, 8, ..., resolution pixels.
        latent_dim: size of z; 0 for discriminators.
        mapping_layers: depth of StyleGAN2's mapping network; 0 for other networks.
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
    """One tensor: its name and shape in PyTorch, and its path in our params."""

    key: str
    shape: tuple[int, ...]
    path: tuple[str, ...]
    transform: Transform


@dataclasses.dataclass(frozen=True)
class Layout:
    """The public layout of a network.

    Attributes:
        name: the name of the layout in messages.
        size_of: returns the size that the shapes of a file suggest; never fails.
        rows: returns the parameters of a size, in the order of the file.
        constants: returns tensors that are the same in every file.
        buffers: returns the shapes of tensors that a prior does not use; they are
            stored beside it for the way back.
    """

    name: str
    size_of: Callable[[Shapes], Size]
    rows: Callable[[Size], list[Row]]
    constants: Callable[[Size], Tensors] = lambda size: {}
    buffers: Callable[[Size], Shapes] = lambda size: {}


def axis(shapes: Shapes, key: str, index: int, default: int = 1) -> int:
    """Returns one number of a tensor's shape.

    Args:
        shapes: {name: shape}.
        key: the name of the tensor.
        index: which axis.
        default: the result if the tensor or the axis is missing.
    """
    shape = shapes.get(key, ())
    return shape[index] if index < len(shape) else default


def count(shapes: Shapes, pattern: str) -> int:
    """Counts the names `pattern.format(0)`, `pattern.format(1)`, ... up to the last.

    A gap counts too, so that an error can name the missing tensor.
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
    """Returns {name: shape}."""
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}


@dataclasses.dataclass(frozen=True)
class Match:
    """The comparison of a file's tensors with a layout at its nearest size.

    Attributes:
        layout, size: what the file is compared with.
        differences: one phrase for each difference.
        matched, expected: how many parameters of the layout the file has with the right
            shape, and how many the layout has.
        share: `matched` as a share of all names, of the layout and of the file.
    """

    layout: Layout
    size: Size
    differences: tuple[str, ...]
    matched: int
    expected: int
    share: float


def match(layout: Layout, shapes: Shapes) -> Match:
    """Compares the shapes of a file with a layout."""
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
    """Returns the layout that the shapes of a file match, and its size.

    Args:
        layouts: the known layouts.
        shapes: {name: shape} of the file.
        where: the place in the file, for the message.

    Raises:
        UserError: if no layout matches; it names the closest one and the first
            differences.
    """
    layouts = list(layouts)
    best = max((match(layout, shapes) for layout in layouts), key=lambda m: m.share)
    if not best.differences:
        return best.layout, best.size
    known = f"known are {', '.join(layout.name for layout in layouts)}"
    if not best.matched:
        some = ", ".join(list(shapes)[:3]) or "no tensors"
        raise UserError(
            f"found an unknown layout ({some}), which resembles no known one; {known}"
        )
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
    """Converts PyTorch's tensors to our variables, `{"params": ...}`.

    Args:
        layout: the layout of the network.
        size: its size.
        tensors: {name: tensor} of the file.

    Raises:
        UserError: if a constant differs from the layout's.
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
    """Converts our variables to PyTorch's tensors, with constants.

    Args:
        layout: the layout of the network.
        size: its size.
        variables: `{"params": ...}`.
    """
    tensors = {}
    for row in layout.rows(size):
        leaf = variables["params"]
        for name in row.path:
            leaf = leaf[name]
        tensors[row.key] = _array(row.transform.theirs(np.asarray(leaf)))
    return tensors | layout.constants(size)


def _array(x: np.ndarray) -> np.ndarray:
    """Returns a contiguous float32 copy; scalars stay scalars."""
    return np.array(x, np.float32, order="C")


def _put(tree: dict[str, Any], path: tuple[str, ...], leaf: np.ndarray) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = leaf


def _brief(x: np.ndarray) -> str:
    values = ", ".join(f"{value:g}" for value in np.ravel(x)[:4])
    return values if np.ndim(x) == 0 else f"[{values}{', ...' * (np.size(x) > 4)}]"
