"""Random checkpoints in the public layouts, names and shapes written out by hand.

No tensor is special: biases, noise strengths and modulations are far from what they
start at. `widths` are those at 4, 8, ... pixels.
"""

import math

import numpy as np

BLUR = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 64


class Draws:
    """Normal tensors by name, in the order in which they are asked for."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.tensors = {}

    def __call__(self, key, *shape, mean=0.0, std=1.0):
        values = mean + std * self.random.standard_normal(shape)
        self.tensors[key] = np.asarray(values, np.float32)

    def constant(self, key, values):
        self.tensors[key] = np.asarray(values, np.float32)


def modulated(draw, key, latent_dim, out, fan_in, side):
    draw(f"{key}.weight", 1, out, fan_in, side, side)
    draw(f"{key}.modulation.weight", fan_in, latent_dim)
    draw(f"{key}.modulation.bias", fan_in, mean=1, std=0.5)


def styled(draw, key, latent_dim, out, fan_in, up=False):
    modulated(draw, f"{key}.conv", latent_dim, out, fan_in, 3)
    if up:
        draw.constant(f"{key}.conv.blur.kernel", 4 * BLUR)
    draw(f"{key}.noise.weight", 1, std=0.5)
    draw(f"{key}.activate.bias", out, std=0.5)


def to_rgb(draw, key, latent_dim, channels, fan_in, up=True):
    if up:
        draw.constant(f"{key}.upsample.kernel", 4 * BLUR)
    modulated(draw, f"{key}.conv", latent_dim, channels, fan_in, 1)
    draw(f"{key}.bias", 1, channels, 1, 1, std=0.5)


def stylegan2(widths, channels=3, latent_dim=7, mapping_layers=3, seed=0):
    """rosinality's `Generator`."""
    draw = Draws(seed)
    for layer in range(1, mapping_layers + 1):
        draw(f"style.{layer}.weight", latent_dim, latent_dim, std=100)
        draw(f"style.{layer}.bias", latent_dim, std=30)
    draw("input.input", 1, widths[0], 4, 4)
    styled(draw, "conv1", latent_dim, widths[0], widths[0])
    to_rgb(draw, "to_rgb1", latent_dim, channels, widths[0], up=False)
    steps = list(zip(widths, widths[1:], strict=False))
    for i, (before, after) in enumerate(steps):
        styled(draw, f"convs.{2 * i}", latent_dim, after, before, up=True)
        styled(draw, f"convs.{2 * i + 1}", latent_dim, after, after)
    for i, (_, after) in enumerate(steps):
        to_rgb(draw, f"to_rgbs.{i}", latent_dim, channels, after)
    draw("noises.noise_0", 1, 1, 4, 4)
    for i in range(2 * len(steps)):
        side = 8 * 2 ** (i // 2)
        draw(f"noises.noise_{i + 1}", 1, 1, side, side)
    return draw.tensors


def stylegan2_discriminator(widths, channels=3, seed=1):
    """rosinality's `Discriminator`."""
    draw, widths = Draws(seed), widths[::-1]
    draw("convs.0.0.weight", widths[0], channels, 1, 1)
    draw("convs.0.1.bias", widths[0], std=0.5)
    for i, (before, after) in enumerate(zip(widths, widths[1:], strict=False)):
        key = f"convs.{i + 1}"
        draw(f"{key}.conv1.0.weight", before, before, 3, 3)
        draw(f"{key}.conv1.1.bias", before, std=0.5)
        draw.constant(f"{key}.conv2.0.kernel", BLUR)
        draw(f"{key}.conv2.1.weight", after, before, 3, 3)
        draw(f"{key}.conv2.2.bias", after, std=0.5)
        draw.constant(f"{key}.skip.0.kernel", BLUR)
        draw(f"{key}.skip.1.weight", after, before, 1, 1)
    last = widths[-1]
    draw("final_conv.0.weight", last, last + 1, 3, 3)
    draw("final_conv.1.bias", last, std=0.5)
    draw("final_linear.0.weight", last, last * 16)
    draw("final_linear.0.bias", last, std=0.5)
    draw("final_linear.1.weight", 1, last)
    draw("final_linear.1.bias", 1)
    return draw.tensors


def pggan(widths, channels=3, latent_dim=7, seed=2):
    """RTIL's `Generator`."""
    draw = Draws(seed)
    draw("input_layer.0.conv.bias", widths[0], std=0.5)
    draw("input_layer.0.conv.weight_orig", latent_dim, widths[0], 4, 4)
    for i, (before, after) in enumerate(
        zip((widths[0], *widths), widths, strict=False)
    ):
        for layer, fan_in in ((0, before), (3, after)):
            key = f"progression_{4 * 2**i}.conv.{layer}.conv"
            draw(f"{key}.bias", after, std=0.5)
            draw(f"{key}.weight_orig", after, fan_in, 3, 3)
    for i, width in enumerate(widths):
        draw(f"to_rgb_{4 * 2**i}.conv.bias", channels, std=0.5)
        draw(f"to_rgb_{4 * 2**i}.conv.weight_orig", channels, width, 1, 1)
    return draw.tensors


def pggan_discriminator(widths, channels=3, seed=3):
    """RTIL's `Discriminator`; index 0 reads the full resolution."""
    draw, widths = Draws(seed), widths[::-1]
    blocks = [*zip(widths, widths[1:], strict=False), (widths[-1] + 1, widths[-1])]
    for i, (fan_in, out) in enumerate(blocks):
        side = 4 if i == len(blocks) - 1 else 3
        draw(f"progression.{i}.conv.0.conv.bias", out, std=0.5)
        draw(f"progression.{i}.conv.0.conv.weight_orig", out, fan_in, 3, 3)
        draw(f"progression.{i}.conv.3.conv.bias", out, std=0.5)
        draw(f"progression.{i}.conv.3.conv.weight_orig", out, out, side, side)
    for i, width in enumerate(widths):
        draw(f"from_rgb.{i}.conv.bias", width, std=0.5)
        draw(f"from_rgb.{i}.conv.weight_orig", width, channels, 1, 1)
    draw("linear.linear.bias", 1)
    draw("linear.linear.weight_orig", 1, widths[-1])
    return draw.tensors


def official_pggan(widths, channels=3, latent_dim=7, seed=4):
    """mGANprior's `PGGANGeneratorNet`."""
    draw = Draws(seed)
    draw.constant("lod", 0.0)
    for i, (before, after) in enumerate(
        zip((latent_dim, *widths), widths, strict=False)
    ):
        side = 3 if i else 4
        draw(f"layer{2 * i}.conv.weight", after, before, side, side)
        draw(f"layer{2 * i}.wscale.bias", after, std=0.5)
        draw(f"layer{2 * i + 1}.conv.weight", after, after, 3, 3)
        draw(f"layer{2 * i + 1}.wscale.bias", after, std=0.5)
        draw(f"output{i}.conv.weight", channels, after, 1, 1)
        draw(f"output{i}.wscale.bias", channels, std=0.5)
    return draw.tensors


def public_widths(kind, resolution):
    """The channel maps of the public code, by their own formulas."""
    sizes = [2**n for n in range(2, int(math.log2(resolution)) + 1)]
    if kind == "official":
        return tuple(min(16_384 // size, 512) for size in sizes)
    if kind == "pggan":
        table = {64: 128, 128: 64, 256: 64}
        return tuple(table.get(size, 256) for size in sizes)
    low, multiplier = {"rtil": (256, 1), "1": (512, 1), "2": (512, 2)}[kind]
    high = {64: 256, 128: 128, 256: 64, 512: 32, 1024: 16}
    return tuple(high[s] * multiplier if s > 32 else low for s in sizes)
