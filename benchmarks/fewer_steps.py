r"""Compares step budgets, learning rates, starts and optimisers of ILO.

    python -m benchmarks.fewer_steps --prior pretrained:faces32_rtil \
        --images validation.zip --rate 0.2 --ratio 0.1 --count 16

inverts the same measurements by every candidate below, and prints the PSNR after each
stage, that of the result (chosen by measurement loss), its paired difference to the
first candidate's, the paper's budget, with its 95 % interval, and what it cost:
image-steps per image, and seconds (compilation included, which later candidates share).

Tune on images that no table of results uses. Candidates of five stages are for
generators of 64 pixels and more.
"""

import argparse
import dataclasses
import functools
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.timing import table
from rtil_jax.data import load_images, to_float
from rtil_jax.devices import data_mesh
from rtil_jax.inversion import ILO, Prior, load_prior, make_problem
from rtil_jax.inversion.problems import Problem, measurement_loss
from rtil_jax.inversion.solutions import render
from rtil_jax.inversion.solver import begin, run_stage
from rtil_jax.inversion.stages import Stage, put_free, take_free
from rtil_jax.metrics import confidence_interval, psnr

PAPER = (2_000, 1_000, 1_000, 2_000)
FIFTH = (400, 200, 200, 400)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One way to run ILO.

    Attributes:
        steps: of each stage.
        rate: times the learning rate that the command line names.
        sphere: as in `ILO`, whose `geocross`, made for directions, goes with it.
        start: (prior, problem, keys, stage 0) -> the variables to start
            from, and the image-steps that finding them cost; None for one draw.
    """

    steps: tuple[int, ...]
    rate: float = 1.0
    sphere: bool = True
    start: Callable | None = None


def draws(prior: Prior, keys: jax.Array) -> dict:
    """What ILO starts from."""
    return jax.vmap(ILO().start, (None, 0))(prior, keys)


def mean_latent(prior, problem, keys, stage):
    """All styles at the mean of the mapping's outputs, where StyleFit reads zero."""
    variables = draws(prior, keys)
    styles = jnp.zeros_like(variables["latents"]["styles"])
    return variables | {"latents": variables["latents"] | {"styles": styles}}, 0


def best_draw(count):
    """The best of some draws by measurement loss; a loss is a third of a step."""

    def start(prior, problem, keys, stage):
        found = [draws(prior, fold(keys, index)) for index in range(count)]
        losses = [losses_of(prior, problem, stage, variables) for variables in found]
        return pick(found, losses), count / 3

    return start


def best_restart(count, steps):
    """The best of some starts after a few steps."""

    def start(prior, problem, keys, stage):
        found, losses = [], []
        short = dataclasses.replace(stage, steps=steps)
        for index in range(count):
            variables = draws(prior, fold(keys, index))
            variables, _, loss = run_quietly(short, prior, problem, variables)
            found.append(variables)
            losses.append(loss)
        return pick(found, losses), count * steps

    return start


def lbfgs(steps):
    """Stage 0 by L-BFGS (optax's, with its line search), each image on its own."""

    def start(prior, problem, keys, stage):
        variables, _ = begin(stage, prior, draws(prior, keys))
        variables, losses_read = lbfgs_images(stage, steps, prior, problem, variables)
        return variables, float(losses_read.mean())

    return start


@functools.partial(jax.jit, static_argnames=("stage", "steps"))
def lbfgs_images(stage, steps, prior, problem, variables):
    """(variables, number of losses with gradients that each image needed)."""
    optimizer = optax.lbfgs()

    mask = stage.free(prior, variables)

    def one_image(problem, start):
        one = functools.partial(jax.tree.map, lambda x: x[None])
        start = one(start)

        def constrained(free):
            """All variables of a batch of one."""
            moved = stage.constrain(put_free(mask, one(free), start), start)
            return put_free(mask, take_free(mask, moved), start)

        def loss(free):
            variables = constrained(free)
            images = images_of(stage, prior, variables)
            found = measurement_loss(one(problem), images)
            return jnp.sum(found + stage.penalty(variables, images, one(problem)))

        value_and_grad = optax.value_and_grad_from_state(loss)

        def step(carry, _):
            free, state, count = carry
            value, grad = value_and_grad(free, state=state)
            updates, state = optimizer.update(
                grad, state, free, value=value, grad=grad, value_fn=loss
            )
            count += optax.tree.get(state, "num_linesearch_steps")
            return (optax.apply_updates(free, updates), state, count), None

        free = jax.tree.map(lambda x: x[0], take_free(mask, start))
        carry = free, optimizer.init(free), 0
        (free, _, count), _ = jax.lax.scan(step, carry, length=steps)
        return jax.tree.map(lambda x: x[0], constrained(free)), count

    return jax.vmap(one_image)(problem, variables)


