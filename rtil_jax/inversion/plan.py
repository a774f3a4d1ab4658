"""What `invert.py --dry_run` prints: the resolved plan, without running it."""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from rtil_jax import data
from rtil_jax.devices import data_mesh, replicated
from rtil_jax.inversion.defaults import build_method
from rtil_jax.inversion.inverting import Method
from rtil_jax.inversion.noise import describe_noise
from rtil_jax.inversion.perceptual_loss import PerceptualLoss
from rtil_jax.inversion.prior import Prior
from rtil_jax.inversion.problems import Problem, settle
from rtil_jax.inversion.settings import expand, perceptual_loss, perceptual_weight
from rtil_jax.inversion.solver import begin, descend, steps_at_once
from rtil_jax.operators import sample_operators
from rtil_jax.perceptual import Perceptual
from rtil_jax.training.plan import count_parameters, program_memory


def step_memory(
    prior: Prior,
    method: Method,
    problem: str,
    ratio: float,
    batch: int,
    perceptual: PerceptualLoss | None = None,
) -> int:
    """Bytes that the costliest stage's step needs per device, from XLA's analysis."""
    mesh = data_mesh()
    prior, perceptual = jax.device_put((prior, perceptual), replicated(mesh))

    def setup(keys):
        operators = sample_operators(problem, keys, prior.image_shape, ratio)
        truth = jnp.zeros((keys.shape[0], *prior.image_shape), jnp.float32)
        measurements = jax.vmap(lambda operator, x: operator(x))(operators, truth)
        start = jax.vmap(method.start, in_axes=(None, 0))
        data = settle(Problem(operators, measurements, truth), prior.image_shape)
        data = data if perceptual is None else perceptual.prepare(data)
        return data, start(prior, keys)

    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), batch))
    data, variables = jax.eval_shape(setup, keys)
    rates = jnp.zeros(steps_at_once(prior.generator, mesh), jnp.float32)
    costs = []
    for stage in method.stages(prior.generator):
        start, fixed, iterate = jax.eval_shape(
            lambda prior, variables, stage=stage: begin(stage, prior, variables),
            prior,
            variables,
        )
        arguments = (prior, perceptual, data, fixed, start, iterate, rates, 0)
        costs.append(program_memory(descend, stage, "measurement", mesh, *arguments))
        variables = jax.eval_shape(stage.end, prior, start, fixed)
    return max(costs)


def print_plan(
    config: ConfigDict,
    priors: dict[str, Prior],
    distances: dict[str, Perceptual],
    snr: dict | None = None,
) -> None:
    """Devices, batch, priors, stages, noise and memory; `snr` as of `noise_record`."""
    mesh = data_mesh()
    images = min(config.batch_size, config.images.count or config.batch_size)
    fields, size = config.images, next(iter(priors.values())).generator.resolution
    taken = data.plan_images(fields.source, fields.split, size, fields.count or None)
    print(f"""inversion plan
  devices      {mesh.size} x {mesh.devices.flat[0].device_kind}
  images       {taken}, cut to squares of {size} x {size}
  batch        {images} images""")
    for name, prior in priors.items():
        shape = " x ".join(map(str, prior.image_shape))
        print(f"""  prior        {name}: {config.priors[name]}, {shape}, \
{count_parameters(prior.variables):,} parameters""")
    for label, one in expand(config):
        starts = images * one.restarts
        starts += -starts % mesh.size
        print(f"""  setting      {label}: {one.problem}, ratios {tuple(one.ratios)}
    selection  {one.select}, {one.restarts} starts
    noise      {describe_noise(one, (snr or {}).get(label))}""")
        for name, prior in priors.items():
            print(_plan_of(one, name, prior, distances, starts))


def _plan_of(
    config: ConfigDict, name: str, prior: Prior, distances: dict, starts: int
) -> str:
    """Lines about one prior in one setting."""
    method, ratio = build_method(config, name), max(config.ratios)
    loss = perceptual_loss(config, name, ratio, distances)
    memory = step_memory(prior, method, config.problem, float(ratio), starts, loss)
    steps = " + ".join(str(stage.steps) for stage in method.stages(prior.generator))
    weights = {r: perceptual_weight(config, name, r) for r in config.ratios}
    terms = [f"{w:g} at {r:g}" for r, w in weights.items() if w]
    perceptual = f"{config.perceptual.distance} {', '.join(terms)}" if terms else "none"
    return f"""    method     {name}: {method}
    steps      {steps} per batch and ratio
    perceptual {perceptual}
    memory     {memory / 2**20:,.0f} MiB per device"""
