"""StyleGAN2 as it is written on paper, slowly: what the fast one is tested against.

Every image has its own modulated, demodulated kernel; resampling is zero insertion, an
explicit 4 x 4 FIR filter and subsampling (Karras et al. 2020, Section 2.2, Appendix B).
Arrays are `(batch, height, width, channels)`, kernels `(height, width, in, out)`.
Networks are evaluated by numpy in float64; the convolutions also take JAX arrays, so
that their derivatives can be found.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

FIR = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64  # sum 1
CORNER = np.array([[1, 0], [0, 0]])


def pad(x, before, after):
    widths = ((0, 0), (before, after), (before, after), (0, 0))
    return x.__array_namespace__().pad(x, widths)


def correlate(x, kernel, stride=1):
    """y[p, q] = sum over r, s of x[stride p + r, stride q + s] kernel[r, s]."""
    rows, columns = kernel.shape[:2]
    height, width = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    return sum(
        x[:, r : r + height : stride, s : s + width : stride] @ kernel[r, s]
        for r in range(rows)
        for s in range(columns)
    )


def filter_channels(x, taps):
    """The same FIR filter on every channel (symmetric, so it need not be flipped)."""
    return correlate(x, np.einsum("rs,io->rsio", taps, np.eye(x.shape[-1])))


def zero_insert(x):
    """x_0, 0, x_1, 0, ... along both axes."""
    batch, height, width, channels = x.shape
    x = x[:, :, None, :, None, :] * CORNER.reshape(1, 1, 2, 1, 2, 1)
    return x.reshape(batch, 2 * height, 2 * width, channels)


def conv(x, kernel):
    """3x3, stride 1, padding 1."""
    return correlate(pad(x, 1, 1), kernel)


def transposed_conv(x, kernel):
    """3x3, stride 2: x[h] scatters kernel[k] to 2 h + k, from H to 2 H + 1."""
    return correlate(pad(zero_insert(x), 2, 1), kernel[::-1, ::-1])


def conv_up(x, kernel):
    return filter_channels(pad(transposed_conv(x, kernel), 1, 1), 4 * FIR)


def upsample(x):
    return filter_channels(pad(zero_insert(x), 2, 1), 4 * FIR)


def blur(x, padding):
    return filter_channels(pad(x, padding, padding), FIR)


def conv_down(x, kernel):
    """3x3 or 1x1, stride 2, after a blur that makes the size come out as half."""
    padding = 2 if len(kernel) == 3 else 1
    return correlate(blur(x, padding), kernel, stride=2)


def leaky_relu(x):
    return np.where(x < 0, 0.2 * x, x) * math.sqrt(2)


def dense(params, x, rate_multiplier=1.0):
    scale = rate_multiplier / math.sqrt(x.shape[-1])
    return x @ (scale * params["kernel"]) + rate_multiplier * params["bias"]


def scaled(kernel):
    return kernel / math.sqrt(math.prod(kernel.shape[:3]))


def modulated(params, x, style, convolve, demodulate=True):
    """Each image's own kernel, one image at a time."""
    scales = dense(params["modulation"], style)
    images = []
    for image, scale in zip(x, scales, strict=True):
        kernel = scaled(params["kernel"]) * scale[:, None]
        if demodulate:
            kernel = kernel / np.sqrt(np.sum(kernel**2, axis=(0, 1, 2)) + 1e-8)
        images.append(convolve(image[None], kernel))
    return np.concatenate(images)


def styled(params, x, style, noise, convolve):
    x = modulated(params["conv"], x, style, convolve)
    return leaky_relu(x + params["noise_strength"] * noise + params["bias"])


def to_rgb(params, x, style):
    return modulated(params["conv"], x, style, correlate, False) + params["bias"]


def float64(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def mapping(variables, z):
    """z -> w."""
    params, w = float64((variables["params"]["mapping"], z))
    w = w / np.sqrt(np.mean(w**2, axis=-1, keepdims=True) + 1e-8)
    for layer in range(len(params)):
        w = leaky_relu(dense(params[f"Dense_{layer}"], w, rate_multiplier=0.01))
    return w


def generator(variables, latents, intermediates=None, dropped=0):
    """G~(z_0, z_1, ...), without the RGB of the first `dropped` blocks."""
    params, latents, added = float64(
        (variables["params"], latents, intermediates or {})
    )
    styles, noises = latents["styles"].swapaxes(0, 1), latents["noises"]
    x = np.repeat(params["constant"], styles.shape[1], axis=0)
    image = 0.0
    for k in range(styles.shape[0] // 2):  # block k + 1
        if k > 0:
            slot = 2 * k - 1
            x = styled(
                params[f"up_convs_{k - 1}"], x, styles[slot], noises[slot], conv_up
            )
            image = upsample(image)
        x = styled(params[f"convs_{k}"], x, styles[2 * k], noises[2 * k], conv)
        x = x + added.get(k + 1, 0.0)
        rgb = to_rgb(params[f"to_rgbs_{k}"], x, styles[2 * k + 1])
        image = image + (rgb if k + 1 > dropped else np.zeros_like(rgb))
    return image


def append_stddev(x, group_size):
    """Consecutive groups; the mean over a group's features of their deviations."""
    deviations = []
    for start in range(0, len(x), group_size):
        variance = x[start : start + group_size].var(axis=0)
        deviations += [np.sqrt(variance + 1e-8).mean()] * group_size
    extra = np.ones_like(x[..., :1]) * np.reshape(deviations, (-1, 1, 1, 1))
    return np.concatenate([x, extra], axis=-1)


def discriminator(variables, images, group_size):
    """Images -> logits."""
    params, x = float64((variables["params"], images))

    def layer(params, x, convolve):
        return leaky_relu(convolve(x, scaled(params["kernel"])) + params["bias"])

    x = layer(params["FromRGB_0"], x, correlate)
    for block in range(int(math.log2(images.shape[1])) - 2):
        block = params[f"ResidualBlock_{block}"]
        y = layer(block["conv_down"], layer(block["conv"], x, conv), conv_down)
        x = (y + conv_down(x, scaled(block["skip"]["kernel"]))) / math.sqrt(2)
    x = layer(params["Conv_0"], append_stddev(x, group_size), conv)
    x = leaky_relu(dense(params["Dense_0"], x.reshape(len(x), -1)))
    return dense(params["Dense_1"], x)[:, 0]


def random_like(shapes, seed):
    """Normal arrays in the shapes of a tree."""
    rng = np.random.default_rng(seed)

    def draw(leaf):
        return jnp.asarray(rng.normal(size=leaf.shape), jnp.float32)

    return jax.tree.map(draw, shapes)


def random_variables(init, seed=0):
    """Variables of the shapes that `init(key)` returns, in which no leaf is special.

    Where biases and noise strengths are 0 and modulations 1, mistakes could hide.
    """

    def adjust(path, leaf):
        name = jax.tree_util.keystr(path)
        if "modulation" in name and "bias" in name:
            return leaf + 1
        if "mapping" in name and "kernel" in name:
            return leaf * 100  # stored times 1 / rate multiplier
        return leaf

    values = random_like(jax.eval_shape(init, jax.random.key(0)), seed)
    return jax.tree_util.tree_map_with_path(adjust, values)


def assert_close(actual, expected, relative=1e-4):
    """Up to `relative` times the largest entry, leaf by leaf."""

    def check(actual, expected):
        np.testing.assert_allclose(
            actual, expected, rtol=0, atol=relative * np.max(np.abs(expected))
        )

    jax.tree.map(check, actual, expected)
