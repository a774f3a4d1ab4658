import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.convolution_forms import FORMS
from rtil_jax.convolutions import (
    average_pool,
    blur,
    conv1x1,
    conv1x1_down,
    conv3x3,
    conv3x3_down,
    conv3x3_up,
    conv4x4_up,
    plain,
    resampling,
    upsample,
    upsample_bilinear,
)
from rtil_jax.convolutions.multilinear import Multilinear
from tests.references import stylegan2 as slow
from tests.references.stylegan2 import assert_close


def as_elsewhere(function):
    """What platforms other than CPUs run: the definition, its adjoints from JAX."""
    return Multilinear(function.plain, function.plain, [None] * len(function.adjoints))


strided = plain._strided_conv3x3
CONVOLUTIONS = {
    "conv3x3": (conv3x3, slow.conv, (3, 3)),
    "conv3x3_up": (conv3x3_up, slow.conv_up, (3, 3)),
    "conv3x3_down": (conv3x3_down, slow.conv_down, (3, 3)),
    "conv1x1": (conv1x1, lambda x, k: slow.correlate(x, k[None, None]), ()),
    "conv1x1_down": (conv1x1_down, lambda x, k: slow.conv_down(x, k[None, None]), ()),
    "conv3x3_up elsewhere": (as_elsewhere(conv3x3_up), slow.conv_up, (3, 3)),
    "conv4x4_up elsewhere": (as_elsewhere(conv4x4_up), conv4x4_up, (4, 4)),
    "strided elsewhere": (
        lambda x, k: as_elsewhere(strided)(blur(x, 2), k),
        slow.conv_down,
        (3, 3),
    ),
}


def resize(x):
    """Bilinear, to twice the size."""
    batch, height, width, channels = x.shape
    return jax.image.resize(x, (batch, 2 * height, 2 * width, channels), "linear")


RESAMPLINGS = {
    "upsample_bilinear": (upsample_bilinear, resize),
    "upsample": (upsample, slow.upsample),
    "blur1": (lambda x: blur(x, 1), lambda x: slow.blur(x, 1)),
    "blur2": (lambda x: blur(x, 2), lambda x: slow.blur(x, 2)),
    "upsample elsewhere": (
        lambda x: as_elsewhere(resampling._double)(x, "constant"),
        slow.upsample,
    ),
}


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def with_derivatives(f):
    """f; the gradient of a loss of f; the gradient of R1, that gradient's square."""

    def loss(x, *kernel):
        return jnp.sum(jnp.sin(f(x, *kernel)))

    def r1(x, *kernel):
        return jnp.sum(jax.grad(loss)(x, *kernel) ** 2)

    @jax.jit
    def evaluate(*args):
        every = tuple(range(len(args)))
        return f(*args), jax.grad(loss, every)(*args), jax.grad(r1, every)(*args)

    return evaluate


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_are_the_slow_ones_to_second_order(name):
    fast, expected, size = CONVOLUTIONS[name]
    x, kernel = normal(0, 2, 4, 6, 3), normal(1, *size, 3, 5)
    assert_close(
        with_derivatives(fast)(x, kernel), with_derivatives(expected)(x, kernel)
    )


@pytest.mark.parametrize("name", RESAMPLINGS)
def test_resamplings_are_the_slow_ones_to_second_order(name):
    fast, expected = RESAMPLINGS[name]
    x = normal(0, 2, 4, 6, 3)
    assert_close(with_derivatives(fast)(x), with_derivatives(expected)(x))


CURVED = {name: CONVOLUTIONS[name][0] for name in tuple(CONVOLUTIONS)[:3]} | {
    "upsample": lambda x, _: upsample(x)
}


@pytest.mark.parametrize("name", CURVED)
def test_products_with_the_hessian_agree(name):
    """Forward over reverse mode, reverse over forward, reverse over reverse."""
    at = normal(0, 2, 4, 6, 3), normal(1, 3, 3, 3, 5)
    direction = normal(2, 2, 4, 6, 3), normal(3, 3, 3, 3, 5)

    def loss(at):
        return jnp.sum(jnp.sin(CURVED[name](*at)))

    def slope(at, direction):
        return sum(map(jnp.vdot, jax.grad(loss)(at), direction))

    @jax.jit
    def products(at, direction):
        return (
            jax.linearize(jax.grad(loss), at)[1](direction),
            jax.grad(lambda at: jax.jvp(loss, (at,), (direction,))[1])(at),
            jax.grad(slope)(at, direction),
        )

    forward_over_reverse, *others = products(at, direction)
    for other in others:
        assert_close(other, forward_over_reverse)


def loss_of_conv(x, kernel):
    return jnp.sum(jnp.sin(conv3x3(x, kernel)))


