"""The stage of a method: the interface between methods and the solver.

A stage has one tree of variables (latents, intermediates z_k, features), whose leaves
have a leading batch axis. A mask over that tree says which of them the stage moves.
"""

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from rtil_jax.inversion.problems import Problem
from rtil_jax.inversion.solutions import Solution
from rtil_jax.priors.prior import Prior

OptimizerName = Literal["adam", "sgd", "ngd"]


def _to_unit_rms(gradients: Any, _: Any) -> Any:
    """Scales every gradient to a root mean square of 1, so that all steps are as long.

    This is normalised gradient descent, which Poirier-Ginter and Lalonde (2023) use for
    restoration. An array moves by at most the sum of the rates, so it stays near its
    start.
    """
    return jax.tree.map(
        lambda g: g / jnp.maximum(jnp.sqrt(jnp.mean(g**2)), 1e-30), gradients
    )


OPTIMIZERS = {
    "adam": optax.scale_by_adam(),
    "sgd": optax.identity(),
    "ngd": optax.stateless(_to_unit_rms),
}


def _flatten(stage: "Stage") -> tuple[list, tuple]:
    fields = dataclasses.fields(stage)
    numbers = tuple(f.name for f in fields if f.metadata.get("number"))
    compiled = tuple(
        (f.name, getattr(stage, f.name)) for f in fields if f.name not in numbers
    )
    return [getattr(stage, name) for name in numbers], (numbers, compiled)


def _unflatten(cls: type["Stage"], aux: tuple, numbers: Iterable[Any]) -> "Stage":
    """Skips `__init__` and its checks, because leaves may be tracers or shapes."""
    names, compiled = aux
    stage = object.__new__(cls)
    for name, value in (*zip(names, numbers, strict=True), *compiled):
        object.__setattr__(stage, name, value)
    return stage


Variables = Any
# A tree of bools; a single bool may stand for a whole subtree of the variables.
Mask = Any


def number(default: Any = dataclasses.MISSING) -> Any:
    """Declares a number of a stage that the compiled step takes as an argument."""
    return dataclasses.field(default=default, metadata={"number": True})


@dataclasses.dataclass(frozen=True)
class Stage:
    """One optimisation of a method. Subclasses override what differs from it.

    It is a pytree whose leaves are the fields declared by `number()`: stages that
    differ only in these share a compiled step. All other fields are hashable and
    compiled in. A subclass is a frozen dataclass too; it needs `kw_only=True` if it
    adds fields.

    Attributes:
        steps: number of updates.
        learning_rate: the highest rate of the schedule (see `schedules.ramp`).
        optimizer: `adam`, `sgd`, or `ngd`, whose steps all have the same length.
        temperature: T of the noise sqrt(2 rate T) N(0, I) that every update adds; None
            for no noise. With `sgd` and a small rate, the iterates are then samples of
            the density proportional to exp(-objective / T) (unadjusted Langevin). With
            Adam they would follow no known density, because its steps do not follow
            the gradient.
    """

    steps: int = number()
    learning_rate: float = number()
    optimizer: OptimizerName = "adam"
    temperature: float | None = number(None)

    def __init_subclass__(cls) -> None:
        jax.tree_util.register_pytree_node(
            cls, _flatten, functools.partial(_unflatten, cls)
        )

    def begin(self, prior: Prior, variables: Variables) -> Variables:
        """Returns this stage's variables, made from those of the stage before."""
        return variables

    def free(self, prior: Prior, variables: Variables) -> Mask:
        """Returns the mask of the variables that move; the others keep their values."""
        return True

    def decode(self, prior: Prior, variables: Variables) -> Solution:
        """Returns the solution that the variables describe."""
        raise NotImplementedError

    def penalty(
        self, variables: Variables, images: Array, problem: Problem
    ) -> Float[Array, "*batch"]:
        """Returns what is added to the measurement loss of each image; 0 by default.

        Args:
            variables: those of a batch.
            images: what they decode to, `(batch, height, width, channels)`.
            problem: the problem of the same batch.
        """
        return jnp.zeros((), jnp.float32)

    def constrain(self, variables: Variables, start: Variables) -> Variables:
        """Returns the variables after a constraint; the solver calls it at each update.

        `start` is what `begin` returned. Changes to variables that do not move have no
        effect.
        """
        return variables


def take_free(mask: Mask, variables: Variables) -> Variables:
    """Returns the variables with None in place of those that do not move."""
    return jax.tree.map(lambda free, x: x if free else None, mask, variables)


def put_free(mask: Mask, free: Variables, variables: Variables) -> Variables:
    """Returns all variables, with new values for those that move.

    Args:
        mask: which variables move.
        free: their new values, in the form that `take_free` returns.
        variables: the old values of all variables.
    """
    return jax.tree.map(lambda m, new, x: new if m else x, mask, free, variables)
