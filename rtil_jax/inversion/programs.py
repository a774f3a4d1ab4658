"""Lists the programs of an inversion's stages, to compile them before they run."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from rtil_jax.devices import batch_sharded
from rtil_jax.inversion.at_once import steps_at_once
from rtil_jax.inversion.perceptual_loss import Loss
from rtil_jax.inversion.problems import Problem
from rtil_jax.inversion.solver import begin, descend
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
        arguments = (stage, select, mesh, prior, perceptual, *data, rates, 1)
        programs.append((descend, *arguments))
    return programs


def _placed(shapes: Any, mesh: jax.sharding.Mesh) -> Any:
    """Gives shapes the sharding that `run_stage` gives to their arrays."""
    sharding = batch_sharded(mesh)
    return jax.tree.map(lambda x: x.update(sharding=sharding), shapes)
