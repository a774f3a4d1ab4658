import os

# Tests compile far more than they compute.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)

import jax  # noqa: E402 (reads the flags when it is imported)
import pytest  # noqa: E402

# Implicit broadcasting between ranks hides mistakes with the batch axis.
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True, scope="module")
def forget_compiled():
    """Every program compiled on the CPU keeps memory maps, and Linux allows a process
    65,530 of them: without this the suite ends in a segmentation fault of XLA."""
    yield
    jax.clear_caches()
