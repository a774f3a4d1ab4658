import jax
import numpy as np
import pytest

from rtil_jax.errors import UserError
from rtil_jax.operators import Gaussian, sample_operator

SHAPE = (8, 8, 3)


sample = jax.jit(Gaussian.sample, static_argnums=(1, 2))
apply = jax.jit(lambda operator, x: operator(x))


def gaussian(ratio):
    return sample(jax.random.key(0), SHAPE, ratio)


def normal(*shape):
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def test_entries_have_variance_one_over_m():
    matrix = np.asarray(gaussian(0.5).matrix)
    assert matrix.shape == (96, 192)
    assert abs(matrix.mean()) < 4 / np.sqrt(96 * matrix.size)
    np.testing.assert_allclose(matrix.var(), 1 / 96, rtol=0.05)
    # Neither rows nor columns are alike.
    gram = 96 * (matrix @ matrix.T) / 192
    assert abs(gram - np.eye(96)).max() < 0.4


def test_norms_are_kept_on_average():
    x = normal(200, *SHAPE)
    y = np.asarray(apply(gaussian(0.3), x))
    np.testing.assert_allclose(np.sum(y**2), np.sum(x**2), rtol=0.05)


def test_rows_of_smaller_ratios_are_the_first_of_larger_ones():
    few, many = (np.asarray(gaussian(ratio).matrix) for ratio in (0.1, 0.7))
    assert len(few) == 19 and len(many) == 134
    unscaled = [matrix * np.sqrt(len(matrix)) for matrix in (few, many)]
    np.testing.assert_allclose(unscaled[0], unscaled[1][:19], rtol=1e-5)


def test_the_matrix_is_applied_to_all_numbers_of_an_image():
    operator, x = gaussian(0.3), normal(*SHAPE)
    expected = np.asarray(operator.matrix) @ np.asarray(x).ravel()
    np.testing.assert_allclose(apply(operator, x), expected, atol=1e-5)


def test_the_preview_is_the_best_multiple_of_the_back_projection():
    x = normal(100, *SHAPE) / 20  # nothing is clipped
    operator = gaussian(0.3)
    y = apply(operator, x)
    back, picture = np.asarray(operator.adjoint(y)), operator.preview(y)
    best = np.sum(back * x) / np.sum(back**2)
    np.testing.assert_allclose(picture, 57 / (57 + 192) * back, atol=1e-6)
    np.testing.assert_allclose(57 / (57 + 192), best, rtol=0.05)


@pytest.mark.parametrize("ratio", [1e-9, 1])
def test_there_is_at_least_one_measurement(ratio):
    assert gaussian(ratio).num_measurements == max(1, int(192 * ratio))


def test_a_matrix_that_is_too_large_is_refused_by_its_size():
    def shape_of(ratio, size):
        def sample():
            key = jax.random.key(0)
            return sample_operator("gaussian", key, (size, size, 3), ratio)

        return jax.eval_shape(sample).matrix.shape

    assert shape_of(0.5, 64) == (6144, 12288)
    message = "found 0.5 with problem=gaussian, .* 72 GiB .* 256x256x3, .* 0.5 GiB "
    with pytest.raises(UserError, match=rf"{message}\(a ratio of 0.0035\)") as caught:
        shape_of(0.5, 256)
    assert "\n" not in str(caught.value)