gradients_of_conv = jax.jit(jax.grad(loss_of_conv, (0, 1)))


@pytest.mark.parametrize("axes", [(1, None), (None, 2), (0, 0)])
def test_derivatives_are_mapped_over_images_and_kernels(axes):
    """`vmap` of gradients and gradients of `vmap`."""
    batches = [normal(0, 2, 2, 4, 6, 3), normal(1, 2, 3, 3, 3, 5)]

    def expected(which):
        pairs = zip(batches, axes, strict=True)
        return gradients_of_conv(
            *(x[0 if axis is None else which] for x, axis in pairs)
        )

    @jax.jit
    def mapped(*arguments):
        def total(*arguments):
            return jnp.sum(jax.vmap(loss_of_conv, axes)(*arguments))

        each = jax.vmap(jax.grad(loss_of_conv, (0, 1)), axes)(*arguments)
        return each, jax.grad(total, (0, 1))(*arguments)

    arguments = [
        x[0] if axis is None else jnp.moveaxis(x, 0, axis)
        for x, axis in zip(batches, axes, strict=True)
    ]
    each, of_sum = mapped(*arguments)
    wanted = jax.tree.map(lambda *x: jnp.stack(x), expected(0), expected(1))
    assert_close(each, wanted)
    for found, x, axis in zip(of_sum, wanted, axes, strict=True):
        assert_close(found, x.sum(0) if axis is None else jnp.moveaxis(x, 0, axis))


def convolutions_in(f, size, platform):
    """How many a program lowered for `platform` has, and how many insert zeros."""
    x = jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.float32)
    kernel = jax.ShapeDtypeStruct((*size, 3, 5), jnp.float32)
    program = jax.export.export(jax.jit(f), platforms=[platform])(x, kernel)
    text = program.mlir_module()
    return text.count("stablehlo.convolution("), text.count("lhs_dilate = [2, 2]")


def gradients_up(x, kernel):
    return jax.grad(lambda *args: jnp.sum(conv3x3_up(*args) ** 2), (0, 1))(x, kernel)


BY_PLATFORM = {
    "conv3x3_up": (conv3x3_up, (3, 3), (1, 1), (3, 0)),
    # The kernel's gradient inserts zeros into x, that of x gathers.
    "gradient of conv3x3_up": (gradients_up, (3, 3), (3, 2), (3, 0)),
    "conv4x4_up": (conv4x4_up, (4, 4), (1, 1), (0, 0)),
    "conv3x3_down": (conv3x3_down, (3, 3), (1, 0), (0, 0)),
}


@pytest.mark.parametrize("name", BY_PLATFORM)
def test_the_form_is_that_of_the_platform(name):
    f, size, elsewhere, on_cpu = BY_PLATFORM[name]
    assert convolutions_in(f, size, "cuda") == elsewhere
    assert convolutions_in(f, size, "cpu") == on_cpu


def test_upsampling_is_bilinear_inside():
    x = normal(0, 1, 6, 8, 2)
    bilinear = jax.image.resize(x, (1, 12, 16, 2), "linear")
    inside = np.s_[:, 1:-1, 1:-1]
    assert_close(jax.jit(upsample)(x)[inside], bilinear[inside])


@pytest.mark.parametrize("resample", [upsample_bilinear, average_pool])
def test_pggan_resamples_bilinearly(resample):
    x = normal(0, 2, 4, 6, 3)
    shape = jax.eval_shape(resample, x).shape
    # Without antialiasing, whose filter is wider than the two pixels of either side.
    expected = jax.image.resize(x, shape, "linear", antialias=False)
    assert_close(jax.jit(resample)(x), expected, 1e-6)


def test_resampling_keeps_constants_inside():
    ones = jnp.ones((1, 8, 8, 1))
    resampled = jax.jit(lambda x: (upsample(x), blur(x, 2)))(ones)
    for x in resampled:
        np.testing.assert_allclose(x[:, 2:-2, 2:-2], 1, rtol=1e-6)


@pytest.mark.parametrize("operation", FORMS)
def test_every_form_of_the_benchmark_is_the_plain_one(operation):
    x, kernel = normal(0, 2, 4, 6, 3), normal(1, 3, 3, 3, 5)
    y = jax.eval_shape(FORMS[operation]["plain"].forward, x, kernel)
    y = normal(2, *y.shape)

    @jax.jit
    def all_forms(x, kernel, y):
        return {
            name: (
                form.forward(x, form.prepare(kernel)),
                form.images_adjoint(x, form.prepare(kernel), y),
                form.kernel_adjoint(x, kernel, y),
            )
            for name, form in FORMS[operation].items()
        }

    found = all_forms(x, kernel, y)
    for form in found.values():
        assert_close(form, found["plain"])
