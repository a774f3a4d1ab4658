"""A method of one's own is a stage that says what differs from `Stage`."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from rtil_jax.inversion import Solution, invert
from rtil_jax.inversion.latents import style_space
from rtil_jax.inversion.stages import Stage, put_free, take_free


class StylesAlone(Stage):
    """The styles are free; the noise maps stay as they were drawn."""

    def free(self, prior, variables):
        return {"styles": True, "noises": False}

    def decode(self, prior, variables):
        return Solution(style_space(prior.generator).decode(prior, variables))


@dataclasses.dataclass(frozen=True)
class Method:
    steps: int

    def stages(self, generator):
        return (StylesAlone(self.steps, 0.1),)

    def start(self, prior, key):
        return style_space(prior.generator).sample(prior, key)


def test_a_method_of_two_functions_inverts(style_prior, sampled_problem):
    problem, keys = sampled_problem(style_prior, 2)
    found = invert(Method(20), style_prior, problem, keys)
    assert np.all(found.measurement_loss < 0.9 * found.history[0][-1])
    start = jax.vmap(Method(20).start, (None, 0))(
        style_prior, jax.vmap(jax.random.fold_in, (0, None))(keys, 0)
    )
    kept = zip(start["noises"], found.solution.latents["noises"], strict=True)
    assert all(np.array_equal(before, after) for before, after in kept)
    assert not found.solution.intermediates


def test_a_mask_takes_free_variables_out_and_puts_them_back():
    variables = {"a": jnp.ones(2), "b": (jnp.zeros(2), jnp.arange(2.0)), "c": {}}
    mask = {"a": True, "b": (False, True), "c": False}
    free = take_free(mask, variables)
    assert free["b"][0] is None and free["b"][1] is variables["b"][1]
    moved = jax.tree.map(lambda x: x + 1, free)
    found = put_free(mask, moved, variables)
    expected = {"a": jnp.full(2, 2.0), "b": (jnp.zeros(2), jnp.arange(2.0) + 1)}
    jax.tree.map(np.testing.assert_array_equal, found, expected | {"c": {}})
    for everything in (True, False):  # one bool for the whole tree
        free = take_free(everything, variables)
        jax.tree.map(
            np.testing.assert_array_equal,
            put_free(everything, free, variables),
            variables,
        )
