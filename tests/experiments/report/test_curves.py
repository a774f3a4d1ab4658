import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from rtil_jax.errors import UserError
from rtil_jax.experiments import report
from rtil_jax.experiments.report.published import published_curves
from rtil_jax.experiments.report.style import line_styles
from tests.experiments.report.directory import row, write_results

RATIOS = {
    "compressed_sensing": (0.01, 0.1, 0.25),
    "inpainting": (0.3,),
    "super_resolution": (1 / 16, 1 / 2),
}


def swept(**changes):
    return [
        row(image, prior, 20.0 + ratio, problem=problem, ratio=ratio, **changes)
        for image in "ab"
        for prior in ("vanilla", "rtil")
        for problem, ratios in RATIOS.items()
        for ratio in ratios
    ]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, which are not drawn."""
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path: figures.append(self))
    return figures


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def line_points(axes):
    """The data of every line that has an entry in the legend."""
    return [bars[0].get_xydata() for bars in axes.containers]


def test_one_figure_per_metric(tmp_path):
    write_results(tmp_path, swept())
    paths = report.plot_curves(str(tmp_path))
    # No image has LPIPS.
    assert paths == [str(tmp_path / "figures" / f"{n}.png") for n in ("psnr", "ssim")]
    for path in paths:
        with Image.open(path) as image:
            width, height = image.size
            assert width == 1665 and height < width / 2
            assert np.ptp(np.asarray(image.convert("L"))) == 255


def test_one_panel_per_problem(tmp_path, drawn):
    write_results(tmp_path, swept(lpips=0.25))
    report.plot_curves(str(tmp_path))
    assert len(drawn) == 3
    assert drawn[2].axes[0].get_ylabel().startswith("LPIPS (lower is better)")
    sensing = drawn[0].axes[0]
    assert sensing.get_ylabel() == "PSNR (dB)\nmean and 95 % CI"
    assert [axes.get_title() for axes in drawn[0].axes] == [
        "compressed sensing, 2 images",
        "inpainting, 2 images",
        "super resolution, 2 images",
    ]
    ticks = [[x.get_text() for x in axes.get_xticklabels()] for axes in drawn[0].axes]
    assert ticks == [["1", "10", "25"], ["30"], ["1/16", "1/2"]]
    points = line_points(sensing)
    for line in points:
        np.testing.assert_allclose(line, [(0.01, 20.01), (0.1, 20.1), (0.25, 20.25)])
    assert len(points) == 2 and labels(drawn[0]) == ["vanilla", "rtil"]
    assert all(axes.get_legend() is None for axes in drawn[0].axes)


@pytest.mark.parametrize("methods", [1, 5])
def test_the_legend_covers_nothing(tmp_path, drawn, methods):
    rows = [r for i in range(methods) for r in swept(method=f"N = {i}")]
    write_results(tmp_path, rows)
    report.plot_curves(str(tmp_path), "mganprior")
    for figure in drawn:
        figure.draw_without_rendering()
        below = figure.legends[0].get_window_extent()
        panels = [axes.get_tightbbox() for axes in figure.axes]
        assert 0 <= below.y0 < below.y1 <= min(panel.y0 for panel in panels)
        assert 0 <= below.x0 and below.x1 <= figure.bbox.x1
        # The panels keep their size.
        assert min(panel.height for panel in panels) > 2.5 * report.DPI


def test_an_interval_needs_two_images(tmp_path, drawn):
    rows = [row("a", "rtil", 20.0), row("a", "rtil", 21.0, ratio=0.2)]
    write_results(tmp_path, [*rows, row("b", "rtil", 23.0, ratio=0.2)])
    report.plot_curves(str(tmp_path))
    (bars,) = drawn[0].axes[0].containers
    np.testing.assert_allclose(bars[0].get_xydata(), [(0.1, 20.0), (0.2, 22.0)])
    (alone, pair) = bars[2][0].get_segments()
    assert alone.size == 0
    np.testing.assert_allclose(pair[:, 1], [22 - 12.706, 22 + 12.706], atol=1e-3)
    # All of the bar is inside the panel.
    low, high = drawn[0].axes[0].get_ylim()
    assert low < pair[0, 1] and pair[1, 1] < high
    assert drawn[0].axes[0].get_title() == "compressed sensing, 1-2 images"


def test_infinite_and_missing_values_are_survived(tmp_path):
    rows = [row("a", "rtil", math.inf), row("b", "rtil", ""), row("c", "other", 20.0)]
    write_results(tmp_path, rows)
    assert len(report.plot_curves(str(tmp_path))) == 2


def test_colour_tells_priors_where_one_method_was_run():
    rows = swept() + swept(select="oracle")
    styles = line_styles(rows)
    vanilla, rtil, *oracle = styles.values()
    assert vanilla["color"] != rtil["color"]
    assert [style["color"] for style in oracle] == [vanilla["color"], rtil["color"]]
    assert {style["markerfacecolor"] for style in oracle} == {"white"}
    assert [s["label"] for s in oracle] == [
        f"{p}, select=oracle" for p in ("vanilla", "rtil")
    ]


def test_colour_tells_methods_where_several_were_run():
    methods = [f"z{i}" for i in range(5)]
    styles = line_styles([r for method in methods for r in swept(method=method)])
    assert len({style["color"] for style in styles.values()}) == 5
    for (prior, method, _), style in styles.items():
        assert style["color"] == styles["rtil", method, "measurement"]["color"]
        assert style["linestyle"] == {"rtil": "-", "vanilla": "--"}[prior]
        assert style["label"] == f"{prior}, {method}"


@pytest.mark.parametrize("methods, priors", [(10, 2), (1, 5), (8, 3)])
def test_no_two_lines_look_the_same(methods, priors):
    rows = [
        row("a", prior, 20.0, method=f"EXP {i}")
        for i in range(methods)
        for prior in ("vanilla", "rtil", "x", "y", "z")[:priors]
    ]
    looks = {(s["color"], s["marker"]) for s in line_styles(rows).values()}
    assert len(looks) == methods * priors


def test_published_values():
    # Differences of RTIL and vanilla, as the paper's figures have them.
    ilo, mgan = published_curves("ilo"), published_curves("mganprior")
    assert [len(curve) for curve in ilo.values()] == [5, 5, 4]
    assert [len(curve) for curve in mgan.values()] == [6, 5, 4]
    assert ilo["compressed_sensing"][0.1][0] == (33.13, 32.62, 33.65)
    assert ilo["inpainting"][0.5][1] == (34.89, 34.27, 35.53)
    assert mgan["compressed_sensing"][1.0][0] == (31.01, 30.62, 31.40)
    assert mgan["super_resolution"][1 / 16][1] == (21.60, 21.08, 22.12)
    for curves in (ilo, mgan):
        values = np.array([v for curve in curves.values() for v in curve.values()])
        mean, lower, upper = np.moveaxis(values, -1, 0)
        np.testing.assert_allclose(upper - mean, mean - lower, atol=0.08)
    # Gains that the paper's text states to one or two digits.
    for problem, ratio, gain in [
        ("compressed_sensing", 0.25, 1.28),
        ("compressed_sensing", 0.15, 1.59),
        ("inpainting", 0.5, 1.88),
        ("inpainting", 0.01, -0.5),
        ("super_resolution", 0.25, 0.77),
    ]:
        rtil, vanilla = ilo[problem][ratio]
        assert rtil[0] - vanilla[0] == pytest.approx(gain, abs=0.04)


def test_published_curves_are_drawn_whole_beside_ours(tmp_path, drawn):
    write_results(tmp_path, [*swept(), row("a", "rtil", 20.0, problem="denoising")])
    report.plot_curves(str(tmp_path), "ilo")
    psnr, ssim = drawn
    names = [f"{x}, published\n(256 px faces, digitised)" for x in ("RTIL", "vanilla")]
    assert labels(psnr) == ["vanilla", "rtil", *names]
    assert labels(ssim) == ["vanilla", "rtil"]
    _, denoising, inpainting, _ = psnr.axes[:4]
    rtil, vanilla = line_points(inpainting)[2:]
    assert rtil[-1].tolist() == [0.5, 36.78] and vanilla[0].tolist() == [0.01, 20.13]
    assert len(line_points(denoising)) == 1
    ticks = [text.get_text() for text in inpainting.get_xticklabels()]
    # At 25 % its number would touch that of the measured 30 %.
    assert ticks == ["1", "5", "15", "", "30", "50"]


def test_an_unknown_published_curve_is_refused(tmp_path):
    write_results(tmp_path, swept())
    with pytest.raises(UserError, match="config.figure.published: found 'csgm'"):
        report.plot_curves(str(tmp_path), "csgm")


def test_missing_results_are_refused(tmp_path):
    with pytest.raises(UserError, match="results.csv: found no such file"):
        report.plot_curves(str(tmp_path))
