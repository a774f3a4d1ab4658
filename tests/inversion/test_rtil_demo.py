"""The public demo's step, from its formulas, against the solver's.

The reference is for one image, channels first, with a kernel of its own per image as
the public code has it: nothing of `rtil_jax` is in it but the names of parameters.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.parity import rtil_demo
from rtil_jax.experiments.inversion.inversion_entries import build_method
from rtil_jax.inversion import Problem
from rtil_jax.operators import Denoising
from tests.inversion import rtil_demo as demo

FIR = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 16  # sum 4


def correlate(x, kernel, padding, dilation=1):
    """x `(in, h, w)`, kernel `(out, in, k, k)`; zeros between pixels if dilated."""
    return jax.lax.conv_general_dilated(
        x[None], kernel, (1, 1), [padding] * 2, lhs_dilation=(dilation,) * 2
    )[0]


def filtered(x, padding, dilation=1):
    planes = [correlate(p[None], FIR[None, None], padding, dilation) for p in x]
    return jnp.concatenate(planes)


def modulated(params, x, style, up=False, demodulate=True):
    kernel = params["kernel"].transpose(3, 2, 0, 1)
    dense = params["modulation"]
    scales = style @ dense["kernel"] / math.sqrt(len(style)) + dense["bias"]
    kernel = kernel / math.sqrt(kernel[0].size) * scales[None, :, None, None]
    if demodulate:
        power = jnp.sum(kernel**2, axis=(1, 2, 3), keepdims=True)
        kernel = kernel / jnp.sqrt(power + 1e-8)
    if up:  # the transpose of a convolution with stride 2, then the blur
        longer = correlate(x, kernel[:, :, ::-1, ::-1], (2, 2), dilation=2)
        return filtered(longer, (1, 1))
    width = kernel.shape[-1] // 2
    return correlate(x, kernel, (width, width))


def styled(params, x, style, noise, up=False):
    x = modulated(params["conv"], x, style, up)
    x = x + params["noise_strength"] * noise + params["bias"][:, None, None]
    return jnp.where(x < 0, 0.2 * x, x) * math.sqrt(2)


def block(params, k, x, w, noises):
    """Features after block k + 1 from those after block k."""
    if k == 0:
        return styled(params["convs_0"], x, w[0], noises[0])
    x = styled(params[f"up_convs_{k - 1}"], x, w[2 * k - 1], noises[2 * k - 1], True)
    return styled(params[f"convs_{k}"], x, w[2 * k], noises[2 * k])


def image(params, stage, features, w, noises):
    """From the features after block `stage`, the RGB of blocks up to it left out."""
    x, rgb = features, 0.0
    for k in range(stage, 4):
        x = block(params, k, x, w, noises)
        head = params[f"to_rgbs_{k}"]
        new = modulated(head["conv"], x, w[2 * k + 1], demodulate=False)
        rgb = rgb if k == stage else filtered(rgb, (2, 2), dilation=2)
        rgb = rgb + new + head["bias"][:, None, None]
    return rgb


def circulant(operator, x):
    """Re IFFT(FFT(signs * x) FFT(filter)) where measured; nothing is normalised."""
    response = jnp.fft.irfft(operator.spectrum, n=x.size)  # the filter itself
    spectra = jnp.fft.fft(operator.signs * x.reshape(-1)), jnp.fft.fft(response)
    return jnp.fft.ifft(spectra[0] * spectra[1]).real * operator.mask


def geocross(z):
    """512 (2 atan2(|a - b|, |a + b|))^2 / 8, over all pairs of layers, in the mean."""
    total = 0.0
    for a in z:
        for b in z:
            far, near = (jnp.sqrt(jnp.sum(x**2) + 1e-9) for x in (a - b, a + b))
            total = total + z.shape[-1] * (2 * jnp.arctan2(far, near)) ** 2 / 8
    return total / len(z) ** 2


def noise_planes(noises):
    return [noise.transpose(2, 0, 1) for noise in noises]


def render(params, fit, stage, free, kept):
    w = fit.std[None] * free["z"] + fit.mean[None]
    w = jnp.where(w < 0, 0.2 * w, w)
    noises = noise_planes((*free["noises"], *kept))
    features = params["constant"][0].transpose(2, 0, 1)
    return image(params, stage, free.get("features", features), w, noises)


def losses(params, fit, operator, target, stage, free, kept):
    """(total, (mean squared error of measurements, of the image))."""
    found = render(params, fit, stage, free, kept)
    residual = circulant(operator, found) - circulant(operator, target)
    mse = jnp.sum(residual**2) / jnp.sum(operator.mask)
    total = mse + demo.GEOCROSS * geocross(free["z"]) if stage == 0 else mse
    return total, (mse, jnp.mean((found - target) ** 2))


def to_norms(free, start):
    """Each layer's z and each noise map back to the norm that it started with."""

    def rescaled(x, x_0, axes):
        def norm(v):
            return jnp.sqrt(jnp.sum(v**2, axis=axes, keepdims=True))

        return x * norm(x_0) / norm(x)

    maps = zip(free["noises"], start["noises"], strict=True)
    noises = tuple(rescaled(x, x_0, (0, 1, 2)) for x, x_0 in maps)
    return free | {"z": rescaled(free["z"], start["z"], 1), "noises": noises}


