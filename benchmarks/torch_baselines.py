"""The two generators in PyTorch, each written twice, to compare ours with.

`PublicStyle` does what the public code of RTIL, ILO and mGANprior does: every image
has kernels of its own, applied by a grouped convolution; resampling is a transposed
convolution or zero insertion, and an explicit 4 x 4 filter on every channel; the codes
of mGANprior go through the network one after the other. `BestStyle` is the fastest
that we could write in the same library: activations are scaled instead of kernels,
the filter is separable, codes are one batch.

Both read the variables of our own generators, frozen, with constant factors multiplied
in beforehand. Arrays are `(batch, channels, height, width)`, kernels
`(out, in, height, width)`. Written from the formulas (Karras et al. 2018, 2020).

Importing this file puts PyTorch on the kind of device that JAX uses, a GPU with TF32
as JAX has it there.
"""

import math
from typing import Any

import jax
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

ON_GPU = jax.default_backend() == "gpu"
if ON_GPU:
    torch.set_default_device("cuda")
    torch.set_float32_matmul_precision("high")

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4  # of a doubling, sum 2
FIR = TAPS[:, None] * TAPS
SLOPE = 0.2
ROOT2 = math.sqrt(2)


def tensor(x: Any) -> Tensor:
    """A copy of a JAX or numpy array; images and features become channels-first."""
    x = torch.tensor(np.asarray(x))
    return x.permute(0, 3, 1, 2).contiguous() if x.ndim == 4 else x


def _kernel(params: dict, gain: float = 1.0) -> Tensor:
    kernel = torch.tensor(np.asarray(params["kernel"]))
    scale = gain / math.sqrt(math.prod(kernel.shape[:3]))
    return (kernel * scale).permute(3, 2, 0, 1).contiguous()


def _vector(x: Any) -> Tensor:
    return torch.tensor(np.asarray(x))


def _narrow(kernel: Tensor) -> Tensor:
    return kernel.to(torch.bfloat16, memory_format=torch.channels_last)


