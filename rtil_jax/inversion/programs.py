"""The programs of an inversion's stages, to compile before they run: one each, or one.

Stages have most of their operations in common: stage k computes the last part of what
stage 0 does. XLA's compiler for CPUs makes machine code for equal operations of one
program once, so that four stages of ILO compile twice as fast together as one by one.
On other devices every stage has its own program.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from rtil_jax.compiling import compiled
from rtil_jax.devices import batch_sharded, replicated
from rtil_jax.inversion.at_once import steps_at_once
from rtil_jax.inversion.perceptual_loss import Loss
from rtil_jax.inversion.problems import Problem
from rtil_jax.inversion.solver import Iterate, begin, descend, descend_on
from rtil_jax.inversion.stages import Stage, Variables
from rtil_jax.priors.prior import Prior


def stage_programs(
    stages: Sequence[Stage],
    prior: Prior,
    perceptual: Loss | None,
    problem: Problem,
    variables: Variables,
    keys: jax.Array | jax.ShapeDtypeStruct,
    select: str,
    mesh: jax.sharding.Mesh,
    at_once: int | None = None,
) -> list[tuple]:
    """Returns (`descend`, *arguments) of each stage, as `run_stage` calls it.

    Args:
        stages: the stages of a method.
        prior, perceptual: the prior and the loss, on the devices of `mesh`.
        problem, variables, keys: what the first stage receives, as arrays or shapes.
        select: the selection rule, one of `solver.SELECTIONS`.
        mesh: the devices.
        at_once: steps per call; None for what `run_stage` uses.
    """
    at_once = at_once or steps_at_once(prior, mesh)
    rates, programs = np.zeros(at_once, np.float32), []
    stops = None
    if select == "held_out":
        batch = jax.tree.leaves(problem.measurements)[0].shape[:1]
        stops = jax.ShapeDtypeStruct(batch, np.int32)
    for stage in stages:
        # The variables after a stage have the same shapes as before it.
        variables, iterate = _placed(
            begin.eval_shape(stage, prior, variables, keys, stops), mesh
        )
        data = problem, variables, iterate
        placed = jax.device_put(stage, replicated(mesh))
        arguments = (placed, select, mesh, prior, perceptual, *data, rates, 1)
        programs.append((descend, *arguments))
    return programs


def _placed(shapes: Any, mesh: jax.sharding.Mesh) -> Any:
    """Gives shapes the sharding that `run_stage` gives to their arrays."""
    sharding = batch_sharded(mesh)
    return jax.tree.map(lambda x: x.update(sharding=sharding), shapes)


def _descend_one(
    stages: Sequence[Stage],
    index: int | Array,
    select: str,
    mesh: jax.sharding.Mesh,
    prior: Prior,
    perceptual: Loss | None,
    problem: Problem,
    starts: Sequence[Variables],
    iterates: Sequence[Iterate],
    rates: Float[Array | np.ndarray, " at_once"],
    count: int | Array,
) -> tuple[list[Iterate], Float[Array, "at_once batch"]]:
    """Takes steps in stage number `index`; the iterates of the other stages stay.

    Args:
        stages: all stages of the method.
        index: number of the stage, from 0.
        select: the rule that chooses the iterate to keep.
        mesh: the devices, with one axis `data`.
        prior: generator and variables.
        perceptual: a perceptual loss to add, or None.
        problem: operators and measurements of the batch.
        starts: the variables at the start of each stage.
        iterates: the iterates of each stage; their buffers are donated.
        rates: learning rate of each step, at least `count` of them.
        count: number of steps to take.
    """

    def branch(number: int) -> Callable:
        def run(iterates: list[Iterate]) -> tuple[list[Iterate], Array]:
            data = problem, starts[number], iterates[number]
            given = stages[number], select, mesh, prior, perceptual, *data
            moved, losses = descend_on(*given, rates, count)
            return [*iterates[:number], moved, *iterates[number + 1 :]], losses

        return run

    branches = [branch(number) for number in range(len(stages))]
    return jax.lax.switch(index, branches, list(iterates))


descend_one = compiled(
    _descend_one, static_argnames=("select", "mesh"), donate_argnames="iterates"
)


def can_merge(programs: Sequence[tuple], mesh: jax.sharding.Mesh) -> bool:
    """Whether programs of stages are compiled as one."""
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    # A call of one step convolves outside of any loop, and must stay there; noise has
    # keys, which cannot wait as zeros.
    return (
        on_cpu
        and len(programs) > 1
        and all(
            len(rates) > 1 and stage.temperature is None
            for _, stage, *_, rates, _ in programs
        )
    )


class StagePrograms:
    """What runs each stage of a method on one problem, and what is to be compiled.

    Args:
        programs: of `stage_programs`.
        mesh: of the devices.
    """

    def __init__(self, programs: Sequence[tuple], mesh: jax.sharding.Mesh) -> None:
        self._programs = list(programs)
        self._is_merged = can_merge(self._programs, mesh)
        self._stages = tuple(stage for _, stage, *_ in programs)
        self._starts = [program[7] for program in programs]
        self._iterates = [program[8] for program in programs]

    def by_name(self) -> dict[str, tuple]:
        """name -> (jitted function, *arguments) of what is to be compiled."""
        count = len(self._programs)
        names = [f"stage {number} of {count}" for number in range(1, count + 1)]
        if not self._is_merged:
            return dict(zip(names, self._programs, strict=True))
        _, _, *given, problem, _, _, rates, steps = self._programs[0]
        data = problem, self._starts, self._iterates
        merged = descend_one, self._stages, 0, *given, *data, rates, steps
        return {", ".join(names): merged}

    def descend(self, index: int) -> Callable:
        """What stands in for `solver.descend` in stage number `index`."""
        if not self._is_merged:
            return descend
        # Of the stages that do not run; they are donated and come back.
        starts, waiting = (
            jax.tree.map(_zeros, shapes) for shapes in (self._starts, self._iterates)
        )

        def run(
            _: Stage, *arguments: Any
        ) -> tuple[Iterate, Float[Array, "at_once batch"]]:
            *given, start, iterate, rates, count = arguments
            starts[index], own = start, waiting[index]
            iterates = [*waiting[:index], iterate, *waiting[index + 1 :]]
            waiting[:], losses = descend_one(
                self._stages, index, *given, starts, iterates, rates, count
            )
            iterate, waiting[index] = waiting[index], own
            return iterate, losses

        return run


def _zeros(shape: jax.ShapeDtypeStruct) -> Array:
    return jax.device_put(np.zeros(shape.shape, shape.dtype), shape.sharding)
