import os

# Tests compile far more than they compute.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)

import jax  # noqa: E402 (reads the flags when it is imported)

# Implicit broadcasting between ranks hides mistakes with the batch axis.
jax.config.update("jax_numpy_rank_promotion", "raise")
