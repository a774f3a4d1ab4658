import jax
import numpy as np
import pytest

from rtil_jax.operators import Fourier, sample_operators

sample = jax.jit(Fourier.sample, static_argnums=(1, 2))


apply = jax.jit(lambda operator, x: operator(x))


@jax.jit
def there_and_back(operator, x):
    y = operator(x)
    return y, operator.adjoint(y), operator.preview(y)


def normal(*shape):
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(8, 6, 3), (7, 5, 1)])  # the highest line: 4, 3
def test_it_measures_lines_of_the_fourier_transform(shape):
    operator, x = sample(jax.random.key(0), shape, 0.6), normal(*shape)
    spectrum = np.fft.fft2(x, axes=(0, 1), norm="ortho")
    mask = np.asarray(operator.mask)[:, 0, 0, 0] == 1
    assert 1 < mask.sum() < len(mask)
    y = np.asarray(apply(operator, x))
    for line in range(shape[0] // 2 + 1):
        # A line with a mirror image stands for both.
        own = line == -line % shape[0]
        expected = spectrum[line] * (1 if own else np.sqrt(2)) * mask[line]
        np.testing.assert_allclose(y[line, ..., 0], expected.real, atol=1e-5)
        np.testing.assert_allclose(y[line, ..., 1], expected.imag, atol=1e-5)


@pytest.mark.parametrize("shape", [(8, 6, 3), (7, 5, 1)])
def test_all_lines_are_an_isometry_that_the_preview_undoes(shape):
    operator, x = sample(jax.random.key(0), shape, 1), 0.2 * normal(*shape)
    y, back, picture = jax.device_get(there_and_back(operator, x))
    np.testing.assert_allclose(np.sum(y**2), np.sum(x**2), rtol=1e-5)
    np.testing.assert_allclose(back, x, atol=1e-6)
    np.testing.assert_allclose(picture, x, atol=1e-6)


def test_the_preview_has_the_measured_spectrum_and_no_other():
    operator, x = sample(jax.random.key(0), (16, 16, 1), 0.5), 0.2 * normal(16, 16, 1)
    y, _, picture = there_and_back(operator, x)
    everything = sample(jax.random.key(0), (16, 16, 1), 1)
    np.testing.assert_allclose(apply(operator, picture), y, atol=1e-6)
    np.testing.assert_allclose(apply(everything, picture), y, atol=1e-6)


def test_the_centre_is_always_measured_and_other_lines_at_random():
    keys = jax.random.split(jax.random.key(0), 200)
    shape = (64, 4, 1)  # 33 lines, of which 3 are the centre
    lines = [
        np.asarray(sample_operators("fourier", keys, shape, ratio).mask)[..., 0, 0, 0]
        for ratio in (0.01, 0.2, 0.5, 1)
    ]
    assert [mask.sum(axis=1).tolist() for mask in lines] == [
        200 * [count] for count in (1, 7, 16, 33)
    ]
    assert lines[0][:, 0].all() and lines[1][:, :3].all()
    for fewer, more in zip(lines, lines[1:], strict=False):
        assert (fewer <= more).all()
    assert abs(lines[2][:, 3:].mean(axis=0) - 13 / 30).max() < 0.15
