"""The Python of the README and of the first pages runs as printed."""

import re

import pytest


def blocks(path):
    with open(path, encoding="utf-8") as file:
        return re.findall(r"```python\n(.*?)```", file.read(), re.DOTALL)


START, *OPERATORS, ALGEBRA = blocks("docs/operators.md")
BLOCKS = [*blocks("README.md"), *blocks("docs/start.md"), ALGEBRA]


@pytest.mark.parametrize("block", BLOCKS)
def test_python_block_runs(block, capsys):
    exec(compile(block, "page", "exec"), {})
    assert "(4, 32, 32, 3)" in capsys.readouterr().out


def test_every_operator_of_the_gallery_measures_its_image():
    names = {}
    exec(compile(START, "page", "exec"), names)
    for block in OPERATORS:
        exec(compile(block, "page", "exec"), names)
        assert (
            names["A"](names["x"]).shape == names["y"].shape == names["A"].output_shape
        )
    assert len(OPERATORS) == 18
