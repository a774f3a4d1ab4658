"""PGGAN as it is written on paper, slowly, by numpy in float64.

The generator's input is a transposed convolution, the discriminator's last layer a
4 x 4 convolution without padding, and resampling gathers pixels by their coordinates.
"""

import math

import numpy as np

from tests.references.stylegan2 import append_stddev, conv, correlate


def equalized(kernel, fan_in):
    return np.asarray(kernel, np.float64) * math.sqrt(2 / fan_in)


def activate(x):
    x = x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-8)
    return np.where(x < 0, 0.2 * x, x)


def layer(params, x):
    kernel = params["kernel"]
    y = conv(x, equalized(kernel, kernel.shape[2] * 9)) + np.asarray(params["bias"])
    return activate(y)


def pixelwise(params, x):
    kernel = params["kernel"]
    return correlate(x, equalized(kernel, kernel.shape[2])) + np.asarray(params["bias"])


def resize(x, size):
    """Bilinear: output p lies at (p + 1/2) scale - 1/2, clamped to the image."""

    def weights(old):
        matrix = np.zeros((size, old))
        for p in range(size):
            at = min(max((p + 0.5) * old / size - 0.5, 0), old - 1)
            low = min(int(at), old - 2)
            matrix[p, low : low + 2] = low + 1 - at, at - low
        return matrix

    return np.einsum("ph,bhwc,qw->bpqc", weights(x.shape[1]), x, weights(x.shape[2]))


def features(variables, z, block):
    """After `block`, as many z as there are images."""
    params = variables["params"]
    code, z = params["code"], np.asarray(z, np.float64)
    kernel = equalized(code["kernel"], 16 * code["kernel"].shape[-1])
    # A transposed convolution spreads its one pixel over the kernel.
    x = np.tensordot(z, kernel, axes=(1, 0)) + np.asarray(code["bias"])
    x = activate(x)
    for k in range(block):
        x = resize(x, 2 * x.shape[1]) if k else x
        for name in ("conv_0", "conv_1"):
            x = layer(params[f"blocks_{k}"][name], x)
    return x


def image(variables, x, block):
    """From the features after the last block."""
    return pixelwise(variables["params"][f"to_rgbs_{block - 1}"], x)


def discriminator(variables, images, group_size, fade=1.0):
    params, images = variables["params"], np.asarray(images, np.float64)
    size = images.shape[1]
    x = pixelwise(params[f"from_rgb_{size}"], images)
    while (now := x.shape[1]) > 4:
        for name in ("conv_0", "conv_1"):
            x = layer(params[f"block_{now}_{name}"], x)
        x = resize(x, now // 2)
        if now == size:
            smaller = resize(images, now // 2)
            old = pixelwise(params[f"from_rgb_{now // 2}"], smaller)
            x = fade * x + (1 - fade) * old
    x = layer(params["block_4_conv_0"], append_stddev(x, group_size))
    dense = params["block_4_dense"]
    kernel = np.asarray(dense["kernel"]).reshape(4, 4, x.shape[-1], -1)
    y = correlate(x, equalized(kernel, 16 * x.shape[-1])) + np.asarray(dense["bias"])
    y = activate(y)[:, 0, 0]
    score = params["score"]
    return (y @ equalized(score["kernel"], y.shape[1]) + np.asarray(score["bias"]))[
        :, 0
    ]
