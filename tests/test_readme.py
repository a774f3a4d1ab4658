"""The README's Python runs as printed."""

import re

import pytest

with open("README.md", encoding="utf-8") as file:
    BLOCKS = re.findall(r"```python\n(.*?)```", file.read(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_python_block_runs(block, capsys):
    exec(compile(block, "README.md", "exec"), {})
    assert "(4, 32, 32, 3)" in capsys.readouterr().out
