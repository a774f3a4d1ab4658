"""Whether the contenders of `benchmarks/` compute the same thing.

Needs PyTorch, which the library does not, so it is not collected by default:

    pip install torch
    python -m pytest tests/with_torch/test_benchmarks.py
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from benchmarks import ours, torch_inversion
from benchmarks.torch_baselines import (
    PGGAN,
    BestStyle,
    PublicStyle,
    StyleGAN2,
    numpy_tree,
    tensor,
)
from rtil_jax import generators
from rtil_jax.inversion.problems import measurement_loss
from rtil_jax.inversion.solutions import render
from rtil_jax.inversion.stages import put_free, take_free
from tests.references.stylegan2 import assert_close, random_variables


def random_weights(generator):
    return random_variables(lambda key: generators.init(generator, key))


def expected(task):
    """(images, gradient of the sum of the objectives) of our own."""

    def objective(free):
        prior, stage = task.prior, task.stage
        variables = put_free(task.mask, free, task.start)
        images = render(
            prior.generator, prior.variables, stage.decode(prior, variables)
        )
        loss = measurement_loss(task.problem, images)
        return jnp.sum(loss + stage.penalty(variables, images, task.problem)), images

    free = take_free(task.mask, task.start)
    grads, images = jax.grad(objective, has_aux=True)(free)
    return images, ours.named(grads)


def found(render, losses, variables):
    """(images, gradient of every variable that has one)."""
    _, images = torch_inversion.gradient(render, losses, variables)
    grads = {name: x.grad for name, x in variables.items() if x.grad is not None}
    return numpy_tree((images, grads))


@pytest.mark.parametrize("loss", ["public_losses", "best_losses"])
@pytest.mark.parametrize("style", [PublicStyle, BestStyle])
@pytest.mark.parametrize("block", [0, 2])
def test_ilo_in_pytorch_has_our_image_and_our_gradient(block, style, loss):
    generator = generators.StyleGAN2Generator(16, max_channels=12, latent_dim=8)
    task = ours.ilo(generator, random_weights(generator), block, batch=2)
    network = StyleGAN2(task.prior.variables, style)
    losses = getattr(torch_inversion.Circulant.of(task.problem), loss)()
    image, grads = found(
        torch_inversion.ilo_render(network, **ours.ilo_constants(task)),
        losses,
        torch_inversion.trainable(ours.ilo_variables(task)),
    )
    true_image, true_grads = expected(task)
    assert_close(image, true_image)
    intermediates = true_grads.pop("intermediates")
    if block:
        true_grads["features"] = intermediates[block]
    assert len(grads) >= 4
    for name, true in true_grads.items():
        if name in grads:
            assert_close(grads[name], true)
        else:  # earlier noise maps: PyTorch leaves them out, ours are zeros
            assert name.startswith("noise") and not np.any(true)


@pytest.mark.parametrize("loop", [True, False])
def test_mganprior_in_pytorch_has_our_image_and_our_gradient(loop):
    generator = generators.PGGANGenerator(16, max_channels=12, latent_dim=8)
    task = ours.mganprior(generator, random_weights(generator), 2, batch=2, codes=3)
    network = PGGAN(task.prior.variables)
    losses = torch_inversion.Circulant.of(task.problem).best_losses()
    image, grads = found(
        torch_inversion.mganprior_render(network, 2, loop),
        losses,
        torch_inversion.trainable(ours.mganprior_variables(task)),
    )
    true_image, true_grads = expected(task)
    assert_close(image, true_image)
    assert_close(grads["codes"], true_grads["z"])
    assert_close(grads["weights"], true_grads["weights"])


def test_pytorch_in_bfloat16_has_nearly_the_same_images_and_gradients():
    styled = generators.StyleGAN2Generator(16, max_channels=12, latent_dim=8)
    grown = generators.PGGANGenerator(16, max_channels=12, latent_dim=8)
    one = ours.ilo(styled, random_weights(styled), 2, batch=2)
    two = ours.mganprior(grown, random_weights(grown), 2, batch=2, codes=3)
    networks = StyleGAN2(one.prior.variables, BestStyle), PGGAN(two.prior.variables)
    for task, network, variables in (
        (one, networks[0], ours.ilo_variables(one)),
        (two, networks[1], ours.mganprior_variables(two)),
    ):
        losses = torch_inversion.Circulant.of(task.problem).best_losses()

        def result(make, network=network, task=task, losses=losses, start=variables):
            if isinstance(network, PGGAN):
                render = torch_inversion.mganprior_render(network, 2, False)
            else:
                constants = ours.ilo_constants(task)
                render = torch_inversion.ilo_render(network, **constants)
            return found(make(render), losses, torch_inversion.trainable(start))

        exact = result(lambda render: render)
        network.narrowed()
        narrow = result(torch_inversion.autocast)
        errors = [
            np.linalg.norm(x - y) / np.linalg.norm(x)
            for x, y in zip(*map(jax.tree.leaves, (exact, narrow)), strict=True)
        ]
        # As ours: gradients lose more of their digits than images.
        assert 0 < errors[0] < 0.05 and max(errors) < 0.25


def test_steps_of_both_baselines_descend():
    generator = generators.StyleGAN2Generator(16, max_channels=12, latent_dim=8)
    task = ours.ilo(generator, random_weights(generator), 0, batch=1)
    problem = torch_inversion.Circulant.of(task.problem)
    makers = {
        PublicStyle: (torch_inversion.public_steps, problem.public_losses()),
        BestStyle: (torch_inversion.best_steps, problem.best_losses()),
    }
    ends = []
    for style, (make, losses) in makers.items():
        network = StyleGAN2(task.prior.variables, style)
        image = torch_inversion.ilo_render(network, **ours.ilo_constants(task))
        variables = torch_inversion.trainable(ours.ilo_variables(task))
        step, before = make(image, losses, variables), losses(image(variables))
        for _ in range(5):
            step()
        after = losses(image(variables))
        assert after < 0.9 * before
        ends.append(after.item())
    np.testing.assert_allclose(*ends, rtol=1e-2)


def test_tensors_of_images_are_channels_first():
    assert tensor(np.zeros((1, 2, 3, 4))).shape == torch.Size([1, 4, 2, 3])
