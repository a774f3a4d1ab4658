"""Converted networks against the public formulas, in NumPy (see `public_networks`)."""

import jax
import numpy as np
import pytest

from rtil_jax.discriminators import PGGANDiscriminator, StyleGAN2Discriminator
from rtil_jax.generators.configured import build_generator, network_fields
from tests.convert import checkpoints, public_networks
from tests.convert.parity import BATCH, check_parity, converted, our_scores


@pytest.mark.parametrize(
    "widths, fields",
    [
        ((6, 5, 3), {"mapping_layers": 8}),
        ((4, 4), {"channels": 1, "latent_dim": 5, "mapping_layers": 1}),
    ],
)
def test_stylegan2(widths, fields):
    state = checkpoints.stylegan2(widths, **fields)

    def reference(latents, perturb):
        styles, noises = latents["styles"], latents["noises"]
        return public_networks.stylegan2(state, styles, noises, perturb)

    check_parity({"g_ema": state}, reference)


@pytest.mark.parametrize("widths, fields", [((6, 5, 3), {}), ((4, 4), {"channels": 1})])
@pytest.mark.parametrize("layout", ["pggan", "official_pggan"])
def test_pggan(layout, widths, fields):
    state = getattr(checkpoints, layout)(widths, **fields)
    network = getattr(public_networks, layout)

    def reference(latents, perturb):
        return network(state, np.asarray(latents["z"], np.float64), perturb)

    tree = state if layout == "official_pggan" else {"g_ema": state}
    check_parity(tree, reference)


def test_mapping_network():
    state = checkpoints.stylegan2((4, 4), latent_dim=6, mapping_layers=8)
    found = converted({"g_ema": state})
    generator = build_generator(found.config)
    z = np.random.default_rng(0).standard_normal((5, 6), np.float32)
    apply = jax.jit(generator.apply, static_argnames="method")
    styles = apply(found.ema, z, method="map_styles")
    expected = public_networks.mapping(state, z)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(styles[:, 0], expected, rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "layout, network",
    [("stylegan2", StyleGAN2Discriminator), ("pggan", PGGANDiscriminator)],
)
def test_discriminators(layout, network, channels):
    """Of a batch that minibatch-stddev takes as one group, here and there."""
    widths, name = (6, 5, 3), f"{layout}_discriminator"
    g = getattr(checkpoints, layout)(widths, channels)
    d = getattr(checkpoints, name)(widths, channels)
    found = converted({"g": g, "d": d})
    images = np.random.default_rng(0).standard_normal((BATCH, channels, 16, 16))
    discriminator = network(**network_fields(found.config.discriminator))
    expected = getattr(public_networks, name)(d, images)
    scores = our_scores(found, images.astype(np.float32), discriminator)
    np.testing.assert_allclose(
        scores, expected, rtol=0, atol=1e-4 * np.abs(expected).max()
    )
    assert abs(expected[0] - expected[1]) > 1e-2 * np.abs(expected).max()
