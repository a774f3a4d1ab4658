import os

import numpy as np
import pytest
from matplotlib.figure import Figure

from rtil_jax.experiments import report
from rtil_jax.experiments.report.convergence import (
    loss_quartiles,
    stage_starts,
    total_steps,
)
from tests.experiments.report.directory import row, write_results, write_solution

# Two stages of 20 and 10 steps; a stage ends with a record of its last iterate.
STAGES = [(0, 0), (0, 10), (0, 20), (1, 0), (1, 10)]


def history(*losses):
    return np.array([(*at, x) for at, x in zip(STAGES, losses, strict=True)], "f4")


def test_steps_are_counted_through_all_stages():
    records = history(1, 1, 1, 1, 1)
    assert total_steps(records).tolist() == [0, 10, 20, 20, 30]
    assert stage_starts(records).tolist() == [20]


def test_quartiles_over_images():
    scales = [1.0, 2.0, 3.0, 4.0, 5.0]
    images = [scale * history(8, 4, 2, 2, 1) for scale in scales]
    for image in images:
        image[:, :2] = STAGES
    steps, quartiles = loss_quartiles(images)
    assert steps.tolist() == [0, 10, 20, 30]
    np.testing.assert_allclose(quartiles, np.outer([2, 3, 4], [8, 4, 2, 1]))


def test_losses_that_are_not_finite_are_left_out():
    images = [history(8, 4, np.inf, np.nan, np.nan), history(4, 2, 1, 1, np.nan)]
    _, (_, median, _) = loss_quartiles(images)
    np.testing.assert_array_equal(median, [6, 3, 1, np.nan])


@pytest.fixture
def drawn(monkeypatch):
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path: figures.append(self))
    return figures


def test_one_line_per_prior_and_a_panel_per_ratio(tmp_path, drawn):
    rows = [
        row(image, prior, 20.0, ratio=ratio, select=select)
        for image in "abc"
        for prior in ("rtil", "vanilla")
        for ratio in (0.1, 0.2)
        for select in ("measurement", "oracle")
    ]
    write_results(tmp_path, rows)
    for entry in rows:
        write_solution(tmp_path, entry, history(8, 4, 2, 2, 1))
    # Left by a run that has no row.
    write_solution(tmp_path, row("z", "rtil", 20.0), history(1, 1, 1, 1, 1))
    paths = report.plot_convergence(str(tmp_path))
    figures = tmp_path / "figures"
    assert paths == [str(figures / "convergence_compressed_sensing.png")]
    titles = [axes.get_title() for axes in drawn[0].axes]
    assert titles == [f"compressed sensing, {n} %, 3 images" for n in (10, 20)]
    vanilla, rtil, boundary = drawn[0].axes[0].get_lines()
    expected = [(0, 8), (10, 4), (20, 2), (30, 1)]
    np.testing.assert_array_equal(vanilla.get_xydata(), expected)
    assert boundary.get_xdata()[0] == 20
    assert drawn[0].axes[0].get_yscale() == "log"
    legend = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert legend == ["vanilla", "rtil"]


def test_stages_of_several_lengths_are_marked_on_the_lines(tmp_path, drawn):
    one_stage = history(8, 4, 2, 2, 1)[:3]
    rows = [row("a", "rtil", 20.0, method=x) for x in ("z0", "z1")]
    write_results(tmp_path, rows)
    write_solution(tmp_path, rows[0], one_stage)
    write_solution(tmp_path, rows[1], history(8, 4, 2, 2, 1))
    report.plot_convergence(str(tmp_path))
    z0, z1 = drawn[0].axes[0].get_lines()
    assert (z0.get_markevery(), z1.get_markevery()) == ([], [2])
    # z1 goes the way of z0 first, which would be hidden below it.
    assert z0.get_zorder() > z1.get_zorder()
    assert "markers: a new stage" in drawn[0].axes[0].get_xlabel()


def test_old_solutions_have_no_curves(tmp_path):
    write_results(tmp_path, [row("a", "rtil", 20.0)])
    write_solution(tmp_path, row("a", "rtil", 20.0), None)
    assert report.plot_convergence(str(tmp_path)) == []
    assert not os.path.exists(tmp_path / "figures")


def test_a_damaged_solution_is_left_out(tmp_path):
    write_results(tmp_path, [row("a", "rtil", 20.0)])
    write_solution(tmp_path, row("a", "rtil", 20.0), history(1, 1, 1, 1, 1))
    (path,) = (tmp_path / "solutions").iterdir()
    path.write_bytes(path.read_bytes()[:50])
    with pytest.warns(UserWarning, match="left out of the curves"):
        assert report.plot_convergence(str(tmp_path)) == []
