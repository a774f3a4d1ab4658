"""Packages that only baselines need, imported when one runs."""

import importlib
import importlib.util
from collections.abc import Iterable
from typing import Any

from rtil_jax.errors import UserError

# Module -> what installs it, where that is not its own name.
_INSTALLED_BY = {
    # Not in the extra `baselines`, because of its licence.
    "bm3d": "bm3d (its licence is for non-commercial use alone)",
    "pywt": "PyWavelets",
    "skimage": "scikit-image",
}


def require_packages(who: str, modules: Iterable[str]) -> None:
    """Raises UserError, which names `who` needs it, for a module that is missing."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            how = f"pip install {_INSTALLED_BY.get(module, module)}"
            raise UserError(f"{who}: found no package {module}, expected it; {how}")


def package(who: str, module: str) -> Any:
    """The module of that name.

    Raises:
        UserError: if it is not installed.
    """
    require_packages(who, [module.partition(".")[0]])
    return importlib.import_module(module)
