"""Whole programs lowered for a GPU: that needs none, and shows that they build."""

import jax
import jax.numpy as jnp
import pytest

from rtil_jax import devices
from rtil_jax.experiments.inversion.inversion_plan import plan_batch
from rtil_jax.experiments.training.configured_recipe import build_recipe, resolved
from rtil_jax.experiments.training.training_plan import programs_of
from rtil_jax.generators import PGGANGenerator, StyleGAN2Generator, init
from rtil_jax.inversion import ILO, MGANPrior, Prior
from rtil_jax.priors.prior import StyleFit
from tests.training.tiny_run import make_images, tiny_config, tiny_pggan_config

SIZE = dict(channels=1, max_channels=4, latent_dim=4)
SEARCHES = {
    "ilo": (ILO(steps=(2, 2)), StyleGAN2Generator(16, mapping_layers=1, **SIZE)),
    "mganprior": (MGANPrior(codes=2, block=2, steps=2), PGGANGenerator(16, **SIZE)),
}


def lowered(function, *arguments):
    """The program for CUDA, as text."""
    return jax.export.export(function, platforms=["cuda"])(*arguments).mlir_module()


def convolutions(text):
    """The element types of all convolutions."""
    lines = [line for line in text.splitlines() if "stablehlo.convolution(" in line]
    return {
        kind for kind in ("xf32>", "xbf16>") for line in lines if f"{kind} loc" in line
    }


@pytest.mark.parametrize(
    "name, precision",
    [("ilo", "float32"), ("ilo", "bfloat16"), ("mganprior", "bfloat16")],
)
def test_a_step_of_a_search(name, precision):
    method, generator = SEARCHES[name]
    variables = jax.eval_shape(lambda: init(generator, jax.random.key(0)))
    fit = StyleFit(jnp.zeros(4), jnp.ones(4)) if name == "ilo" else None
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), variables)
    prior = Prior(generator, zeros, fit).in_precision(precision)
    plan = plan_batch(prior, method, "compressed_sensing", 0.5, 2)
    found = convolutions(lowered(*plan.programs[-1]))
    assert ("xbf16>" in found) == (precision == "bfloat16")


CONFIGS = {"stylegan2": tiny_config, "pggan": tiny_pggan_config}
FIELDS = {"stylegan2": {}, "pggan": {"growing": "none"}}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_program_of_a_training_step(name, tmp_path):
    """In bfloat16; regularisers stay float32, R1 and path lengths as whole programs."""
    fields = {"resolution": 16, "precision": "bfloat16"} | FIELDS[name]
    config = CONFIGS[name](make_images(tmp_path / "images", 1), **fields)
    recipe, mesh = build_recipe(resolved(config, 1)), devices.data_mesh(1)
    with jax.set_mesh(mesh):
        programs = programs_of(recipe, mesh)
        found = {key: convolutions(lowered(*x)) for key, x in programs.items()}
    exact, narrow = {"xf32>"}, {"xf32>", "xbf16>"}
    adversarial = dict.fromkeys(("discriminator", "generator"), narrow)
    assert (
        found
        == {
            "stylegan2": adversarial | {"R1": exact, "path length": exact},
            "pggan": {"16-pixel": narrow},
        }[name]
    )
