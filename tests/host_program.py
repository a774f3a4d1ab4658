"""A program that imports the library; prints what that changed, and CPU seconds."""

import importlib
import json
import logging
import os
import pkgutil
import signal
import sys
import threading
import time
import warnings

import absl.flags
import absl.logging  # noqa: F401 (Flax's, whose logger is looked at)
import flax.linen  # noqa: F401
import jax
import numpy as np

LOGGERS = {"root", "absl", "asyncio", "concurrent.futures", "rtil_jax"}
LOGGERS |= logging.root.manager.loggerDict.keys()


def state():
    """Name -> text of whatever a library could change for all of its process."""
    found = {f"env {name}": value for name, value in os.environ.items()}
    found |= {f"jax {name}": str(value) for name, value in jax.config.values.items()}
    flags = absl.flags.FLAGS.flags_by_module_dict()
    found["flags"] = str([name for name in flags if name.startswith("rtil_jax")])
    for number in signal.valid_signals():
        found[f"signal {number}"] = str(signal.getsignal(number))
    for name in LOGGERS:
        logger = logging.getLogger(None if name == "root" else name)
        found[f"logger {name}"] = str(
            (logger.level, logger.filters, logger.handlers, logger.propagate)
        )
    matplotlib = sys.modules.get("matplotlib")
    backend = matplotlib and dict.__getitem__(matplotlib.rcParams, "backend")
    return found | {
        "warnings": str(warnings.filters),
        "hooks": str((sys.excepthook, sys.displayhook, threading.excepthook)),
        "numpy": str((np.geterr(), np.get_printoptions())),
        "backend": str(backend if isinstance(backend, str) else ""),
        "threads": str(threading.active_count()),
    }


before, started = state(), time.process_time()
import rtil_jax.inversion  # noqa: E402

seconds = time.process_time() - started
for module in pkgutil.walk_packages(rtil_jax.__path__, "rtil_jax."):
    importlib.import_module(module.name)
after = state()
changes = [
    f"{name}: {before.get(name)} -> {after.get(name)}"
    for name in before.keys() | after.keys()
    if before.get(name) != after.get(name)
]
print(json.dumps({"changes": changes, "seconds": seconds}))
