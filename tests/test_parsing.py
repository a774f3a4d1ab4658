"""Configs become frozen dataclasses once, by what their fields say."""

import dataclasses
import re

import pytest
from ml_collections import ConfigDict

from rtil_jax.errors import UserError
from rtil_jax.experiments.parsing import as_json, default_config, help_texts, parse
from rtil_jax.fields import at_least, field


@dataclasses.dataclass(frozen=True)
class Part:
    count: int = field(1, "How many.", at_least(0))
    sizes: tuple = field((1, 2), "Of each.")


@dataclasses.dataclass(frozen=True)
class Run:
    rate: float = field(0.5, "Of change.")
    part: Part = field(Part, "The part.")


def test_a_config_of_defaults_is_parsed_to_the_defaults():
    config = default_config(Run())
    assert config.to_dict() == {"rate": 0.5, "part": {"count": 1, "sizes": (1, 2)}}
    assert parse(Run, config) == parse(Run, ConfigDict()) == Run()
    assert as_json(Run()) == {"rate": 0.5, "part": {"count": 1, "sizes": [1, 2]}}


def test_what_json_has_becomes_what_was_saved():
    config = ConfigDict({"rate": 2, "part": {"sizes": [3]}})
    found = parse(Run, config)
    assert found == Run(2.0, Part(1, (3,))) and type(found.rate) is float


def test_help_is_by_dotted_name():
    assert help_texts(Run()) == {
        "rate": "Of change.",
        "part": "The part.",
        "part.count": "How many.",
        "part.sizes": "Of each.",
    }


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"part": {"count": -1}}, "config.part.count: found -1, expected at least 0"),
        ({"part": {"count": True}}, "config.part.count: found True, expected at least"),
        ({"rate": "x"}, "config.rate: found 'x', expected a number"),
        ({"part": 3}, "config.part: found 3, expected fields"),
        ({"rate": {}}, "config.rate: found 'fields', expected a value"),
        (
            {"part": {"cuont": 1}},
            "config.part.cuont: found an unknown field; did you mean part.count?",
        ),
    ],
)
def test_what_cannot_be_used_is_named(fields, message):
    with pytest.raises(UserError, match=f"^{re.escape(message)}"):
        parse(Run, ConfigDict(fields))
