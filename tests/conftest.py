import importlib.metadata
import os
import tempfile

# Tests compile far more than they compute, and much of it in several processes.
FLAGS = [
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_parallel_codegen_split_count=1",
    # XLA (jax 0.11.2) aborts in its Triton fusions over gradients of 4 x 6 pixels.
    "--xla_gpu_enable_triton_gemm=false",
]
if importlib.metadata.version("jaxlib").startswith("0.10."):
    # A third of the time to compile; later versions do not know the flag.
    FLAGS.append("--xla_cpu_use_fusion_emitters=false")
os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *FLAGS])
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    # An attribute, because the folder goes when nothing refers to it.
    COMPILED = tempfile.TemporaryDirectory(prefix="rtil_jax_compiled")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = COMPILED.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

import jax  # noqa: E402 (reads the environment when it is imported)
import pytest  # noqa: E402

# Implicit broadcasting between ranks hides mistakes with the batch axis.
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True, scope="module")
def forget_compiled():
    """Every program compiled on the CPU keeps memory maps, and Linux allows a process
    65,530 of them: without this the suite ends in a segmentation fault of XLA."""
    yield
    jax.clear_caches()
