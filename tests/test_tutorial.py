"""The tutorial runs from its first cell to its last, and shows what it says.

Its outputs are made by `jupyter nbconvert --execute --inplace docs/tutorial.ipynb`.
"""

import json

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from rtil_jax.operators import Operator

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


def test_rtil_gains_more_than_vanilla_from_a_search_of_its_layers(names):
    """CSGM searches z_0 alone, ILO the intermediate inputs too."""
    quality, found = names["quality"], names["found"]
    psnr = {key: quality(result.images) for key, result in found.items()}
    assert all(np.isfinite(values).all() for values in psnr.values())
    gain = {
        name: np.mean(psnr["ILO", name] - psnr["CSGM", name])
        for name in ("vanilla", "rtil")
    }
    assert gain["rtil"] > gain["vanilla"] > 0


def test_the_operator_of_ones_own_is_an_operator(names):
    assert isinstance(names["operators"], Operator)


def test_the_outputs_are_committed():
    cells = code_cells()
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
