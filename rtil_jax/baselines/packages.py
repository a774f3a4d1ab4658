"""Imports the optional packages of baselines when one runs."""

import importlib
import importlib.util
from collections.abc import Iterable
from typing import Any

from rtil_jax.errors import UserError

# Module -> the argument of `pip install`, where it is not the module's name.
_INSTALLED_BY = {
    # Not in the extra `baselines`, because of its licence.
    "bm3d": "bm3d (its licence allows only non-commercial use)",
    "pywt": "PyWavelets",
    "skimage": "scikit-image",
}


def require_packages(who: str, modules: Iterable[str]) -> None:
    """Raises UserError if a module is missing; the message says that `who` needs it."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            how = f"pip install {_INSTALLED_BY.get(module, module)}"
            raise UserError(f"{who}: found no package {module}, expected {how}")


def package(who: str, module: str) -> Any:
    """Imports a module by name.

    Raises:
        UserError: if it is not installed.
    """
    require_packages(who, [module.partition(".")[0]])
    return importlib.import_module(module)
