"""Recognises networks of other projects that cannot be read, and says what to do."""

import re
from collections.abc import Iterable

_EXPORT = (
    "write it in rosinality's layout with `python export_weights.py NETWORK.pkl "
    "OUT.pt` of github.com/dvschultz/stylegan2-ada-pytorch, and convert OUT.pt"
)
_TENSORFLOW = (
    "write it in rosinality's layout with `python convert_weight.py --repo STYLEGAN2 "
    "NETWORK.pkl` of github.com/rosinality/stylegan2-pytorch, and convert that .pt"
)
_OTHER = "this architecture is not supported"
# (what names contain, whose they are, what to do); the first that fits counts.
_NAMES = (
    (
        r"\bsynthesis\.(L\d+_\d+_\d+\.|input\.(affine|freqs|phases|weight))",
        "NVIDIA's StyleGAN3",
        _OTHER,
    ),
    (
        r"\bsynthesis\.b\d+\.(const|conv[01]|torgb)|\bmapping\.fc\d+\.(weight|bias)",
        "NVIDIA's PyTorch layout of StyleGAN2",
        _EXPORT,
    ),
    (
        r"\b(G_)?synthesis/\d+x\d+/|\bG_mapping/",
        "NVIDIA's TensorFlow layout of StyleGAN2",
        _TENSORFLOW,
    ),
    (
        r"\bstyle_mlp\.\d+\.|\bstyle_conv1\.|\bconstant_input\.",
        "BasicSR's or GFPGAN's layout of StyleGAN2",
        "convert the file in rosinality's layout that it was made from",
    ),
    (
        r"\bstyle_mapping\.\d+\.",
        "MMGeneration's layout of StyleGAN2",
        "convert the file in rosinality's layout that it was made from",
    ),
    (
        r"\bmapping\.dense\d+\.",
        "GenForce's layout of StyleGAN",
        "convert the file in rosinality's layout of the same network",
    ),
    (r"\bS\.net\.\d+\.|\bG\.initial_conv\.", "lucidrains' StyleGAN2", _OTHER),
)
_CLASSES = (
    (
        r"torch_utils\.persistence\.",
        "a pickle of NVIDIA's PyTorch code (torch_utils.persistence), which rebuilds "
        "its networks by running source code from the file",
        _EXPORT,
    ),
    (
        r"dnnlib\.tflib\.",
        "a pickle of NVIDIA's TensorFlow code (dnnlib.tflib), which rebuilds its "
        "networks by running source code from the file",
        _TENSORFLOW,
    ),
)
_CLOSE = 3  # with so many names in common, a known layout is worth naming


def refusal(names: Iterable[str], classes: Iterable[str], closest: int) -> str:
    """Says why a file without a known network is refused; "" for nothing special.

    Args:
        names: the names of its tensors.
        classes: the classes whose objects were not built.
        closest: how many names it has in common with the closest known layout.
    """
    for pattern, whose, what in _CLASSES:
        if any(re.match(pattern, name) for name in classes):
            return f"found {whose}; nothing in it was run; {what}"
    for pattern, whose, what in _NAMES:
        for name in names:
            if re.search(pattern, name):
                return f"found {whose} ({name}), which cannot be read: {what}"
    first = next(iter(classes), None)
    return asks_for(first) if first and closest < _CLOSE else ""


def asks_for(reference: str) -> str:
    """Says why a pickle that needs `reference` is refused."""
    return (
        f"found a pickle that asks for {reference}, expected tensors, numbers and "
        "dicts only (a state_dict); nothing in it was run"
    )
