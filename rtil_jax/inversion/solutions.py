"""Solutions: the generator inputs that an inversion found. Saves and renders them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float

from rtil_jax.errors import UserError
from rtil_jax.files import replacing
from rtil_jax.generators import Generator, sample_latents, zero_intermediates
from rtil_jax.precision import single


@struct.dataclass
class Solution:
    """The inputs of the generator that an inversion found for a batch of images.

    The image is `tail(features, latents, block)`, or G(latents) for block 0.

    Attributes:
        latents: what the generator reads, with a leading batch axis.
        features: those after `block`, including z_block; None for block 0.
        block: where the generator is cut; 0 is the whole generator.
        intermediates: {j: z_j} as ILO found them. If the RGB skip was kept,
            G~(latents, intermediates) is the image too. Empty for other methods.
    """

    latents: Any
    features: Any = None
    block: int = struct.field(pytree_node=False, default=0)
    intermediates: Any = struct.field(default_factory=dict)

    def __repr__(self) -> str:
        """Shows names and shapes, not the arrays."""
        shapes = [f"{n} {getattr(x, 'shape', x)}" for n, x in _named(self).items()]
        return f"Solution(block {self.block}: {', '.join(shapes)})"


def render(
    generator: Generator, variables: dict, solution: Solution
) -> Float[Array, "batch height width channels"]:
    """Renders a solution to images, `(batch, height, width, channels)`.

    The images are nominally in [-1, 1].

    Args:
        generator: the generator that the solution was found with.
        variables: its variables, `{"params": ...}`.
        solution: from a `Reconstruction` or `load_solution`.
    """
    if solution.block == 0:
        return single(generator.apply(variables, solution.latents))
    inputs = (solution.features, solution.latents, solution.block)
    return single(generator.apply(variables, *inputs, method="tail"))


def save_solution(
    path: str, solution: Solution | None, **facts: str | int | float | np.ndarray
) -> None:
    """Writes a solution to an .npz file.

    Args:
        path: the file, which is replaced in one step.
        solution: of one image or a batch; None for a baseline, which only has facts.
        facts: numbers, texts and arrays to save with it, by name.
    """
    named = {} if solution is None else _named(solution)
    arrays = {name: np.asarray(x) for name, x in named.items()}
    arrays |= {f"fact:{name}": np.asarray(value) for name, value in facts.items()}
    with replacing(path, "wb") as file:
        # mypy believes that an array could be meant for the argument `allow_pickle`.
        block = {} if solution is None else {"block": solution.block}
        np.savez(file, **block, **arrays)  # type: ignore[arg-type]


def load_solution(path: str, generator: Generator, variables: dict) -> Solution:
    """Reads a solution that `save_solution` wrote for the same generator.

    Files of the first version have no intermediates; they still load.

    Args:
        path: the `.npz` file.
        generator: the generator that the solution was found with.
        variables: its variables, `{"params": ...}`.

    Raises:
        UserError: if the file holds no solution, or one that does not fit the
            generator.
    """
    with np.load(path, allow_pickle=False) as file:
        saved = {name: file[name] for name in file.files}
    if "block" not in saved:
        raise UserError(
            f"{path}: found the image of a baseline, expected the solution of a prior"
        )
    block = int(saved["block"])
    prefix = "intermediates/"
    found = sorted(
        int(name.removeprefix(prefix)) for name in saved if name.startswith(prefix)
    )
    expected = jax.eval_shape(
        lambda v: _template(generator, v, block, tuple(found)), variables
    )
    names = _named(expected)
    leaves = [_fitting(path, name, saved, names[name]) for name in names]
    return jax.tree.unflatten(jax.tree.structure(expected), leaves)


def _fitting(path: str, name: str, saved: dict, expected: Any) -> Array | None:
    found = saved.get(name)
    if found is None and name == "features/rgb":
        return None  # a solution found without the RGB skip
    shape = None if found is None else found.shape[1:]
    if shape != expected.shape[1:]:
        raise UserError(
            f"{path}: found {name} of shape {shape}, expected {expected.shape[1:]}; "
            "is it a solution of another prior?"
        )
    return single(jnp.asarray(found))


def _template(
    generator: Generator, variables: dict, block: int, perturbed: tuple[int, ...]
) -> Solution:
    latents = sample_latents(generator, variables, jax.random.key(0), 1)
    if block == 0:
        return Solution(latents)
    features = generator.apply(variables, latents, block, method="head")
    intermediates = zero_intermediates(generator, perturbed, 1)
    return Solution(latents, features, block, intermediates)


def _named(solution: Solution) -> dict[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(solution)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in leaves
    }
