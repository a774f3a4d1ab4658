import pytest

from rtil_jax.inversion.schedules import ramp


@pytest.mark.parametrize(
    "progress, factor",
    [(0.0, 0), (0.025, 0.5), (0.05, 1), (0.25, 1), (0.5, 0.75), (0.75, 0.25), (1.0, 0)],
)
def test_ramp_is_up_flat_and_half_a_cosine(progress, factor):
    assert ramp(progress) == pytest.approx(factor, abs=1e-12)


def test_ramp_near_the_end_as_the_public_code_computes_it():
    assert 0.2 * ramp(0.9) == pytest.approx(0.00865, abs=1e-5)
