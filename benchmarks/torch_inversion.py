"""One step of ILO and of mGANprior in PyTorch, as in public code and as fast as we can.

`public_steps` holds one image. In every step it transforms the measurement filter anew
by a complex FFT, measures the true image again, moves the losses to Python and copies
the best image so far, as the public code does; the codes of mGANprior go one by one.
`best_steps` holds a batch: real FFTs with the filter's spectrum and the measurements
kept, a fused Adam, and the best iterate of each image kept without asking the device.

Variables are a dict of tensors: `styles`, `noise_0`, ... and `features` for ILO,
`codes` and `weights` for mGANprior. Only those that have a gradient move.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.torch_baselines import ON_GPU, PGGAN, SLOPE, StyleGAN2, tensor

RATE = 0.1
GEOCROSS = 0.01

Variables = dict[str, Tensor]
Render = Callable[[Variables], Tensor]


@dataclasses.dataclass
class Circulant:
    """Partial circulant measurements of images `(batch, channels, height, width)`.

    Attributes:
        filter, signs, mask: `(batch, n)`, of our operator.
        truth: the images that were measured.
    """

    filter: Tensor
    signs: Tensor
    mask: Tensor
    truth: Tensor

    @classmethod
    def of(cls, problem: Any) -> "Circulant":
        """From our `Problem`."""
        operators = problem.operators
        spectrum = torch.tensor(np.asarray(operators.spectrum))
        signs, mask = tensor(operators.signs), tensor(operators.mask)
        filters = torch.fft.irfft(spectrum, n=signs.shape[-1])
        return cls(filters, signs, mask, tensor(problem.truth))

    def public_losses(self) -> Callable[[Tensor], Tensor]:
        """images -> ||A(G) - A(x)||^2 / m of each, transforming all of it anew."""
        rows = [torch.nonzero(mask)[:, 0] for mask in self.mask]
        rows = torch.stack(rows)

        def measure(images):
            u = torch.fft.fft(self.signs * images.flatten(1))
            v = torch.fft.ifft(u * torch.fft.fft(self.filter)).real
            return v.gather(1, rows)

        return lambda images: (measure(images) - measure(self.truth)).square().mean(1)

    def best_losses(self) -> Callable[[Tensor], Tensor]:
        """The same, with whatever does not change computed once."""
        spectrum, size = torch.fft.rfft(self.filter), self.signs.shape[-1]
        count = self.mask.sum(1)

        def measure(images):
            u = torch.fft.rfft(self.signs * images.flatten(1))
            return self.mask * torch.fft.irfft(u * spectrum, n=size)

        target = measure(self.truth)
        return lambda images: (measure(images) - target).square().sum(1) / count


def ilo_render(
    network: StyleGAN2, mean: Any, std: Any, kept: Sequence[Any], skip: Any
) -> Render:
    """Variables of an ILO stage -> images; the arguments are our arrays.

    Args:
        mean, std: of the style fit.
        kept: the noise maps that do not move.
        skip: the RGB of earlier blocks, where the network is cut.
    """
    mean, std, skip, *kept = map(tensor, (mean, std, skip, *kept))

    def render(variables: Variables) -> Tensor:
        styles = F.leaky_relu(std * variables["styles"] + mean, SLOPE)
        names = sorted(
            (name for name in variables if name.startswith("noise")),
            key=lambda name: int(name.split("_")[1]),
        )
        noises = [*(variables[name] for name in names), *kept]
        if "features" not in variables:
            return network(styles, noises)
        features = variables["features"]
        block = features.shape[-1].bit_length() - 2
        return network.tail(features, skip, styles, noises, block)

    return render


def mganprior_render(network: PGGAN, block: int, loop: bool) -> Render:
    """Codes and weights -> images."""
    mix = network.mix_in_a_loop if loop else network.mix_at_once

    def render(variables: Variables) -> Tensor:
        mixed = mix(variables["codes"], variables["weights"], block)
        return network.tail(mixed, block)

    return render


def autocast(render: Render) -> Render:
    """The same in bfloat16 where autocast allows it; images are float32."""
    device = "cuda" if ON_GPU else "cpu"

    def narrow(variables: Variables) -> Tensor:
        with torch.autocast(device, torch.bfloat16):
            return render(variables).float()

    return narrow


def geocross(styles: Tensor) -> Tensor:
    """As `rtil_jax.inversion.constraints.geocross`."""
    a, b = styles[:, :, None], styles[:, None]

    def norm(v):
        return torch.sqrt(v.square().sum(-1) + 1e-9)

    angle = 2 * torch.atan2(norm(a - b), norm(a + b))
    return styles.shape[-1] * angle.square().mean((1, 2)) / 8


def penalty(variables: Variables) -> Tensor | float:
    """What stage 0 of ILO adds to each image's loss."""
    if "styles" in variables and "features" not in variables:
        return GEOCROSS * geocross(variables["styles"])
    return 0.0


def gradient(
    render: Render, losses: Callable, variables: Variables
) -> tuple[Tensor, Tensor]:
    """(losses, images) with the gradient of the sum left in the variables."""
    images = render(variables)
    loss = losses(images)
    (loss + penalty(variables)).sum().backward()
    return loss.detach(), images.detach()


def trainable(variables: dict[str, Any]) -> Variables:
    """Tensors that take a gradient, from ours."""
    return {name: tensor(x).requires_grad_() for name, x in variables.items()}


def spheres(variables: Variables) -> Callable[[], None]:
    """Puts styles and noise maps back on the spheres that they are on now."""
    axes = {
        name: (2,) if name == "styles" else (1, 2, 3)
        for name in variables
        if name.startswith(("styles", "noise"))
    }

    def norm(name):
        return variables[name].square().sum(axes[name], keepdim=True).sqrt()

    with torch.no_grad():
        radius = {name: norm(name) for name in axes}

    @torch.no_grad()
    def project():
        for name in axes:
            variables[name].mul_(radius[name] / norm(name))

    return project


def public_steps(
    render: Render, losses: Callable, variables: Variables
) -> Callable[[], None]:
    """A call makes one step, of one image in the public code."""
    project = spheres(variables)
    optimizer = torch.optim.Adam(variables.values(), lr=RATE)
    best = {"loss": float("inf"), "image": None}

    def step():
        optimizer.zero_grad()
        loss, images = gradient(render, losses, variables)
        optimizer.step()
        project()
        total = loss.sum().item()
        if total < best["loss"]:
            best.update(loss=total, image=images.clone().cpu().numpy())

    return step


def best_steps(
    render: Render, losses: Callable, variables: Variables, steps: int = 1
) -> Callable[[], None]:
    """A call makes so many steps on every image of the batch and waits for them."""
    project = spheres(variables)
    optimizer = torch.optim.Adam(variables.values(), lr=RATE, fused=True)
    best = {name: x.detach().clone() for name, x in variables.items()}
    lowest = torch.full((len(next(iter(best.values()))),), float("inf"))

    def step():
        optimizer.zero_grad()
        loss, _ = gradient(render, losses, variables)
        with torch.no_grad():
            better = loss < lowest
            for name, x in variables.items():
                rows = better.reshape(-1, *[1] * (x.ndim - 1))
                best[name].copy_(torch.where(rows, x, best[name]))
            lowest.copy_(torch.minimum(loss, lowest))
        optimizer.step()
        project()

    def call():
        for _ in range(steps):
            step()
        if ON_GPU:
            torch.cuda.synchronize()

    return call
