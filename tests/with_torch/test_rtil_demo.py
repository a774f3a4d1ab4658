"""The public demo's step in PyTorch, as its formulas are run there, where it is there.

pip install torch  # not needed by anything else in the suite
"""

import math

import jax
import numpy as np
import pytest

from tests.inversion import rtil_demo as demo

torch = pytest.importorskip("torch")
functional = torch.nn.functional

FIR = torch.tensor(np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 16, dtype=torch.float32)


def to_torch(tree):
    return jax.tree.map(lambda x: torch.tensor(np.asarray(x)), tree)


def channels_first(x):
    return torch.movedim(x, -1, 0)[None]


def filtered(x):
    return functional.conv2d(x.transpose(0, 1), FIR[None, None]).transpose(0, 1)


def modulated(params, x, style, up=False, demodulate=True):
    kernel = params["kernel"].permute(3, 2, 0, 1)
    dense = params["modulation"]
    scales = functional.linear(
        style, dense["kernel"].T / math.sqrt(len(style)), dense["bias"]
    )
    kernel = kernel / math.sqrt(kernel[0].numel()) * scales[None, :, None, None]
    if demodulate:
        kernel = kernel * torch.rsqrt(kernel.pow(2).sum([1, 2, 3], True) + 1e-8)
    if up:
        longer = functional.conv_transpose2d(x, kernel.transpose(0, 1), stride=2)
        return filtered(functional.pad(longer, [1, 1, 1, 1]))
    return functional.conv2d(x, kernel, padding=kernel.shape[-1] // 2)


def styled(params, x, style, noise, up=False):
    x = modulated(params["conv"], x, style, up)
    x = x + params["noise_strength"] * noise + params["bias"][None, :, None, None]
    return functional.leaky_relu(x, 0.2) * math.sqrt(2)


def block(params, k, x, w, noises):
    if k == 0:
        return styled(params["convs_0"], x, w[0], noises[0])
    x = styled(params[f"up_convs_{k - 1}"], x, w[2 * k - 1], noises[2 * k - 1], True)
    return styled(params[f"convs_{k}"], x, w[2 * k], noises[2 * k])


def doubled(rgb):
    """Zero insertion, then the filter."""
    batch, channels, height, width = rgb.shape
    zeros = torch.zeros(batch, channels, height, 2, width, 2)
    zeros[:, :, :, 0, :, 0] = rgb
    zeros = zeros.reshape(batch, channels, 2 * height, 2 * width)
    return filtered(functional.pad(zeros, [2, 1, 2, 1]))


def image(params, stage, x, w, noises):
    """From features after block `stage`; the RGB of blocks up to it is left out."""
    rgb = None
    for k in range(stage, 4):
        x = block(params, k, x, w, noises)
        head = params[f"to_rgbs_{k}"]
        new = modulated(head["conv"], x, w[2 * k + 1], demodulate=False)
        new = new + head["bias"][None, :, None, None]
        rgb = new if rgb is None else doubled(rgb) + new
    return rgb[0]


def geocross(z):
    first, second = z[:, None], z[None]
    far = ((first - second).pow(2).sum(-1) + 1e-9).sqrt()
    near = ((first + second).pow(2).sum(-1) + 1e-9).sqrt()
    return z.shape[-1] * (2 * torch.atan2(far, near)).pow(2).mean() / 8


def mapped(fit, z):
    return functional.leaky_relu(fit.std * z + fit.mean, 0.2)


def demo_steps(stage, index):
    """[(loss, score, z, noises, features)] of one image, and what it started from."""
    prior, (latents, z_1) = demo.prior(), demo.variables()
    params, fit = to_torch((prior.variables["params"], prior.style_fit))
    z = to_torch(latents["styles"])[index]
    noises = [channels_first(to_torch(x)[index]) for x in latents["noises"]]
    x = channels_first(params["constant"][0])
    for k in range(stage):
        x = block(params, k, x, mapped(fit, z), noises)
        x = x + channels_first(to_torch(z_1)[index]) if k == 0 else x
    start = [y.clone() for y in (z, *noises, x)]
    moved = [z, *noises[: 5 + 2 * stage], *([x] if stage else [])]
    optimizer = torch.optim.Adam([y.requires_grad_() for y in moved])

    operator = jax.tree.map(lambda leaf: leaf[index], demo.problem().operators)
    spectrum, signs, mask = to_torch((operator.spectrum, operator.signs, operator.mask))
    response = torch.fft.fft(torch.fft.irfft(spectrum, n=len(signs)))

    def measured(pixels):
        product = torch.fft.fft(signs * pixels.reshape(-1)) * response
        return torch.fft.ifft(product).real[mask > 0]

    target = torch.tensor(demo.PIXELS[index] / 255, dtype=torch.float32)
    target = target.permute(2, 0, 1)  # in [0, 1]
    for rate in demo.RATES:
        found = image(params, stage, x, mapped(fit, z), noises)
        loss = functional.mse_loss(measured(found), measured(target))
        total = loss + demo.GEOCROSS * geocross(z) if stage == 0 else loss
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        with torch.no_grad():
            z *= start[0].norm(dim=1, keepdim=True) / z.norm(dim=1, keepdim=True)
            for noise, before in zip(noises, start[1:], strict=False):
                noise *= before.norm() / noise.norm()
        score = (found - target).pow(2).mean()
        yield [y.detach().clone() for y in (loss, score, z, *noises, x)], start


def last_axis(x):
    return np.moveaxis(x.numpy()[0], 0, -1)


@pytest.mark.parametrize("stage", demo.STAGES)
def test_two_steps_are_those_of_pytorch(stage):
    references = [demo_steps(stage, index) for index in range(demo.BATCH)]
    for ours, *images in zip(demo.our_steps(stage), *references, strict=True):
        for index, ((loss, score, z, *noises, x), start) in enumerate(images):
            np.testing.assert_allclose(ours.loss[index], loss, rtol=1e-4)
            np.testing.assert_allclose(ours.score[index], score, rtol=1e-4)
            latents = ours.free["latents"]
            pairs = [(latents["styles"], z.numpy(), start[0].numpy())]
            free = [noise for noise in latents["noises"] if noise is not None]
            assert len(free) == min(5 + 2 * stage, demo.MAPS)
            for found, *expected in zip(free, noises, start[1:], strict=False):
                pairs.append((found, *map(last_axis, expected)))
            if stage:
                moved = last_axis(x - start[-1])
                pairs.append((ours.free["intermediates"][stage], moved, 0 * moved))
            for found, *expected in pairs:
                demo.assert_moved_alike(found[index], *expected)
