"""What a stage of a method is: the interface between methods and the solver.

A stage has one tree of variables, every leaf with a leading batch axis: latents,
intermediates z_k, features. A mask over that tree says which of them it moves.
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
    """Every array with a root mean square of 1: its step has the length of the rate.

    Normalised gradient descent, as Poirier-Ginter and Lalonde (2023) restore with. An
    array moves by at most the sum of the rates, which keeps it near its start.
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
    """Without `__init__`: leaves may be tracers, shapes or whatever stands for them."""
    names, compiled = aux
    stage = object.__new__(cls)
    for name, value in (*zip(names, numbers, strict=True), *compiled):
        object.__setattr__(stage, name, value)
    return stage


Variables = Any
# A tree of bools. One that stands where the variables have a tree is for all of it.
Mask = Any


def number(default: Any = dataclasses.MISSING) -> Any:
    """A field of a stage that its compiled step takes as an argument, or None."""
    return dataclasses.field(default=default, metadata={"number": True})


@dataclasses.dataclass(frozen=True)
class Stage:
    """One optimisation; what a method's stage does not say is as it is here.

    A pytree, whose leaves are the fields declared by `number()`: stages that differ in
    those alone share a compiled step. All other fields are hashable and compiled in. A
    subclass is a frozen dataclass too, with `kw_only=True` if it has fields of its own.

    Attributes:
        steps: number of updates.
        learning_rate: at the top of the schedule (see `schedules.ramp`).
        optimizer: `adam`, `sgd`, or `ngd`, whose steps all have the same length.
        temperature: T of the noise sqrt(2 rate T) N(0, I) added by every update; None
            for no noise. With `sgd`, and so small a rate that its bias does not show,
            the iterates are then draws from the density that exp(-objective / T) is in
            proportion to (unadjusted Langevin). Adam's would be draws from no known
            density: its steps are not along the gradient.
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
        """This stage's variables, from those that the stage before has left."""
        return variables

    def free(self, prior: Prior, variables: Variables) -> Mask:
        """Which of the variables that `begin` returned are moved; the rest is kept."""
        return True

    def decode(self, prior: Prior, variables: Variables) -> Solution:
        """The solution that the variables stand for."""
        raise NotImplementedError

    def penalty(
        self, variables: Variables, images: Array, problem: Problem
    ) -> Float[Array, "*batch"]:
        """Added to each image's measurement loss; `images` are the variables'.

        Args:
            variables: of a batch.
            images: what they decode to, `(batch, height, width, channels)`.
            problem: of the same batch.
        """
        return jnp.zeros((), jnp.float32)

    def constrain(self, variables: Variables, start: Variables) -> Variables:
        """Applied after each update; `start` is what `begin` returned.

        What it does to variables that are kept has no effect.
        """
        return variables


def take_free(mask: Mask, variables: Variables) -> Variables:
    """The same tree with None in place of what the mask keeps."""
    return jax.tree.map(lambda free, x: x if free else None, mask, variables)


def put_free(mask: Mask, free: Variables, variables: Variables) -> Variables:
    """`variables` with the free ones as they are in `free`, from `take_free`."""
    return jax.tree.map(lambda m, new, x: new if m else x, mask, free, variables)
