import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.errors import UserError
from rtil_jax.operators import (
    Inpainting,
    PartialCirculant,
    SuperResolution,
    measure,
    sample_operator,
)

# The problems of the paper; `tests/operators` has the others.
RATIOS = {"compressed_sensing": 0.3, "inpainting": 0.4, "super_resolution": 0.25}


def images(seed, *shape):
    return jax.random.uniform(jax.random.key(seed), shape, minval=-1.0)


# Compiled as a whole, which is much faster than operation by operation.
sample = jax.jit(sample_operator, static_argnums=(0, 2, 3))
apply = jax.jit(lambda operator, x: operator(x))
adjoint = jax.jit(lambda operator, y: operator.adjoint(y))


def operator_for(problem, shape, seed=0):
    return sample(problem, jax.random.key(seed), shape, RATIOS[problem])


def batch_of_operators(problem, keys, shape, ratio):
    return jax.vmap(lambda key: sample(problem, key, shape, ratio))(keys)


@pytest.mark.parametrize("problem", RATIOS)
@pytest.mark.parametrize("shape", [(8, 16, 3), (32, 32, 1)])
@pytest.mark.parametrize("lead", [(), (2, 3)])
def test_adjoint_is_the_transpose(problem, shape, lead):
    operator = operator_for(problem, shape)
    x = images(1, *lead, *shape)
    y_shape = jax.eval_shape(operator, x).shape
    y = jax.random.normal(jax.random.key(2), y_shape)
    forward, backward = apply(operator, x), adjoint(operator, y)
    assert forward.shape[: len(lead)] == lead and backward.shape == x.shape
    # Relative to the norms, not to the product, which may happen to be near 0.
    scale = jnp.linalg.norm(forward) * jnp.linalg.norm(y)
    difference = jnp.sum(forward * y) - jnp.sum(x * backward)
    assert abs(difference) < 1e-6 * scale


@pytest.mark.parametrize("problem", RATIOS)
def test_adjoint_is_what_autodiff_finds(problem):
    operator = operator_for(problem, (8, 8, 3))
    y, pullback = jax.vjp(lambda x: apply(operator, x), images(1, 8, 8, 3))
    np.testing.assert_allclose(
        adjoint(operator, y), pullback(y)[0], rtol=1e-5, atol=1e-3
    )


@pytest.mark.parametrize("problem", RATIOS)
def test_leading_axes_are_independent_images(problem):
    operator = operator_for(problem, (16, 16, 3))
    x = images(1, 2, 3, 16, 16, 3)
    one_by_one = jnp.stack([apply(operator, i) for i in x.reshape(6, 16, 16, 3)])
    y = apply(operator, x)
    flat = y.reshape(one_by_one.shape)
    np.testing.assert_allclose(flat, one_by_one, rtol=1e-5, atol=1e-4)
    assert operator.preview(y).shape == x.shape


@pytest.mark.parametrize("problem", RATIOS)
def test_a_batch_of_operators_equals_each_alone(problem):
    shape, ratio, x = (8, 8, 3), RATIOS[problem], images(1, 3, 8, 8, 3)
    keys = jax.random.split(jax.random.key(0), 3)
    operators = batch_of_operators(problem, keys, shape, ratio)
    y = jax.vmap(apply)(operators, x)
    counts = np.broadcast_to(operators.num_measurements, 3)
    for key, image, row, count in zip(keys, x, y, counts, strict=True):
        alone = sample(problem, key, shape, ratio)
        np.testing.assert_allclose(apply(alone, image), row, rtol=1e-5, atol=1e-4)
        assert alone.num_measurements == count


def dense_circulant(filter_taps, signs, mask):
    """The n x n matrix, entry by entry: y_j = mask_j sum_k f_{(j-k) mod n} s_k x_k."""
    n = len(mask)
    matrix = np.zeros((n, n))
    for j in range(n):
        for k in range(n):
            matrix[j, k] = mask[j] * filter_taps[(j - k) % n] * signs[k]
    return matrix


@pytest.mark.parametrize("shape", [(4, 6, 3), (3, 5, 1)])  # n even, n odd
def test_circulant_is_the_matrix_of_the_public_code(shape):
    operator = PartialCirculant.sample(jax.random.key(0), shape, 0.5)
    n = math.prod(shape)
    taps = np.fft.irfft(operator.spectrum, n)
    matrix = dense_circulant(
        taps, np.asarray(operator.signs), np.asarray(operator.mask)
    )
    x = images(1, *shape)
    # PyTorch's memory order: channels, height, width.
    flat = np.asarray(x).transpose(2, 0, 1).ravel()
    np.testing.assert_allclose(operator(x), matrix @ flat, rtol=1e-4, atol=1e-5)


