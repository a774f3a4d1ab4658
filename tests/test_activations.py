"""bfloat16 in activations and convolutions: what it changes, by how much, and where."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from rtil_jax.activations import dtype_at, in_precision, keep
from rtil_jax.discriminators import PGGANDiscriminator, StyleGAN2Discriminator
from rtil_jax.errors import UserError
from rtil_jax.generators import (
    DCGANGenerator,
    PGGANGenerator,
    StyleGAN2Generator,
    init,
    sample_latents,
    zero_intermediates,
)
from rtil_jax.inversion import Prior
from tests.toy_generator import ToyGenerator

SIZE = dict(channels=1, max_channels=8, latent_dim=8)
GENERATORS = {
    "stylegan2": StyleGAN2Generator(16, mapping_layers=1, **SIZE),
    "pggan": PGGANGenerator(16, **SIZE),
    "official": PGGANGenerator(16, layout="official", **SIZE),
}


def key(seed=0):
    return jax.random.key(seed)


def error(found, expected):
    """Relative to the norm, of whole trees; all of it float32 and finite."""
    leaves, wanted = jax.tree.leaves(found), jax.tree.leaves(expected)
    assert {x.dtype for x in leaves} == {np.dtype(np.float32)}
    a, b = (np.concatenate([np.ravel(x) for x in tree]) for tree in (leaves, wanted))
    assert np.isfinite(a).all()
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@functools.partial(jax.jit, static_argnums=0)
def drawn(generator):
    """Variables, latents of four images, and perturbations of all blocks."""
    variables = init(generator, key())
    zeros = zero_intermediates(generator, (1, 2, 3), 4)
    z = {k: 0.1 * jax.random.normal(key(k), x.shape) for k, x in zeros.items()}
    return variables, sample_latents(generator, variables, key(1), 4), z


@functools.partial(jax.jit, static_argnums=0)
def through_generator(generator, variables, latents, intermediates):
    """Gradients of a loss of the images, these, and the same cut and joined."""

    def loss(*inputs):
        images = generator.apply(*inputs)
        return jnp.sum(jnp.sin(images)), images

    by_all = jax.grad(loss, (0, 1, 2), has_aux=True)
    gradients, images = by_all(variables, latents, intermediates)
    last = generator.num_blocks
    inputs = latents, last, intermediates
    features = generator.apply(variables, *inputs, method="head")
    moved = features + intermediates[last]
    joined = generator.apply(variables, moved, latents, last, method="tail")
    return gradients, images, features, joined


@pytest.mark.parametrize("name", ["stylegan2", "pggan"])
def test_a_generator_in_bfloat16_is_near_the_one_in_float32(name):
    exact = GENERATORS[name]
    narrow, inputs = in_precision(exact, "bfloat16"), drawn(exact)
    found, expected = (through_generator(one, *inputs) for one in (narrow, exact))
    gradients, images, features, joined = found
    of_weights, of_latents, of_z = map(error, gradients, expected[0])
    assert 1e-4 < error(images, expected[1]) < 0.01
    assert 1e-4 < error(features, expected[2]) < 0.01
    assert error(joined, images) < 1e-5  # tail(head + z_k) == G(z, {k: z_k})
    assert of_weights < 0.02 and of_latents < 0.05 and of_z < 0.1


def test_scores_in_bfloat16_are_near_those_in_float32():
    exact, images = PGGANDiscriminator(8), jax.random.normal(key(), (4, 16, 16, 1))
    variables = jax.jit(exact.init)(key(), images)
    found, expected = (
        jax.jit(network.apply)(variables, images)
        for network in (in_precision(exact, "bfloat16"), exact)
    )
    assert 1e-4 < error(found, expected) < 0.02


def types_at(function, *shapes):
    """(pixels, type) of all that is convolved, blurred or doubled, RGB left out."""
    jaxpr = jax.make_jaxpr(function)(*shapes).jaxpr
    made = [eqn.outvars[0].aval for eqn in equations(jaxpr)]
    return {(x.shape[1], x.dtype.name) for x in made if x.shape[-1] > 1}


def equations(jaxpr):
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "multilinear_derivative":
            yield eqn
        for inner in jaxprs_in_params(eqn.params):
            yield from equations(inner)


@pytest.mark.parametrize("name", GENERATORS)
def test_blocks_of_4_and_8_pixels_stay_in_float32(name):
    small = {(4, "float32"), (8, "float32")}
    types = {"float32": "float32", "bfloat16": "bfloat16"}
    for precision, large in types.items():
        generator = GENERATORS[name].clone(resolution=32, precision=precision)
        variables = jax.eval_shape(lambda g=generator: init(g, key()))
        latents = jax.eval_shape(
            lambda v, g=generator: sample_latents(g, v, key(), 2), variables
        )
        found = types_at(generator.apply, variables, latents)
        assert found == small | {(16, large), (32, large)}


@pytest.mark.parametrize("kind", [StyleGAN2Discriminator, PGGANDiscriminator])
def test_so_do_those_of_discriminators(kind):
    network = kind(8, precision="bfloat16")
    images = jax.ShapeDtypeStruct((4, 32, 32, 1), jnp.float32)
    variables = jax.eval_shape(lambda x: network.init(key(), x), images)
    found = types_at(network.apply, variables, images)
    assert {(32, "bfloat16"), (16, "bfloat16"), (8, "float32")} < found
    assert not found & {(32, "float32"), (16, "float32"), (4, "bfloat16")}


def test_activations_are_clamped_in_bfloat16_alone():
    x = jnp.array([-1e4, -256, 1.001, 300], jnp.float32)
    np.testing.assert_array_equal(keep(x, jnp.float32), x)
    np.testing.assert_array_equal(keep(x, jnp.bfloat16), [-256, -256, 1, 256])
    assert keep(x, jnp.bfloat16).dtype == jnp.bfloat16
    assert dtype_at("bfloat16", 8) == dtype_at("float32", 256) == jnp.float32


def test_what_has_no_other_precision_says_so():
    message = (
        "precision: found 'bfloat16', expected 'float32' for {}, which has no other"
    )
    for network in (DCGANGenerator(32), ToyGenerator()):
        assert in_precision(network, "float32") is network
        with pytest.raises(UserError, match=message.format(type(network).__name__)):
            Prior(network, {}).in_precision("bfloat16")
    for unknown in ("float16", 16, None):
        with pytest.raises(UserError, match="expected one of float32, bfloat16$"):
            in_precision(GENERATORS["pggan"], unknown)
    generator = GENERATORS["pggan"].clone(precision="half")
    with pytest.raises(UserError, match="precision: found 'half', expected one of"):
        jax.eval_shape(lambda: init(generator, key()))
