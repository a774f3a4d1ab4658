"""The public networks by their formulas, on the names and layouts of PyTorch.

NumPy in float64; images are `(batch, channels, height, width)`. Each returns the
features after every block before anything reads them, and the image. `perturb` maps a
block to what RTIL adds to its features.
"""

import math

import numpy as np

FIR = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64


def correlate(x, weight, padding=0, stride=1):
    """y[o, p, q] = sum over i, r, s of x[i, p + r, q + s] weight[o, i, r, s]."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    rows, columns = weight.shape[2:]
    height, width = x.shape[2] - rows + 1, x.shape[3] - columns + 1
    return sum(
        np.einsum(
            "bihw,oi->bohw",
            x[:, :, r : r + height : stride, s : s + width : stride],
            weight[:, :, r, s],
        )
        for r in range(rows)
        for s in range(columns)
    )


def scatter(x, weight):
    """A transposed convolution of stride 2: x[h] adds weight[k] to 2 h + k."""
    batch, _, height, width = x.shape
    y = np.zeros((batch, weight.shape[0], 2 * height + 1, 2 * width + 1))
    for r in range(3):
        for s in range(3):
            part = np.einsum("bihw,oi->bohw", x, weight[:, :, r, s])
            y[:, :, r : r + 2 * height : 2, s : s + 2 * width : 2] += part
    return y


def fir(x, before, after, gain=1.0):
    x = np.pad(x, ((0, 0), (0, 0), (before, after), (before, after)))
    weight = np.einsum("rs,oi->oirs", gain * FIR, np.eye(x.shape[1]))
    return correlate(x, weight)


def zero_insert(x):
    batch, channels, height, width = x.shape
    y = np.zeros((batch, channels, 2 * height, 2 * width))
    y[:, :, ::2, ::2] = x
    return y


def leaky_relu(x, gain=1.0):
    return np.where(x < 0, 0.2 * x, x) * gain


def normalise(x):
    return x / np.sqrt(np.mean(x**2, axis=1, keepdims=True) + 1e-8)


def per_channel(bias):
    return bias.reshape(1, -1, 1, 1)


def double(x):
    """Bilinear, half-pixel centres, edges repeated."""
    for axis in (2, 3):
        x = np.moveaxis(x, axis, 0)
        padded = np.concatenate([x[:1], x, x[-1:]])
        even, odd = 0.25 * padded[:-2] + 0.75 * x, 0.75 * x + 0.25 * padded[2:]
        x = np.stack([even, odd], 1).reshape(-1, *x.shape[1:])
        x = np.moveaxis(x, 0, axis)
    return x


def float64(tensors):
    return {key: np.asarray(tensor, np.float64) for key, tensor in tensors.items()}


# StyleGAN2


def mapping(state, z):
    state, w, layer = float64(state), normalise(np.asarray(z, np.float64)), 1
    while f"style.{layer}.weight" in state:
        weight, bias = state[f"style.{layer}.weight"], state[f"style.{layer}.bias"]
        scale = 0.01 / math.sqrt(weight.shape[1])
        w = leaky_relu(w @ (scale * weight).T + 0.01 * bias, math.sqrt(2))
        layer += 1
    return w


def modulated(state, key, x, style, convolve, demodulate=True):
    """Every image by its own kernel."""
    matrix = state[f"{key}.modulation.weight"] / math.sqrt(style.shape[1])
    scales = style @ matrix.T + state[f"{key}.modulation.bias"]
    weight = state[f"{key}.weight"][0]
    weight = weight / math.sqrt(math.prod(weight.shape[1:]))
    images = []
    for image, scale in zip(x, scales, strict=True):
        own = weight * scale[None, :, None, None]
        if demodulate:
            power = np.sum(own**2, axis=(1, 2, 3), keepdims=True)
            own = own / np.sqrt(power + 1e-8)
        images.append(convolve(image[None], own))
    return np.concatenate(images)


def same_size(x, weight):
    return correlate(x, weight, padding=weight.shape[2] // 2)


def twice_the_size(x, weight):
    return fir(scatter(x, weight), 1, 1, gain=4)


def stylegan2(state, styles, noises, perturb):
    """Styles `(batch, layers, latent_dim)`, noise maps `(batch, 1, r, r)`."""
    state, features, image = float64(state), [], 0.0
    x = state["input.input"].repeat(len(styles), axis=0)
    layer = 0

    def styled(key, x, convolve):
        nonlocal layer
        x = modulated(state, f"{key}.conv", x, styles[:, layer], convolve)
        x = x + state[f"{key}.noise.weight"] * noises[layer]
        layer += 1
        bias = per_channel(state[f"{key}.activate.bias"])
        return leaky_relu(x + bias, math.sqrt(2))

    for block in range(1, len(noises) // 2 + 2):
        if block == 1:
            x, rgb = styled("conv1", x, same_size), "to_rgb1"
        else:
            x = styled(f"convs.{2 * block - 4}", x, twice_the_size)
            x = styled(f"convs.{2 * block - 3}", x, same_size)
            rgb, image = f"to_rgbs.{block - 2}", fir(zero_insert(image), 2, 1, 4)
        features.append(x)
        x = x + perturb.get(block, 0.0)
        style = styles[:, 2 * block - 1]
        new = modulated(state, f"{rgb}.conv", x, style, same_size, demodulate=False)
        image = image + new + state[f"{rgb}.bias"]
    return features, image


def with_stddev(x):
    """One more channel: the mean deviation over the whole batch."""
    deviation = np.sqrt(x.var(axis=0) + 1e-8).mean()
    return np.concatenate([x, np.full_like(x[:, :1], deviation)], axis=1)


def stylegan2_discriminator(state, images):
    """Of at most 4 images, which are one group."""
    state, x = float64(state), np.asarray(images, np.float64)

    def conv(key, x, index=0, stride=1, padding=0, bias=True):
        weight = state[f"{key}.{index}.weight"]
        scale = 1 / math.sqrt(math.prod(weight.shape[1:]))
        y = correlate(x, scale * weight, padding, stride)
        if not bias:
            return y
        bias = per_channel(state[f"{key}.{index + 1}.bias"])
        return leaky_relu(y + bias, math.sqrt(2))

    x, block = conv("convs.0", x), 1
    while f"convs.{block}.skip.1.weight" in state:
        key = f"convs.{block}"
        y = conv(f"{key}.conv1", x, padding=1)
        y = conv(f"{key}.conv2", fir(y, 2, 2), index=1, stride=2)
        skip = conv(f"{key}.skip", fir(x, 1, 1), index=1, stride=2, bias=False)
        x, block = (y + skip) / math.sqrt(2), block + 1
    x = conv("final_conv", with_stddev(x), padding=1).reshape(len(x), -1)
    for layer, gain in ((0, math.sqrt(2)), (1, None)):
        weight = state[f"final_linear.{layer}.weight"]
        x = x @ weight.T / math.sqrt(weight.shape[1])
        x = x + state[f"final_linear.{layer}.bias"]
        x = leaky_relu(x, gain) if gain else x
    return x[:, 0]


# PGGAN


def equalized(weight):
    """sqrt(2 / fan in), where the fan in is that of the second axis."""
    return weight * math.sqrt(2 / math.prod(weight.shape[1:]))


def rtil_layer(state, key, x, padding=1):
    weight = equalized(state[f"{key}.weight_orig"])
    y = correlate(x, weight, padding) + per_channel(state[f"{key}.bias"])
    return leaky_relu(normalise(y))


def rtil_pixelwise(state, key, x):
    weight = equalized(state[f"{key}.weight_orig"])
    return correlate(x, weight) + per_channel(state[f"{key}.bias"])


def pggan(state, z, perturb):
    state, features = float64(state), []
    weight = equalized(state["input_layer.0.conv.weight_orig"])
    x = np.einsum("bi,iohw->bohw", z, weight)
    x = leaky_relu(normalise(x + per_channel(state["input_layer.0.conv.bias"])))
    size = 4
    while f"progression_{size}.conv.0.conv.bias" in state:
        x = double(x) if size > 4 else x
        for layer in (0, 3):
            x = rtil_layer(state, f"progression_{size}.conv.{layer}.conv", x)
        features.append(x)
        x = x + perturb.get(len(features), 0.0)
        size *= 2
    return features, rtil_pixelwise(state, f"to_rgb_{size // 2}.conv", x)


def pggan_discriminator(state, images):
    """Minibatch-stddev over the whole batch."""
    state, x, block = float64(state), np.asarray(images, np.float64), 0
    x = rtil_pixelwise(state, "from_rgb.0.conv", x)
    while x.shape[2] > 1:
        last = x.shape[2] == 4
        x = with_stddev(x) if last else x
        x = rtil_layer(state, f"progression.{block}.conv.0.conv", x)
        padding = 0 if last else 1
        x = rtil_layer(state, f"progression.{block}.conv.3.conv", x, padding)
        if not last:
            halves = x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[3] // 2, 2)
            x = halves.mean(axis=(3, 5))
        block += 1
    weight = equalized(state["linear.linear.weight_orig"])
    return (x[:, :, 0, 0] @ weight.T + state["linear.linear.bias"])[:, 0]


def official_pggan(state, z, perturb):
    state, features = float64(state), []
    x = np.asarray(z, np.float64)[:, :, None, None]

    def layer(key, x, padding, gain=2**0.5):
        weight = state[f"{key}.conv.weight"]
        scale = gain / math.sqrt(math.prod(weight.shape[1:]))
        y = correlate(x, weight, padding) * scale
        return y + per_channel(state[f"{key}.wscale.bias"])

    block = 0
    while f"output{block}.conv.weight" in state:
        x = normalise(x)
        x = x.repeat(2, axis=2).repeat(2, axis=3) if block else x
        x = leaky_relu(layer(f"layer{2 * block}", x, padding=1 if block else 3))
        x = leaky_relu(layer(f"layer{2 * block + 1}", normalise(x), padding=1))
        features.append(x)
        block += 1
        x = x + perturb.get(block, 0.0)
    return features, layer(f"output{block - 1}", normalise(x), 0, gain=1.0)
