"""Selection by measurements that are held out of the fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.errors import UserError
from rtil_jax.generators import PGGANGenerator, StyleGAN2Generator
from rtil_jax.inversion import CSGM, ILO, Problem, invert, measurement_loss
from rtil_jax.inversion.held_out import (
    check_held_out,
    hold_out,
    nothing_held_out,
    stops_of,
)
from rtil_jax.inversion.problems import data_loss, held_out_error, settle
from rtil_jax.operators import sample_operators

SHAPE = (8, 8, 3)
METHOD = ILO(steps=(12, 20), learning_rate=0.3)


@pytest.mark.parametrize(
    "name, measured", [("inpainting", 32), ("compressed_sensing", 96), ("gaussian", 96)]
)
def test_a_share_of_what_is_measured_is_held_out(name, measured):
    """Of pixels in all channels, or of coefficients, or rows."""
    keys = jax.random.split(jax.random.key(0), 2)
    operators = sample_operators(name, keys, SHAPE, 0.5)
    x = jax.random.uniform(jax.random.key(1), (2, *SHAPE), minval=-0.5, maxval=0.5)
    y = jax.vmap(lambda operator, x: operator(x))(operators, x)
    problem = settle(Problem(operators, y), SHAPE)
    held = hold_out(problem, SHAPE, keys, 0.25)
    mask = np.broadcast_to(held.held_out.mask, y.shape)
    assert np.all(np.asarray(y)[mask] != 0)
    np.testing.assert_allclose(held.held_out.share, 0.25)
    entries = mask[..., 0] if name == "inpainting" else mask
    np.testing.assert_array_equal(
        entries.reshape(2, -1).sum(axis=1), round(0.25 * measured)
    )
    assert (mask[0] != mask[1]).any()  # each image has its own
    # The loss is over the rest, and the score over what is held out.
    images = jnp.zeros_like(x)
    rest = [np.sum(np.square(np.where(m, 0, v))) for m, v in zip(mask, y, strict=True)]
    out = [np.sum(np.square(np.where(m, v, 0))) for m, v in zip(mask, y, strict=True)]
    count = measured * (3 if name == "inpainting" else 1)
    found = data_loss(held, images), held_out_error(held, images)
    np.testing.assert_allclose(found[0], np.array(rest) / (0.75 * count), rtol=1e-4)
    np.testing.assert_allclose(found[1], np.array(out) / (0.25 * count), rtol=1e-4)
    everything = nothing_held_out(held)
    np.testing.assert_allclose(
        data_loss(everything, images), data_loss(problem, images), rtol=1e-6
    )


def test_an_image_stops_at_the_lowest_score_of_all_stages():
    stages = ILO(steps=(5, 7, 3)).stages(PGGANGenerator(16))
    scores = np.array([[3.0, 1.0, np.nan], [2.0, 2.0, 2.0], [1.0, 3.0, 4.0]])
    steps = np.array([[4, 2, 1], [6, 6, 0], [3, 3, 3]])
    np.testing.assert_array_equal(
        stops_of(stages, scores, steps), [[5, 2, 5], [7, 0, 0], [3, 0, 0]]
    )


def test_the_second_fit_sees_everything_and_stops_where_the_first_was_best(
    toy_prior, sampled_problem
):
    """It is the iterate at that stage and step of a plain fit of all measurements."""
    problem, keys = sampled_problem(toy_prior, 3, ratio=0.3)
    seen = []
    found = invert(
        METHOD,
        toy_prior,
        problem,
        keys,
        select="held_out",
        held_out_fraction=0.2,
        progress=lambda stage, step, loss: seen.append((stage, step, np.asarray(loss))),
    )
    plain = []
    invert(
        METHOD,
        toy_prior,
        problem,
        keys,
        progress=lambda stage, step, loss: plain.append(np.asarray(loss)),
    )
    first, second = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    assert [one[:2] for one in first] == [one[:2] for one in second]
    # The first fit sees other measurements; the second the same until it stops.
    assert np.all(first[1][2] != plain[1])
    refit = np.stack([loss for _, _, loss in second])
    kept = np.isclose(refit, np.stack(plain), rtol=1e-4)
    for image in range(3):
        # From there on it keeps its loss, through later stages, too.
        length = kept[:, image].argmin() if not kept[:, image].all() else len(kept)
        assert length > 1
        np.testing.assert_allclose(
            refit[length - 1 :, image], refit[-1, image], rtol=1e-3
        )
    np.testing.assert_allclose(found.measurement_loss, refit[-1], rtol=1e-4)
    np.testing.assert_allclose(
        measurement_loss(problem, found.images), refit[-1], rtol=1e-3
    )
    # What was held out does not depend on other images, nor on restarts.
    with pytest.raises(UserError, match="^held_out_fraction: found 0.9, expected a"):
        held_out = {"select": "held_out", "held_out_fraction": 0.9}
        invert(METHOD, toy_prior, problem, keys, **held_out)


def test_noise_is_fitted_less_than_by_the_measurement_loss(toy_prior, sampled_problem):
    problem, keys = sampled_problem(toy_prior, 4, ratio=0.5)
    noise = 3 * jax.random.normal(jax.random.key(9), problem.measurements.shape)
    noisy = problem.measurements + jnp.where(problem.measurements == 0, 0, noise)
    problem = Problem(problem.operators, noisy, problem.truth)
    method = ILO(steps=(30, 60), learning_rate=0.3)
    kept, fitted = (
        invert(method, toy_prior, problem, keys, select=select, restarts=2)
        for select in ("held_out", "measurement")
    )
    errors = [np.mean((one.images - problem.truth) ** 2) for one in (kept, fitted)]
    assert errors[0] < errors[1]


def test_what_would_see_the_rest_is_refused(toy_prior, sampled_problem):
    problem, keys = sampled_problem(toy_prior, 1)
    with pytest.raises(UserError, match="'held_out' with a perceptual loss"):
        invert(
            CSGM(2),
            toy_prior,
            problem,
            keys,
            select="held_out",
            perceptual=lambda problem, images: jnp.mean(images, axis=(1, 2, 3)),
        )
    stages = ILO(steps=(1, 1), keep_skip=False).stages(StyleGAN2Generator(8))
    with pytest.raises(UserError, match="^method.keep_skip: found False with select="):
        check_held_out(stages, None)
    check_held_out(stages[:1], None)