def test_circulant_draws():
    operator = PartialCirculant.sample(jax.random.key(0), (32, 32, 3), 0.1)
    taps = np.fft.irfft(operator.spectrum, 3072)
    assert abs(taps.mean()) < 0.06 and abs(taps.std() - 1) < 0.05
    assert set(np.unique(operator.signs)) == {-1.0, 1.0}
    assert abs(operator.signs.mean()) < 0.06


def test_circulant_is_not_normalised():
    operator = PartialCirculant.sample(jax.random.key(0), (32, 32, 3), 0.5)
    x = images(1, 32, 32, 3)
    mean_square = jnp.sum(operator(x) ** 2) / operator.num_measurements
    np.testing.assert_allclose(mean_square, jnp.sum(x**2), rtol=0.15)


@pytest.mark.parametrize("ratio", [1, 0.29, 1e-9])
def test_masks_have_exactly_their_count(ratio):
    shape = (16, 8, 3)
    circulant = sample("compressed_sensing", jax.random.key(3), shape, ratio)
    expected = max(1, int(ratio * 384))
    assert circulant.num_measurements == circulant.mask.sum() == expected
    inpainting = sample("inpainting", jax.random.key(3), shape, ratio)
    expected = max(1, round(ratio * 128))
    assert inpainting.mask.sum() == expected
    assert inpainting.num_measurements == 3 * expected
    for operator in (circulant, inpainting):
        assert set(np.unique(operator.mask)) <= {0.0, 1.0}
        y = np.asarray(apply(operator, images(1, *shape)))
        assert not y[np.broadcast_to(operator.mask == 0, y.shape)].any()


def test_inpainting_keeps_or_drops_whole_pixels():
    operator = Inpainting.sample(jax.random.key(0), (8, 8, 3), 0.3)
    x = images(1, 8, 8, 3)
    kept = np.asarray(operator(x)) != 0
    assert (kept.all(-1) == kept.any(-1)).all()
    assert kept.all(-1).sum() == round(0.3 * 64)
    np.testing.assert_array_equal(operator(x)[kept], x[kept])


@pytest.mark.parametrize("problem", ["compressed_sensing", "inpainting"])
def test_masks_of_one_key_are_nested(problem):
    key, shape = jax.random.key(0), (8, 8, 3)
    masks = [
        np.asarray(sample(problem, key, shape, ratio).mask)
        for ratio in (0.05, 0.2, 0.7, 1)
    ]
    for fewer, more in zip(masks, masks[1:], strict=False):
        assert (fewer <= more).all() and fewer.sum() < more.sum()


@pytest.mark.parametrize("problem", ["compressed_sensing", "inpainting"])
def test_keys_determine_operators(problem):
    a, same, other = (operator_for(problem, (8, 8, 3), seed) for seed in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, a, same)
    assert not (a.mask == other.mask).all()
    # Each place is observed for some keys and not for others.
    keys = jax.random.split(jax.random.key(0), 200)
    masks = batch_of_operators(problem, keys, (4, 4, 1), 0.5).mask
    assert (abs(masks.mean(axis=0) - 0.5) < 0.2).all()


@pytest.mark.parametrize("problem", ["compressed_sensing", "inpainting"])
def test_a_sweep_of_ratios_compiles_once(problem):
    traces = []

    @jax.jit
    def losses(operators, x):
        traces.append(1)
        y = jax.vmap(lambda a, image: a(image))(operators, x)
        return jnp.sum(y.reshape(2, -1) ** 2, axis=1) / operators.num_measurements

    keys, x = jax.random.split(jax.random.key(0)), images(1, 2, 8, 8, 3)
    for ratio in (0.01, 0.1, 0.5, 1):
        operators = batch_of_operators(problem, keys, (8, 8, 3), ratio)
        assert jnp.isfinite(losses(operators, x)).all()
    assert len(traces) == 1


def cubic(t):
    t = abs(t)
    if t <= 1:
        return 1.5 * t**3 - 2.5 * t**2 + 1
    return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0


