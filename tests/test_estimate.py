"""What programs cost, before they run."""

import jax
import jax.numpy as jnp
from jax.experimental.compilation_cache import compilation_cache

from rtil_jax.compiling import same_program
from rtil_jax.experiments.estimate import compiled_cost, work_of

PRODUCT = jax.jit(lambda a, b: a @ b)
SHAPE = jax.ShapeDtypeStruct((64, 64), jnp.float32)


def test_shapes_have_the_work_and_memory_of_arrays():
    work = work_of(PRODUCT.lower(SHAPE, SHAPE))
    assert work == work_of(PRODUCT.lower(jnp.ones((64, 64)), SHAPE))
    assert work.operations == 2 * 64**3 and work.traffic == 3 * 4 * 64**2
    memory, seconds_per_line = compiled_cost(PRODUCT.lower(SHAPE, SHAPE))
    assert memory >= 2 * 4 * 64**2 and seconds_per_line > 0


def test_the_time_to_compile_is_not_that_to_read_a_cache(tmp_path):
    names = "compilation_cache_dir", "persistent_cache_min_compile_time_secs"
    small = jax.ShapeDtypeStruct((3, 3), jnp.float32)  # not compiled before
    lowered = PRODUCT.lower(small, small)
    before = [getattr(jax.config, f"jax_{name}") for name in names]
    try:
        for name, value in zip(names, (str(tmp_path), 0.0), strict=True):
            jax.config.update(f"jax_{name}", value)
        compilation_cache.reset_cache()
        compiled_cost(lowered)
        assert list(tmp_path.iterdir()) == []
        lowered.compile()  # what is compiled to run is kept
        assert list(tmp_path.iterdir())
    finally:
        for name, value in zip(names, before, strict=True):
            jax.config.update(f"jax_{name}", value)
        compilation_cache.reset_cache()


def test_calls_of_the_same_shapes_share_a_program():
    array, other = jnp.ones((64, 64)), jnp.ones((64, 32))
    assert same_program(PRODUCT, array, SHAPE) == same_program(PRODUCT, SHAPE, array)
    assert same_program(PRODUCT, array, other) != same_program(PRODUCT, array, array)