class PublicStyle:
    """The operations as the public code has them."""

    @staticmethod
    def modulated(layer: dict, x: Tensor, style: Tensor, up: bool) -> Tensor:
        """Convolution with the kernel W s_i d_o of each image."""
        batch, channels, height, width = x.shape
        scale = F.linear(style, *layer["modulation"])
        kernels = layer["kernel"][None] * scale[:, None, :, None, None]
        if layer["demodulate"]:
            power = kernels.square().sum((2, 3, 4), keepdim=True)
            kernels = kernels * torch.rsqrt(power + 1e-8)
        x = x.reshape(1, batch * channels, height, width)
        if up:
            kernels = kernels.transpose(1, 2).flatten(0, 1)
            x = F.conv_transpose2d(x, kernels, stride=2, groups=batch)
        else:
            kernels = kernels.flatten(0, 1)
            x = F.conv2d(x, kernels, padding=kernels.shape[-1] // 2, groups=batch)
        x = x.reshape(batch, -1, *x.shape[2:])
        return PublicStyle.filter(x, 1, 1) if up else x

    @staticmethod
    def filter(x: Tensor, before: int, after: int) -> Tensor:
        """The 4 x 4 filter on every channel after zero padding."""
        planes = x.reshape(-1, 1, *x.shape[2:])
        planes = F.pad(planes, (before, after, before, after))
        return F.conv2d(planes, FIR[None, None]).reshape(
            *x.shape[:2], planes.shape[2] - 3, planes.shape[3] - 3
        )

    @staticmethod
    def upsample(image: Tensor) -> Tensor:
        """Zero insertion, then the filter."""
        spread = torch.zeros(*image.shape[:2], 2 * image.shape[2], 2 * image.shape[3])
        spread[..., ::2, ::2] = image
        return PublicStyle.filter(spread, 2, 1)


class BestStyle:
    """The same operations, as fast as we could make them on a CPU."""

    @staticmethod
    def modulated(layer: dict, x: Tensor, style: Tensor, up: bool) -> Tensor:
        """Scale the channels, convolve with the shared kernel, scale again."""
        scale = F.linear(style, *layer["modulation"])
        x = x * scale[:, :, None, None]
        if up:
            x = F.conv_transpose2d(x, layer["transposed"], stride=2)
            x = BestStyle.blur(BestStyle.blur(x, 2), 3)
        else:
            x = F.conv2d(x, layer["kernel"], padding=layer["kernel"].shape[-1] // 2)
        if not layer["demodulate"]:
            return x
        power = scale.square() @ layer["power"].T
        return x * torch.rsqrt(power + 1e-8)[:, :, None, None]

    @staticmethod
    def blur(x: Tensor, axis: int) -> Tensor:
        """[1, 3, 3, 1] / 4 along one axis after padding by 1, as shifted sums."""
        x = F.pad(x, (1, 1, 0, 0) if axis == 3 else (0, 0, 1, 1))
        size = x.shape[axis] - 3
        a, b, c, d = (x.narrow(axis, k, size) for k in range(4))
        return (a + d) * 0.25 + (b + c) * 0.75

    @staticmethod
    def upsample(image: Tensor) -> Tensor:
        """Both at once, as a transposed convolution."""
        channels = image.shape[1]
        kernel = FIR.expand(channels, 1, 4, 4)
        return F.conv_transpose2d(image, kernel, stride=2, padding=1, groups=channels)


class StyleGAN2:
    """The synthesis network from any block on; see `rtil_jax.generators.stylegan2`.

    Args:
        variables: of our generator.
        style: `PublicStyle` or `BestStyle`.
    """

    def __init__(self, variables: dict, style: type):
        params = variables["params"]
        self.style = style
        self.constant = tensor(params["constant"])
        self.num_blocks = sum(name.startswith("to_rgbs") for name in params)
        blocks = range(self.num_blocks)
        self.convs = [self._layer(params[f"convs_{k}"]) for k in blocks]
        self.ups = [self._layer(params[f"up_convs_{k}"]) for k in blocks[:-1]]
        self.rgbs = [self._layer(params[f"to_rgbs_{k}"], False) for k in blocks]

    def narrowed(self) -> "StyleGAN2":
        """The same with kernels in bfloat16, channels last, for autocast."""
        for layer in (*self.convs, *self.ups, *self.rgbs):
            for name in ("kernel", "transposed"):
                layer[name] = _narrow(layer[name])
        return self

    @staticmethod
    def _layer(params: dict, demodulate: bool = True) -> dict:
        kernel, modulation = _kernel(params["conv"]), params["conv"]["modulation"]
        matrix = _vector(modulation["kernel"]).T
        return {
            "kernel": kernel,
            "transposed": kernel.transpose(0, 1).contiguous(),
            "power": kernel.square().sum((2, 3)),
            "modulation": (
                matrix / math.sqrt(matrix.shape[1]),
                _vector(modulation["bias"]),
            ),
            "demodulate": demodulate,
            "strength": _vector(params.get("noise_strength", 0.0)),
            "bias": _vector(params["bias"])[:, None, None],
        }

    def _styled(self, layer, x, style, noise, up=False) -> Tensor:
        x = self.style.modulated(layer, x, style, up)
        x = x + layer["strength"] * noise + layer["bias"]
        return F.leaky_relu(x, SLOPE) * ROOT2

    def _read_rgb(self, x, image, styles, block) -> Tensor:
        layer = self.rgbs[block - 1]
        style = styles[:, 2 * block - 1]
        return image + self.style.modulated(layer, x, style, False) + layer["bias"]

    def __call__(self, styles: Tensor, noises: list[Tensor]) -> Tensor:
        """Images `(batch, channels, height, width)`."""
        x = self.constant.expand(len(styles), -1, -1, -1)
        x = self._styled(self.convs[0], x, styles[:, 0], noises[0])
        return self.tail(x, torch.zeros(()), styles, noises, 1)

    def tail(self, x, image, styles, noises, block) -> Tensor:
        """Images from the features after `block` and the RGB of earlier blocks."""
        for k in range(block, self.num_blocks):
            image = self.style.upsample(self._read_rgb(x, image, styles, k))
            up, conv = 2 * k - 1, 2 * k
            x = self._styled(self.ups[k - 1], x, styles[:, up], noises[up], up=True)
            x = self._styled(self.convs[k], x, styles[:, conv], noises[conv])
        return self._read_rgb(x, image, styles, self.num_blocks)


class PGGAN:
    """PGGAN, cut after any block; see `rtil_jax.generators.pggan`."""

    def __init__(self, variables: dict):
        params = variables["params"]
        code = _vector(params["code"]["kernel"])
        scale = ROOT2 / math.sqrt(16 * code.shape[-1])
        self.code = (code * scale).permute(0, 3, 1, 2).contiguous()
        self.code_bias = _vector(params["code"]["bias"])
        self.num_blocks = sum(name.startswith("blocks") for name in params)
        self.blocks = [
            [self._layer(params[f"blocks_{k}"][f"conv_{i}"]) for i in range(2)]
            for k in range(self.num_blocks)
        ]
        self.rgb = self._layer(params[f"to_rgbs_{self.num_blocks - 1}"])

    def narrowed(self) -> "PGGAN":
        """The same with kernels in bfloat16, channels last, for autocast."""
        self.blocks = [
            [(_narrow(kernel), bias) for kernel, bias in block] for block in self.blocks
        ]
        return self

    @staticmethod
    def _layer(params: dict) -> tuple[Tensor, Tensor]:
        return _kernel(params, ROOT2), _vector(params["bias"])

    @staticmethod
    def _activate(x: Tensor) -> Tensor:
        x = x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)
        return F.leaky_relu(x, SLOPE)

    def _block(self, x: Tensor, block: int) -> Tensor:
        if block:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        for kernel, bias in self.blocks[block]:
            x = self._activate(F.conv2d(x, kernel, bias, padding=1))
        return x

    def head(self, z: Tensor, block: int) -> Tensor:
        """Features after `block`."""
        x = F.conv_transpose2d(z[:, :, None, None], self.code, self.code_bias)
        x = self._activate(x)
        for k in range(block):
            x = self._block(x, k)
        return x

    def tail(self, x: Tensor, block: int) -> Tensor:
        """Images from the features after `block`."""
        for k in range(block, self.num_blocks):
            x = self._block(x, k)
        return F.conv2d(x, *self.rgb)

    def mix_in_a_loop(self, codes: Tensor, weights: Tensor, block: int) -> Tensor:
        """sum_n alpha^n g_0(z^n), code by code: the public code."""
        total = 0.0
        for n in range(codes.shape[1]):
            features = self.head(codes[:, n], block)
            total = total + weights[:, n, :, None, None] * features
        return total

    def mix_at_once(self, codes: Tensor, weights: Tensor, block: int) -> Tensor:
        """The same, all codes of all images in one batch."""
        features = self.head(codes.flatten(0, 1), block)
        features = features.reshape(*codes.shape[:2], *features.shape[1:])
        return (features * weights[:, :, :, None, None]).sum(1)


def numpy_tree(tree: Any) -> Any:
    """The tree with its tensors as numpy arrays, channels last again."""

    def back(x):
        x = x.detach()
        return (x.permute(0, 2, 3, 1) if x.ndim == 4 else x).numpy()

    return jax.tree.map(back, tree)
