"""The page on own generators runs as printed, and what it trains is a prior."""

import re

import jax
import jax.numpy as jnp
import pytest

from rtil_jax.inversion import CSGM, MGANPrior, Surgery, invert

PAGE = "docs/own_generator.md"


@pytest.fixture(scope="module")
def page():
    """The names that the page's code has defined, after all of it."""
    with open(PAGE, encoding="utf-8") as file:
        blocks = re.findall(r"```python\n(.*?)```", file.read(), re.DOTALL)
    names = {}
    for block in blocks:
        exec(compile(block, PAGE, "exec"), names)
    return names


def test_the_page_uses_no_private_name():
    with open(PAGE, encoding="utf-8") as file:
        text = file.read()
    assert not re.search(r"rtil_jax[\w.]*\._|import _", text)


@pytest.mark.parametrize("name", ["linen", "nnx"])
def test_every_cut_keeps_the_laws_after_training(page, name):
    generator = page["generator" if name == "linen" else "nnx_generator"]
    variables = page["state" if name == "linen" else "nnx_state"].ema
    latents = {"z": page["z"]}
    for block in (1, 2, 3):
        shape = (4, *generator.intermediate_shape(block))
        z_k = jax.random.normal(jax.random.key(block), shape)
        features = generator.apply(variables, latents, block, method="head")
        assert features.shape == shape
        for moved, intermediates in ((features, {}), (features + z_k, {block: z_k})):
            image = generator.apply(variables, moved, latents, block, method="tail")
            expected = generator.apply(variables, latents, intermediates)
            assert image.shape == (4, 8, 8, 1)
            assert jnp.allclose(image, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["linen", "nnx"])
def test_training_has_learnt_what_the_images_are(page, name):
    """Every image is constant along its columns; at first no sample is."""
    generator = page["generator" if name == "linen" else "nnx_generator"]
    state = page["state" if name == "linen" else "nnx_state"]
    recipe = page["recipe_of"](generator)
    start = recipe.fresh_state(jax.random.key(0))

    def unevenness(params):
        rows = recipe.sample(params, 0, 16)[0]  # of G^0
        return float(jnp.mean(jnp.var(rows, axis=1)) / jnp.mean(jnp.var(rows, axis=2)))

    assert int(state.step) == 200
    assert unevenness(state.ema) < 0.2 * unevenness(start.ema)


def test_members_of_the_family_differ(page):
    assert page["rows"].shape == (3, 4, 8, 8, 1)
    assert not jnp.allclose(page["rows"][0], page["rows"][2], atol=0.01)


@pytest.mark.parametrize("name", ["found", "found_with_nnx"])
def test_unseen_pixels_are_recovered_better_than_by_the_mean_image(page, name):
    images, mask = page["images"], page["problem"].operators.mask
    mean = jnp.mean(images, axis=0, keepdims=True)

    def error(guess):
        return float(jnp.sum(((1 - mask) * (guess - images[:4]) ** 2)[..., 0]))

    assert error(page[name].images) < 0.8 * error(mean)


@pytest.mark.parametrize(
    "method",
    [CSGM(5), MGANPrior(2, 1, steps=5), Surgery(1, 5)],
    ids=lambda m: type(m).__name__,
)
def test_other_methods_run_on_it(page, method):
    found = invert(method, page["prior"], page["problem"], page["keys"])
    assert found.images.shape == (4, 8, 8, 1)
    assert found.status == ["ok"] * 4
