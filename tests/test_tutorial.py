"""The tutorial runs from its first cell to its last, and shows what it says.

Its outputs are made by `jupyter nbconvert --execute --inplace docs/tutorial.ipynb`.
"""

import json

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

PATH = "docs/tutorial.ipynb"


def code_cells():
    with open(PATH, encoding="utf-8") as file:
        cells = json.load(file)["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def names():
    """What the cells define, run in order."""
    matplotlib.use("Agg")
    names = {"__name__": "__main__"}
    for number, cell in enumerate(code_cells(), 1):
        exec(compile("".join(cell["source"]), f"{PATH}, cell {number}", "exec"), names)
    yield names
    plt.close("all")


def test_rtil_helps_where_intermediate_layers_are_searched(names):
    """By the image, on average; CSGM searches none."""
    quality, found = names["quality"], names["found"]
    gains = {
        method: quality(found[method, "rtil"].images)
        - quality(found[method, "vanilla"].images)
        for method in names["methods"]
    }
    assert all(np.isfinite(gain).all() for gain in gains.values())
    assert gains["ILO"].mean() > 0


def test_the_outputs_are_committed():
    cells = code_cells()
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    pictures = [
        output
        for cell in cells
        for output in cell["outputs"]
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 3
    assert all(
        output["output_type"] != "error" for c in cells for output in c["outputs"]
    )
