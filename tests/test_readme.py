"""The Python of the README and of the first pages runs as printed."""

import re

import pytest

BLOCKS = []
for path in ("README.md", "docs/start.md", "docs/operators.md"):
    with open(path, encoding="utf-8") as file:
        BLOCKS += re.findall(r"```python\n(.*?)```", file.read(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_python_block_runs(block, capsys):
    exec(compile(block, "page", "exec"), {})
    assert "(4, 32, 32, 3)" in capsys.readouterr().out
