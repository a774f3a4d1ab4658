"""How XLA compiles the programs of this library: with which options, and side by side.

On two CPU cores most of the time to a first step is compilation; on a GPU it is more.
"""

import functools
from collections.abc import Callable, Iterable
from concurrent import futures
from typing import Any

import jax
import numpy as np

# Of XLA:CPU's machine code. Level 1 takes a fifth less time to compile than the default
# 3, and ILO's steps are as fast: convolutions and products are library calls. At level
# 0 they take twice as long, which does not matter in what runs once.
_CPU = {False: {"xla_backend_optimization_level": 1}}
_CPU[True] = {"xla_backend_optimization_level": 0}
# The autotuner of fusions tries two compilers for every reduction (openxla/xla#35585).
# Level 2 of autotuning leaves out the check of the results; untuned kernels (0) are for
# what runs once. None of these has been timed on a GPU in this library.
_CUDA = {"xla_gpu_experimental_enable_fusion_autotuner": False}
_GPU = {
    False: _CUDA | {"xla_gpu_autotune_level": 2},
    True: _CUDA | {"xla_gpu_autotune_level": 0},
}


@functools.cache
def options(once: bool = False) -> dict[str, Any]:
    """XLA's options for programs on the devices at hand; {} where none is known.

    Those that the installed XLA does not have are left out.

    Args:
        once: of a program that runs once or a few times, and not for long.
    """
    device = jax.devices()[0]
    if device.platform == "cpu":
        return _CPU[once]
    if device.platform == "gpu" and "cuda" in device.client.platform_version.lower():
        return {name: x for name, x in _GPU[once].items() if _is_known(name, x)}
    return {}


def _is_known(name: str, value: Any) -> bool:
    """Whether XLA takes an option. It refuses one that it does not know."""
    try:
        jax.jit(lambda: 0).lower().compile({name: value})
    except jax.errors.JaxRuntimeError:
        return False
    return True


class compiled:
    """`jax.jit` of a function, with the `options` for this platform.

    Devices are looked for at the first call, not before. Within another program it is
    a part of that program, whose options count.

    Attributes:
        jitted: the function that runs outside of other programs.
    """

    def __init__(self, function: Callable, once: bool = False, **static: Any) -> None:
        functools.update_wrapper(self, function)
        self._once, self._static = once, static
        self._inner = jax.jit(function, **static)

    @functools.cached_property
    def jitted(self) -> Any:
        chosen = options(self._once)
        return jax.jit(self.__wrapped__, compiler_options=chosen, **self._static)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        within = any(
            isinstance(leaf, jax.core.Tracer)
            for leaf in jax.tree.leaves((arguments, named))
        )
        return (self._inner if within else self.jitted)(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        """`lower`, `eval_shape` and whatever else a jitted function has."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.jitted, name)


def compile_together(
    programs: Iterable[tuple],
    started: Callable[[int], None] = lambda _: None,
    ended: Callable[[int], None] = lambda _: None,
) -> None:
    """Compiles programs side by side; a later call of one of them need not.

    XLA compiles in threads, while this one traces and lowers the next program. Equal
    programs are compiled once, also in later calls.

    Args:
        programs: (jitted function, *arguments), arrays or their shapes. JAX takes a
            call for the same program if shapes, types and shardings are the same.
        started, ended: called with the number of a program, from 0, in some thread.
    """
    compiling = []
    with futures.ThreadPoolExecutor() as pool:
        for number, program in enumerate(programs):
            function, *arguments = program
            key = same_program(*program), _placement(arguments)
            if key in _known:
                continue
            _known.add(key)
            started(number)
            future = pool.submit(function.lower(*arguments).compile)
            future.add_done_callback(functools.partial(_call, ended, number))
            compiling.append(future)
    for future in compiling:
        future.result()  # or what it raised


_known: set[tuple] = set()


def _call(function: Callable[[int], None], number: int, _: futures.Future) -> None:
    function(number)


def same_program(function: Callable, *arguments: Any) -> tuple:
    """Equal for calls that share a program; the arguments may be shapes."""
    leaves, structure = jax.tree.flatten(arguments)
    arrays = jax.Array | np.ndarray | jax.ShapeDtypeStruct
    kinds = [(x.shape, x.dtype) if isinstance(x, arrays) else x for x in leaves]
    return function, structure, *kinds


def _placement(arguments: list) -> tuple:
    """Where the arguments are, which a compiled program depends on too."""
    leaves = jax.tree.leaves(arguments)
    return tuple(getattr(x, "sharding", None) for x in leaves)
