"""What users pass to methods: each works, or one line says what is expected."""

import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.arguments import check_method
from rtil_jax.errors import UserError
from rtil_jax.generators import PGGANGenerator
from rtil_jax.inversion import CSGM, ILO, MGANPrior, Surgery


def steps(method, resolution):
    return [stage.steps for stage in method.stages(PGGANGenerator(resolution))]


@pytest.mark.parametrize(
    "resolution, expected",
    [
        (8, [2_000, 2_000]),
        (16, [2_000, 1_000, 2_000]),
        (32, [2_000, 1_000, 1_000, 2_000]),
        (64, [2_000, 1_000, 1_000, 1_000, 2_000]),
        (256, [2_000, 1_000, 1_000, 1_000, 2_000]),
    ],
)
def test_ilo_has_as_many_stages_as_the_generator_has_blocks_up_to_five(
    resolution, expected
):
    assert steps(ILO(), resolution) == expected
    assert steps(ILO(steps=7), resolution) == [7] * len(expected)


def test_cuts_by_default_are_the_published_ones_or_the_last_that_fit():
    assert [stage.block for stage in MGANPrior().stages(PGGANGenerator(8))] == [2]
    assert [stage.block for stage in MGANPrior().stages(PGGANGenerator(256))] == [4]
    assert [stage.block for stage in Surgery().stages(PGGANGenerator(8))] == [1]
    assert [stage.block for stage in Surgery().stages(PGGANGenerator(256))] == [2]


def test_lists_and_numpy_s_numbers_do():
    expected = ILO(steps=(20, 10), learning_rate=0.5)
    for found in (
        [20, 10],
        np.array([20, 10]),
        jnp.array([20, 10]),
        (np.int64(20), 10),
    ):
        method = ILO(steps=found, learning_rate=np.float32(0.5))
        assert method == expected and hash(method) == hash(expected)
    assert CSGM(np.int32(3), 1) == CSGM(steps=3, learning_rate=1.0)


def test_one_prior_weight_is_for_all_stages():
    stages = ILO(steps=1, prior_weight=2.0).stages(PGGANGenerator(8))
    assert [stage.prior_weight for stage in stages] == [None, 2]


def test_too_many_stages_are_told_what_fits():
    with pytest.raises(UserError, match=r"method.steps: found 5 .*try \(5, 4, 3, 1\)"):
        ILO(steps=(5, 4, 3, 2, 1)).stages(PGGANGenerator(32))


@pytest.mark.parametrize(
    "method, field, value, expected",
    [
        (ILO, "steps", 1.5, "a tuple of whole numbers from 0, or one whole number"),
        (ILO, "steps", -1, "a tuple of whole numbers from 0"),
        (ILO, "steps", "100", "a tuple of whole numbers from 0"),
        (ILO, "steps", True, "a tuple of whole numbers from 0"),
        (ILO, "steps", (3, -1), "a tuple of whole numbers from 0"),
        (ILO, "steps", (3, 1.0), "a tuple of whole numbers from 0"),
        (ILO, "sphere", 1, "True or False"),
        (ILO, "learning_rate", (0.1, 0.2), "a number of at least 0"),
        (ILO, "learning_rate", float("nan"), "a number of at least 0"),
        (ILO, "style_radii", 1.0, "a tuple of numbers"),
        (ILO, "keep_skip", "no", "True or False"),
        (ILO, "prior_form", "gauss", "one of gaussian, shell, relative"),
        (ILO, "prior_sigma", 0, "above 0"),
        (ILO, "units", "feature", "one of absolute, features"),
        (ILO, "optimizer", "lbfgs", "one of adam, sgd, ngd"),
        (CSGM, "steps", (1, 2), "a whole number from 0"),
        (CSGM, "steps", None, "a whole number from 0"),
        (CSGM, "learning_rate", "0.1", "a number of at least 0"),
        (MGANPrior, "codes", 2.5, "a whole number from 0"),
        (MGANPrior, "block", "2", "a whole number from 0"),
        (MGANPrior, "optimizer", "lbfgs", "one of adam, sgd, ngd"),
        (MGANPrior, "start_weights", 0, "one of dirichlet, uniform, channels"),
        (Surgery, "block", (2,), "a whole number from 0"),
        (Surgery, "learning_rate", -1, "a number of at least 0"),
    ],
)
def test_an_argument_that_cannot_be_is_named(method, field, value, expected):
    with pytest.raises(
        UserError, match=f"^method.{field}: found .*{expected}"
    ) as error:
        method(**{field: value})
    assert "\n" not in str(error.value)


def test_what_is_no_method_is_told_one():
    check_method(ILO())
    with pytest.raises(UserError, match=r"found the class ILO, expected ILO\(\)"):
        check_method(ILO)
    with pytest.raises(UserError, match=r"found 'ilo', expected one such as ILO\(\)"):
        check_method("ilo")
