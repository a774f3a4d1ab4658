"""LPIPS and its networks in loops over pixels, float64, straight from the definitions.

Convolutions are sums over windows of the padded image; layers are written one by one.
"""

import numpy as np

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def normalise(images):
    """[-1, 1] to [0, 1], then ImageNet's mean 0 and deviation 1."""
    images = np.asarray(images, np.float64)
    if images.shape[-1] == 1:
        images = np.repeat(images, 3, axis=-1)
    return ((images + 1) / 2 - MEAN) / DEVIATION


def windows(x, size, stride):
    """Yields (row, column, window `(batch, size, size, channels)`)."""
    for row in range((x.shape[1] - size) // stride + 1):
        for column in range((x.shape[2] - size) // stride + 1):
            top, left = row * stride, column * stride
            yield row, column, x[:, top : top + size, left : left + size]


def assemble(x, size, stride, value):
    """The image of `value(window)`."""
    pixels = {(r, c): value(window) for r, c, window in windows(x, size, stride)}
    rows, columns = max(pixels)
    return np.stack(
        [
            np.stack([pixels[r, c] for c in range(columns + 1)], axis=1)
            for r in range(rows + 1)
        ],
        axis=1,
    )


def conv_relu(x, layer, stride, padding):
    kernel, bias = (np.asarray(part, np.float64) for part in layer)
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))

    def value(window):
        return np.maximum(np.tensordot(window, kernel, 3) + bias, 0)

    return assemble(x, kernel.shape[0], stride, value)


def max_pool(x, size):
    return assemble(x, size, 2, lambda window: window.max(axis=(1, 2)))


def alexnet(images, layers):
    relu1 = conv_relu(normalise(images), layers[0], 4, 2)
    relu2 = conv_relu(max_pool(relu1, 3), layers[1], 1, 2)
    relu3 = conv_relu(max_pool(relu2, 3), layers[2], 1, 1)
    relu4 = conv_relu(relu3, layers[3], 1, 1)
    return [relu1, relu2, relu3, relu4, conv_relu(relu4, layers[4], 1, 1)]


def vgg16(images, layers):
    """relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3."""
    x, layers, found = normalise(images), iter(layers), []
    for depth in (2, 2, 3, 3, 3):
        if found:
            x = max_pool(x, 2)
        for _ in range(depth):
            x = conv_relu(x, next(layers), 1, 1)
        found.append(x)
    return found


def lpips(activations, heads, x, y):
    """Zhang et al. 2018, equation (1)."""
    total = np.zeros(len(x))
    for a, b, head in zip(activations(x), activations(y), heads, strict=True):
        difference = unit(a) - unit(b)
        weighted = (np.asarray(head, np.float64) * difference**2).sum(axis=-1)
        total += weighted.mean(axis=(1, 2))
    return total


def unit(x):
    return x / (np.sqrt((x**2).sum(axis=-1, keepdims=True)) + 1e-10)
