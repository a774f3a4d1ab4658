"""Functions that are linear in each of their arrays, with separate code for CPUs.

A convolution f(x, kernel) is an example. Its derivatives of every order are made of
three functions, the partial derivatives of one number that is linear in three arrays,

    T(x, kernel, y) = <f(x, kernel), y>,

with respect to y (that is f itself), x and kernel (the adjoints of f). Each is linear
in its two arguments again: its tangent is the same function of a tangent, its transpose
another one of the three. So this module tells JAX how to evaluate these three
functions, once for CPUs and once for other platforms. `jit` chooses when it compiles;
`jax.export` chooses for the platforms that it exports to.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array

Form = Callable[..., Array]


class Multilinear:
    """A function that is linear in each of its arrays.

    It differentiates in forward and reverse mode to any order and in any combination:
    `jax.jvp`, `linearize`, `vjp`, `grad` of `grad`, `jvp` of `grad` and the reverse.

    Attributes:
        plain: the definition, a function of some arrays and then of hashable arguments.
            The first array holds images, `(batch, ...)`, and so does the result: image
            i of the result depends on image i of the first array alone. All images
            share the other arrays (a kernel). Platforms other than CPUs run this and
            the adjoints that JAX derives from it.
        cpu: the same function in the form that CPUs run.
        adjoints: for each array, the derivative of <f, y> with respect to it on CPUs:
            a function of the other arrays, y, and the hashable arguments. None lets
            JAX derive it from `cpu`.
    """

    def __init__(self, plain: Form, cpu: Form, adjoints: Sequence[Form | None]) -> None:
        functools.update_wrapper(self, plain)
        self.plain, self.cpu, self.adjoints = plain, cpu, tuple(adjoints)

    def __call__(self, *arguments: Any, **named: Any) -> Array:
        arguments = inspect.signature(self.plain).bind(*arguments, **named).args
        count = len(self.adjoints)
        arrays, rest = arguments[:count], arguments[count:]
        traced = jax.make_jaxpr(lambda *arrays: self.plain(*arrays, *rest))(*arrays)
        (result,) = traced.out_avals
        return _derivative.bind(*arrays, of=self, rest=rest, at=count, result=result)


def multilinear(
    cpu: Form | None = None, adjoints: Sequence[Form | None] = ()
) -> Callable[[Form], Multilinear]:
    """Makes a `Multilinear` of a definition; without `cpu`, CPUs run it too."""
    return lambda plain: Multilinear(plain, cpu or plain, adjoints)


# The derivative of T with respect to its array number `at`, a function of the other
# ones, for the function `of` with the hashable arguments `rest`. `result` is the shape
# and type of that array.
_derivative = Primitive("multilinear_derivative")
_derivative.def_abstract_eval(lambda *_, result, **__: result)


def _evaluate(
    on_cpu: bool, *others: Array, of: Multilinear, rest: tuple, at: int, result: Any
) -> Array:
    """The derivative, in operations that JAX knows."""
    forward = of.cpu if on_cpu else of.plain
    if at == len(of.adjoints):
        return forward(*others, *rest)
    adjoint = of.adjoints[at]
    if on_cpu and adjoint is not None:
        return adjoint(*others, *rest)

    def of_one(x: Array) -> Array:
        return forward(*others[:at], x, *others[at:-1], *rest)

    return jax.linear_transpose(of_one, result)(others[-1])[0]


for _platform in ("cpu", None):
    _form = functools.partial(_evaluate, _platform == "cpu")
    _rule = mlir.lower_fun(_form, multiple_results=False)
    mlir.register_lowering(_derivative, _rule, platform=_platform)

_compiled = jax.jit(_derivative.bind, static_argnames=("of", "rest", "at", "result"))


@_derivative.def_impl
def _run(*others: Array, **parameters: Any) -> Array:
    """Runs the derivative outside of `jit`."""
    with jax.disable_jit(False):  # else it would come here again
        return _compiled(*others, **parameters)


def _tangent(
    primals: Sequence[Any], tangents: Sequence[Any], **parameters: Any
) -> tuple[Array, Any]:
    terms = [
        _derivative.bind(*primals[:i], tangent, *primals[i + 1 :], **parameters)
        for i, tangent in enumerate(tangents)
        if not isinstance(tangent, ad.Zero)
    ]
    return _derivative.bind(*primals, **parameters), functools.reduce(jnp.add, terms)


def _transpose(
    y: Any, *others: Any, of: Multilinear, rest: tuple, at: int, result: Any
) -> list:
    arrays = [*others[:at], y, *others[at:]]
    sought = next(i for i, x in enumerate(arrays) if ad.is_undefined_primal(x))
    aval = arrays.pop(sought).aval
    if isinstance(y, ad.Zero):
        found = ad.Zero(aval)
    else:
        found = _derivative.bind(*arrays, of=of, rest=rest, at=sought, result=aval)
    return [found if ad.is_undefined_primal(x) else None for x in others]


def _map(
    others: Sequence[Array], axes: Sequence[int | None], **parameters: Any
) -> tuple[Array, int]:
    """Merges a batch of batches of images into one batch; maps over kernels."""
    count, at = len(parameters["of"].adjoints), parameters["at"]
    # The images among `others`, where images result.
    images = {count: 0, 0: count - 1}.get(at)
    if images is None or any(axes[i] is not None for i in range(count) if i != images):
        cpu, default = (
            jax.vmap(functools.partial(_evaluate, on_cpu, **parameters), axes)
            for on_cpu in (True, False)
        )
        return jax.lax.platform_dependent(*others, cpu=cpu, default=default), 0
    axis = axes[images]
    assert axis is not None  # or nothing would be mapped
    x = jnp.moveaxis(others[images], axis, 0)
    batches, batch, *size = x.shape
    arrays = *others[:images], x.reshape(batches * batch, *size), *others[images + 1 :]
    batch, *size = parameters["result"].shape
    result = parameters["result"].update(shape=(batches * batch, *size))
    y = _derivative.bind(*arrays, **parameters | {"result": result})
    return y.reshape(batches, batch, *size), 0


ad.primitive_jvps[_derivative] = _tangent
ad.primitive_transposes[_derivative] = _transpose
batching.primitive_batchers[_derivative] = _map
