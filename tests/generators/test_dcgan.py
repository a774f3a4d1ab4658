"""DCGAN's laws, and its images against transposed convolutions written as sums."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax import generators
from rtil_jax.convolutions import conv4x4_up
from rtil_jax.generators import DCGANGenerator
from rtil_jax.inversion import CSGM, ILO, MGANPrior, Prior, invert, make_problem
from tests.references.stylegan2 import (
    assert_close,
    float64,
    random_like,
    random_variables,
)

SMALL = DCGANGenerator(16, channels=3, base_channels=2, latent_dim=5)
BLOCKS = range(1, SMALL.num_blocks + 1)
Z = random_like(jax.ShapeDtypeStruct((3, 5), jnp.float32), seed=1)


@functools.cache
def variables():
    """Biases are not zero; kernels are small, so that tanh does not saturate."""
    drawn = random_variables(functools.partial(generators.init, SMALL))
    return jax.tree.map(lambda x: 0.3 * x, drawn)


@functools.partial(jax.jit, static_argnames=("block", "method"))
def apply(variables, *inputs, block=None, method=None):
    inputs = inputs if block is None else (*inputs, block)
    return SMALL.apply(variables, *inputs, method=method)


def scattered(x, kernel):
    """Input (h, w) scatters tap (k, l) to (2h + k - 1, 2w + l - 1), in float64."""
    batch, height, width, _ = x.shape
    y = np.zeros((batch, 2 * height + 2, 2 * width + 2, kernel.shape[-1]))
    for k in range(4):
        for l in range(4):  # noqa: E741
            y[:, k : k + 2 * height : 2, l : l + 2 * width : 2] += x @ kernel[k, l]
    return y[:, 1:-1, 1:-1]


def slow_features(last):
    """Those after block `last`."""
    params, z = float64((variables()["params"], Z))
    x = np.einsum("bi,hwio->bhwo", z, params["code"]["kernel"])
    x = np.maximum(x + params["code"]["bias"], 0)
    for block in range(1, last):
        layer = params[f"convs_{block - 1}"]
        x = scattered(x, layer["kernel"]) + layer["bias"]
        x = x if block == len(params) - 1 else np.maximum(x, 0)
    return x


def test_doubling_is_a_transposed_convolution():
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 3, 5, 4)), rng.normal(size=(4, 4, 4, 6))
    fast = conv4x4_up(jnp.float32(x), jnp.float32(kernel))
    assert_close(fast, scattered(x, kernel), 1e-5)


@pytest.mark.parametrize("block", BLOCKS)
def test_features_are_those_of_the_formulas(block):
    expected = slow_features(block)
    assert expected.shape[1:] == SMALL.intermediate_shape(block)
    found = apply(variables(), {"z": Z}, block=block, method="head")
    assert_close(found, expected, 1e-5)


def test_images_are_tanh_of_the_last_features():
    expected = np.tanh(slow_features(SMALL.num_blocks))
    assert expected.shape == (3, 16, 16, 3) and 0.1 < expected.std() < 0.9
    assert_close(apply(variables(), {"z": Z}), expected, 1e-5)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_cut_keeps_the_law(block):
    latents = {"z": Z}
    features = apply(variables(), latents, block=block, method="head")
    z_k = random_like(jax.ShapeDtypeStruct(features.shape, jnp.float32), seed=2)

    def tail(features):
        return apply(variables(), features, latents, block=block, method="tail")

    image = apply(variables(), latents)
    assert_close(tail(features), image, 1e-5)
    moved = apply(variables(), latents, {block: z_k})
    assert_close(tail(features + z_k), moved, 1e-5)
    assert not np.allclose(image, moved, atol=0.1)


def test_the_published_network_has_the_published_shapes():
    generator = DCGANGenerator(64)
    widths = [generator.intermediate_shape(block) for block in range(1, 6)]
    assert widths == [
        (4, 4, 512),
        (8, 8, 256),
        (16, 16, 128),
        (32, 32, 64),
        (64, 64, 3),
    ]
    shapes = jax.eval_shape(lambda key: generators.init(generator, key), Z_KEY)
    # 3,576,704 weights; the folded biases add one number per channel.
    kernels = sum(x.size for x in jax.tree.leaves(shapes) if x.ndim == 4)
    assert kernels == 3_574_784


Z_KEY = jax.random.key(0)


@pytest.mark.parametrize(
    "method",
    [CSGM(40, 0.1), ILO((20, 20), 0.1), MGANPrior(codes=3, block=2, steps=40)],
    ids=["csgm", "ilo", "mganprior"],
)
def test_methods_lower_the_loss(method):
    prior = Prior.of(SMALL, variables())
    truth = apply(variables(), {"z": Z[::-1]})
    problem, keys = make_problem("inpainting", truth, np.arange(3), ratio=0.5, seed=0)
    found = invert(method, prior, problem, keys)
    first = found.history[0][-1]
    assert np.all(found.measurement_loss < 0.5 * first)