def slow_bicubic(x, factor):
    """The public code's BicubicDownSample with loops."""
    taps = np.array([cubic((i - 2 * factor + 0.5) / factor) for i in range(4 * factor)])
    taps /= taps.sum()
    before = 3 * factor // 2
    after = 3 * factor - before
    for axis in (0, 1):
        widths = [(0, 0)] * 3
        widths[axis] = (before, after)
        padded = np.moveaxis(np.pad(x, widths, mode="reflect"), axis, 0)
        rows = [
            sum(tap * padded[start + i] for i, tap in enumerate(taps))
            for start in range(0, len(padded) - 4 * factor + 1, factor)
        ]
        x = np.moveaxis(np.stack(rows), 0, axis)
    return x


@pytest.mark.parametrize("factor", [2, 4, 8, 16])
@pytest.mark.parametrize("shape", [(16, 32, 3), (16, 16, 1)])
def test_super_resolution_is_the_slow_bicubic(factor, shape):
    operator = SuperResolution.sample(jax.random.key(0), shape, 1 / factor)
    x = images(1, *shape)
    expected = slow_bicubic(np.asarray(x, np.float64), factor)
    np.testing.assert_allclose(operator(x), expected, atol=1e-6)
    assert operator.num_measurements == expected.size


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_super_resolution_is_antialiased_cubic_inside(factor):
    x = images(1, 64, 64, 3)
    y = SuperResolution.sample(jax.random.key(0), x.shape, 1 / factor)(x)
    resized = jax.image.resize(x, y.shape, "cubic", antialias=True)
    np.testing.assert_allclose(y[2:-2, 2:-2], resized[2:-2, 2:-2], atol=1e-5)


def test_super_resolution_taps():
    operator = SuperResolution.sample(jax.random.key(0), (32, 32, 1), 0.5)
    # Output i reads pixel p by tap p + 3 - 2i; two neighbours see all eight.
    taps = np.zeros(8)
    for pixel, first in ((16, 1), (17, 0)):
        lit = jnp.zeros((32, 32, 1)).at[:, pixel].set(1.0)
        outputs = (pixel + 3 - np.arange(first, 8, 2)) // 2
        taps[first::2] = operator(lit)[8, outputs, 0]
    half = [-0.01172, -0.03516, 0.11328, 0.43359]
    np.testing.assert_allclose(taps, half + half[::-1], atol=1e-5)


@pytest.mark.parametrize("problem", RATIOS)
def test_noise_lands_on_measurements_only(problem):
    shape = (32, 32, 3)
    operator, x = operator_for(problem, shape), images(1, *shape)
    noise = measure(operator, x, jax.random.key(5), 0.1) - operator(x)
    observed = np.broadcast_to(operator.mask, noise.shape) == 1
    assert not noise[~observed].any()
    np.testing.assert_allclose(noise[observed].std(), 0.1, rtol=0.15)
    np.testing.assert_array_equal(
        measure(operator, x, jax.random.key(5), 0.0), operator(x)
    )


def test_previews():
    x = images(1, 8, 8, 3)
    inpainting = operator_for("inpainting", x.shape)
    np.testing.assert_array_equal(inpainting.preview(inpainting(x)), inpainting(x))
    small = operator_for("super_resolution", x.shape)
    enlarged = small.preview(small(x))
    np.testing.assert_array_equal(enlarged[1, 6], jnp.clip(small(x), -1, 1)[0, 1])
    circulant = sample_operator("compressed_sensing", jax.random.key(0), x.shape, 1)
    picture = circulant.preview(circulant(x))
    assert abs(picture).max() <= 1
    # At as many measurements as pixels it looks like the image, through noise.
    assert np.corrcoef(picture.ravel(), x.ravel())[0, 1] > 0.5


@pytest.mark.parametrize(
    "problem, ratio, message",
    [
        (
            "deblurring",
            0.5,
            "problem: found 'deblurring'.*inpainting, .*super_resolution",
        ),
        ("inpainting", 0.0, r"ratios: found 0, expected .* \(0, 1\]"),
        ("compressed_sensing", 1.5, "ratios: found 1.5"),
        ("inpainting", math.nan, "ratios: found nan"),
        ("super_resolution", 1.0, "ratios: found 1 with problem=super_resolution"),
        ("super_resolution", 0.3, "1 / 2, 1 / 4, 1 / 8 or 1 / 16"),
        ("super_resolution", 1 / 3, "1 / 2, 1 / 4, 1 / 8 or 1 / 16"),
        ("super_resolution", 1 / 16, "divides 24x16 pixels"),
    ],
)
def test_what_cannot_be_measured_is_refused(problem, ratio, message):
    with pytest.raises(UserError, match=message):
        sample_operator(problem, jax.random.key(0), (24, 16, 3), ratio)