def start_of(params, fit, stage, latents, z_1):
    """(free, kept) of one image, features after block `stage` among the free."""
    z, noises = latents["styles"], latents["noises"]
    moved = 5 + 2 * stage
    free = {"z": z, "noises": noises[:moved]}
    if stage:
        w = fit.std[None] * z + fit.mean[None]
        w = jnp.where(w < 0, 0.2 * w, w)
        x = params["constant"][0].transpose(2, 0, 1)
        for k in range(stage):
            x = block(params, k, x, w, noise_planes(noises))
            x = x + z_1.transpose(2, 0, 1) if k == 0 else x
        free["features"] = x
    return free, noises[moved:]


@functools.partial(jax.jit, static_argnums=1)
def begun(prior, stage, latents, z_1):
    """(start, kept) of every image."""
    start = functools.partial(
        start_of, prior.variables["params"], prior.style_fit, stage
    )
    return jax.vmap(start)(latents, z_1)


@functools.partial(jax.jit, static_argnums=1)
def demo_step(prior, stage, operators, pixels, start, kept, state, count, rate):
    """(the state after one step, loss, score), per image; count is 1 at the first."""
    fit = prior.style_fit

    def one_image(operator, pixels, start, kept, state):
        free, first, second = state  # Adam's moments
        target = (pixels / 255.0).transpose(2, 0, 1)  # in [0, 1]: not normalised
        gradient, (mse, score) = jax.grad(losses, 5, has_aux=True)(
            prior.variables["params"], fit, operator, target, stage, free, kept
        )
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, second, gradient)

        def adam(x, m, v):
            m, v = m / (1 - 0.9**count), v / (1 - 0.999**count)
            return x - rate * m / (jnp.sqrt(v) + 1e-8)

        free = to_norms(jax.tree.map(adam, free, first, second), start)
        return (free, first, second), mse, score

    return jax.vmap(one_image)(operators, pixels, start, kept, state)


def compare(ours, free, start, mse, score, relative=1e-4):
    """Asserts that a step of the solver is that of the formulas."""
    np.testing.assert_allclose(ours.loss, mse, rtol=relative)
    np.testing.assert_allclose(ours.score, score, rtol=relative)
    latents = ours.free["latents"]
    pairs = [(latents["styles"], free["z"], start["z"])]
    moved = [x for x in latents["noises"] if x is not None]
    pairs += zip(moved, free["noises"], start["noises"], strict=True)
    for z_k in jax.tree.leaves(ours.free["intermediates"]):
        # The demo moves the features themselves.
        moved = np.moveaxis(free["features"] - start["features"], 1, -1)
        pairs.append((z_k, moved, np.zeros_like(moved)))
    for pair in pairs:
        demo.assert_moved_alike(*pair)


@pytest.mark.parametrize("stage", demo.STAGES)
def test_two_steps_are_those_of_the_public_demo(stage):
    prior, operators = demo.prior(), demo.problem().operators
    start, kept = begun(prior, stage, *demo.variables())
    assert len(start["noises"]) == min(5 + 2 * stage, demo.MAPS)
    moments = jax.tree.map(jnp.zeros_like, start)
    state = start, moments, moments
    for count, ours in enumerate(demo.our_steps(stage), 1):
        state, mse, score = demo_step(
            prior,
            stage,
            operators,
            demo.PIXELS,
            start,
            kept,
            state,
            float(count),
            demo.RATES[count - 1],
        )
        compare(ours, state[0], start, mse, score)


def test_geocross_is_the_demos():
    stage, (start, *_) = demo.begun(0)
    expected = [demo.GEOCROSS * geocross(z) for z in start["latents"]["styles"]]
    images = jnp.zeros((2, 2, 2, 1))
    problem = Problem(Denoising((2, 2, 1)), images)
    found = stage.penalty(start, images, problem)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_configs_numbers_are_the_demos():
    config = rtil_demo.get_config()
    assert tuple(config.method.steps) == (2_000, 1_000, 1_000, 1_000, 2_000)
    rates = [build_method(config, name).learning_rate for name in ("rtil", "vanilla")]
    assert rates == [0.2, 0.1]
    assert (config.select, config.problem) == ("oracle", "compressed_sensing")
    assert tuple(config.images.range) == (0, 1) and tuple(config.ratios) == (
        0.1,
        0.05,
        0.01,
    )
    assert not config.method.keep_skip and not config.perceptual.distance
    assert config.method.sphere and config.method.geocross == 0.01
    radii = config.method.noise_radii, config.method.style_radii
    assert (*radii, config.method.feature_radii) == ((), (), ())