CANDIDATES = {
    "paper's budget": Candidate(PAPER),
    "half of it": Candidate((1_000, 500, 500, 1_000)),
    "a fifth": Candidate(FIFTH),
    "a tenth": Candidate((200, 100, 100, 200)),
    "a twentieth": Candidate((100, 50, 50, 100)),
    "a fortieth": Candidate((50, 25, 25, 50)),
    "a fifth, rate x 0.5": Candidate(FIFTH, rate=0.5),
    "a fifth, rate x 2": Candidate(FIFTH, rate=2.0),
    "a fifth, stage 0 longer": Candidate((800, 100, 100, 200)),
    "a fifth, stage 0 shorter": Candidate((150, 200, 250, 600)),
    "a tenth, stage 0 shorter": Candidate((75, 100, 125, 300)),
    "a twentieth, stage 0 shorter": Candidate((40, 50, 60, 150)),
    "a fortieth, stage 0 shorter": Candidate((20, 25, 30, 75)),
    "a fifth, early stages longer": Candidate((500, 400, 200, 100)),
    "a fifth, from the mean latent, no sphere": Candidate(
        FIFTH, sphere=False, start=mean_latent
    ),
    "a fifth, no sphere": Candidate(FIFTH, sphere=False),
    "a fifth, from the best of 64 draws": Candidate(
        (380, 200, 200, 400), start=best_draw(64)
    ),
    "a fifth, from the best of 4 after 50 steps": Candidate(
        (200, 200, 200, 400), start=best_restart(4, 50)
    ),
    "stage 0 by 50 steps of L-BFGS": Candidate((0, 200, 200, 400), start=lbfgs(50)),
    "paper's budget in five stages": Candidate((2_000, 1_000, 1_000, 1_000, 2_000)),
    "a tenth in five stages": Candidate((200, 100, 100, 100, 200)),
}


def images_of(stage, prior, variables):
    """What the variables of a stage stand for."""
    return render(prior.generator, prior.variables, stage.decode(prior, variables))


def fold(keys: jax.Array, index: int) -> jax.Array:
    return jax.vmap(jax.random.fold_in, (0, None))(keys, index)


def pick(found: list, losses: list) -> dict:
    """Of each image the variables of its lowest loss."""
    best = jnp.argmin(jnp.stack(losses), axis=0)
    rows = jnp.arange(len(best))
    return jax.tree.map(lambda *x: jnp.stack(x)[best, rows], *found)


@functools.partial(jax.jit, static_argnames="stage")
def losses_of(prior, problem, stage, variables):
    images = images_of(stage, prior, stage.begin(prior, variables))
    return measurement_loss(problem, images)


def run_quietly(stage: Stage, prior: Prior, problem: Problem, variables: dict) -> tuple:
    """`run_stage` on all devices, by measurement loss, telling nobody."""
    mesh, quiet = data_mesh(), lambda step, loss: None
    arguments = stage, prior, problem, variables, "measurement", mesh, quiet
    return run_stage(*arguments)[:3]


@functools.partial(jax.jit, static_argnames="stage")
def quality(stage, prior, problem, chosen):
    """PSNR of the images that a stage has chosen."""
    images = images_of(stage, prior, *chosen)
    return psnr(jnp.clip(images, -1, 1), problem.truth, 2.0)


def run(
    candidate: Candidate, prior: Prior, problem: Problem, keys: jax.Array, rate: float
) -> tuple[list[np.ndarray], float]:
    """(PSNR of each image after each stage, image-steps per image)."""
    rate = rate * candidate.rate
    sphere = {} if candidate.sphere else {"sphere": False, "geocross": 0.0}
    method = ILO(candidate.steps, rate, **sphere)
    stages, cost = method.stages(prior.generator), 0
    variables = draws(prior, fold(keys, 0))
    if candidate.start:
        variables, cost = candidate.start(prior, problem, keys, stages[0])
    curve = []
    for stage in stages:
        variables, chosen, _ = run_quietly(stage, prior, problem, variables)
        curve.append(np.asarray(quality(stage, prior, problem, chosen)))
    return curve, cost + sum(candidate.steps)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prior", required=True, help="a directory or pretrained:NAME")
    parser.add_argument("--images", required=True, help="a folder or zip")
    parser.add_argument("--problem", default="compressed_sensing")
    parser.add_argument("--ratio", type=float, default=0.1)
    parser.add_argument("--rate", type=float, default=0.2, help="learning rate")
    parser.add_argument("--count", type=int, default=16, help="images")
    parser.add_argument("--only", help="words of the candidates' names, with commas")
    return parser.parse_args()


def main() -> None:
    flags = parse()
    prior = load_prior(flags.prior)
    size, _, channels = prior.image_shape
    images = load_images(
        flags.images, "test", resolution=size, channels=channels, count=flags.count
    )
    indices = np.arange(flags.count)
    truth = to_float(images[indices])
    problem, keys = make_problem(
        flags.problem, truth, indices, ratio=flags.ratio, seed=0
    )
    print(f"{flags.prior}, {flags.problem} {flags.ratio}, rate {flags.rate}")
    words = flags.only.split(",") if flags.only else [""]
    rows, reference = [], None
    for name, candidate in CANDIDATES.items():
        fits = len(candidate.steps) <= prior.generator.num_blocks
        if not fits or not any(word in name for word in words):
            continue
        start = time.perf_counter()
        curve, cost = run(candidate, prior, problem, keys, flags.rate)
        seconds = time.perf_counter() - start
        reference = curve[-1] if reference is None else reference
        mean, half = confidence_interval(curve[-1] - reference)
        by_stage = " ".join(f"{one.mean():.2f}" for one in curve)
        found = f"{curve[-1].mean():.2f}", f"{mean:+.2f} ± {half:.2f}"
        rows.append([name, f"{cost:.0f}", by_stage, *found, f"{seconds:.0f}"])
        print(*rows[-1], sep=" | ", flush=True)
    header = ["candidate", "image-steps", "after each stage", "PSNR", "difference", "s"]
    print(table(header, rows))


if __name__ == "__main__":
    main()
