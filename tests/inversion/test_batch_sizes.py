"""`batch_size=auto`: the largest batch that memory takes, found without a run."""

import re
import types

import jax
import pytest

from rtil_jax.cli.config_flags import override
from rtil_jax.data import ImageSet
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion import batch_sizes
from rtil_jax.experiments.inversion.batch_sizes import largest, with_batch_size
from rtil_jax.experiments.inversion.inversion_config import inversion_config
from rtil_jax.experiments.inversion.inversion_run import parse_inversion


def config(batch_size):
    found = inversion_config("csgm")
    found.priors.rtil, found.method.steps = "somewhere", 2
    override(found, [("batch_size", batch_size)], locked=True)
    return found


@pytest.mark.parametrize(
    "limit, most, devices, size",
    [
        (1_000, 50, 1, 50),  # all of them, although 90 would fit
        (1_000, 200, 1, 64),
        (999, 63, 1, 63),
        (5_000, 2_000, 1, 256),
        (10_000, 200, 1, 200),
        (300, 200, 1, 16),
        (112, 3, 1, 1),
        (300, 200, 8, 16),
        (150, 3, 8, 3),
    ],
)
def test_it_is_all_images_or_the_largest_power_of_two(limit, most, devices, size):
    def memory(size):
        return 100 + 10 * size

    first = min(most, 64)
    assert largest(memory, limit, most, first, devices) == (size, memory(size))


def test_a_larger_batch_that_needs_more_than_a_line_predicts_is_not_taken():
    def memory(size):
        return size if size <= 64 else size**2

    assert largest(memory, 1_000, 500, 64, 1) == (64, 64)


def test_memory_for_not_even_one_image_is_an_error_of_one_line():
    with pytest.raises(UserError) as caught:
        largest(lambda size: (100 + size) * 2**20, 50 * 2**20, 9, 9, 1)
    assert str(caught.value) == (
        "config.batch_size: found auto, but one image on each device needs 101 MiB, "
        "expected at most 50 MiB"
    )


@pytest.mark.parametrize("text, value", [("auto", "auto"), ("Auto", "auto"), ("8", 8)])
def test_it_is_a_number_or_auto(text, value):
    assert parse_inversion(config(text)).batch_size == value


@pytest.mark.parametrize("text", ["huge", "0", "1.5", "True"])
def test_nothing_else_is_taken(text):
    with pytest.raises(UserError, match="expected a whole number from 1, or auto$"):
        parse_inversion(config(text))


def test_the_programs_own_need_decides(toy_prior, monkeypatch, capsys):
    """Half of what 8 images need is enough for 4 or fewer; all of it for 8."""
    run, priors = parse_inversion(config("auto")), {"rtil": toy_prior}
    images = object.__new__(ImageSet)  # simulated, and their number alone counts
    of_eight = batch_sizes._memory(run, priors, {}, images, 8)
    taken = {}
    for limit in (of_eight, of_eight - 1):
        monkeypatch.setattr(batch_sizes, "memory_limit", lambda n=limit: (n, "there"))
        taken[limit] = with_batch_size(run, priors, {}, images, 8).batch_size
    assert taken[of_eight] == 8 and taken[of_eight - 1] in (1, 2, 4)
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"batch_size=auto: 8 images at once, which need \S+ of the \S+ MiB that are "
        "there",
        lines[0],
    )
    number = parse_inversion(config("5"))
    assert with_batch_size(number, priors, {}, images, 8) is number


def test_the_limit_is_nine_tenths_of_what_jax_has_or_half_of_the_machine(monkeypatch):
    limit, what = batch_sizes.memory_limit()
    assert 2**28 < limit < 2**50 and what == "50% of the machine's memory"
    device = types.SimpleNamespace(memory_stats=lambda: {"bytes_limit": 1_000})
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    assert batch_sizes.memory_limit() == (
        900,
        "90% of JAX's part of the device's memory",
    )
