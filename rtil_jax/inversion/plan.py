"""What `invert.py --dry_run` prints: the resolved plan, without running it."""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from rtil_jax.devices import data_mesh, replicated
from rtil_jax.inversion.inverting import Method
from rtil_jax.inversion.prior import Prior
from rtil_jax.inversion.problems import Problem
from rtil_jax.inversion.solver import begin, step
from rtil_jax.operators import sample_operators
from rtil_jax.training.plan import count_parameters, program_memory


def step_memory(
    prior: Prior, method: Method, problem: str, ratio: float, batch: int
) -> int:
    """Bytes that the costliest stage's step needs per device, from XLA's analysis."""
    mesh = data_mesh()
    prior = jax.device_put(prior, replicated(mesh))

    def setup(keys):
        operators = sample_operators(problem, keys, prior.image_shape, ratio)
        truth = jnp.zeros((keys.shape[0], *prior.image_shape))
        measurements = jax.vmap(lambda operator, x: operator(x))(operators, truth)
        start = jax.vmap(method.start, in_axes=(None, 0))
        return Problem(operators, measurements, truth), start(prior, keys)

    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), batch))
    data, variables = jax.eval_shape(setup, keys)
    costs = []
    for stage in method.stages(prior.generator):
        start, fixed, iterate = jax.eval_shape(
            lambda prior, variables, stage=stage: begin(stage, prior, variables),
            prior,
            variables,
        )
        arguments = (prior, data, fixed, start, iterate, 0.0)
        costs.append(program_memory(step, stage, "measurement", mesh, *arguments))
        variables = jax.eval_shape(stage.end, prior, start, fixed)
    return max(costs)


def print_plan(
    config: ConfigDict, priors: dict[str, Prior], methods: dict[str, Method]
) -> None:
    """Devices, batch, priors, stages and memory."""
    mesh = data_mesh()
    per_image = config.restarts
    images = min(config.batch_size, config.images.count or config.batch_size)
    starts = images * per_image
    starts += -starts % mesh.size
    count = config.images.count or "all"
    print(f"""inversion plan
  devices      {mesh.size} x {mesh.devices.flat[0].device_kind}
  images       {config.images.source} [{config.images.split}], {count}
  problem      {config.problem}, ratios {tuple(config.ratios)}, noise \
{config.noise_std:g}
  batch        {images} images x {per_image} starts on {mesh.size} devices
  selection    {config.select}""")
    for name, prior in priors.items():
        method = methods[name]
        stages = method.stages(prior.generator)
        steps = " + ".join(str(stage.steps) for stage in stages)
        memory = step_memory(prior, method, config.problem, config.ratios[0], starts)
        shape = " x ".join(map(str, prior.image_shape))
        print(f"""  prior        {name}: {config.priors[name]}, {shape}, \
{count_parameters(prior.variables):,} parameters
    method     {method}
    steps      {steps} per batch and ratio
    memory     {memory / 2**20:,.0f} MiB per device""")
