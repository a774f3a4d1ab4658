import csv
import math

import numpy as np
import pytest
from PIL import Image

from rtil_jax import report
from rtil_jax.errors import UserError

COLUMNS = (
    "image,prior,method,problem,ratio,select,psnr,ssim,lpips,measurement_mse,"
    "seconds,status"
).split(",")


def row(image, prior, psnr, **changes):
    values = {
        "image": image,
        "prior": prior,
        "method": "ilo",
        "problem": "compressed_sensing",
        "ratio": 0.1,
        "select": "measurement",
        "psnr": psnr,
        "ssim": 0.5,
        "lpips": "",
        "measurement_mse": 1e-3,
        "seconds": 2.0,
        "status": "ok",
    }
    return values | changes


def write_results(workdir, rows):
    path = workdir / "results.csv"
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def table_lines(workdir):
    """Cells of every table line of the summary, without headers and rules."""
    with open(report.write_summary(str(workdir)), encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [c for c in cells if c[0] not in ("ratio", "---")]


TWO_PRIORS = [
    row("a", "rtil", 22.0),
    row("b", "rtil", 25.0, status="stalled"),
    row("a", "vanilla", 20.0),
    row("b", "vanilla", 24.0),
    row("c", "vanilla", 22.0),
]


def test_results_are_read_as_numbers(tmp_path):
    first, *_ = report.read_results(write_results(tmp_path, TWO_PRIORS))
    assert first["psnr"] == 22.0 and first["ratio"] == 0.1
    assert first["image"] == "a" and first["status"] == "ok"
    assert math.isnan(first["lpips"])


def test_summary_by_hand(tmp_path):
    write_results(tmp_path, TWO_PRIORS)
    vanilla, rtil, paired = table_lines(tmp_path)
    # Vanilla: standard deviation 2, error 2 / sqrt(3), t = 4.3027: 4.97.
    key = ["0.1", "vanilla", "ilo", "measurement", "3"]
    assert vanilla[:7] == [*key, "22.00 ± 4.97", "0.5000 ± 0.0000"]
    assert vanilla[7:] == ["n/a", "1.00e-03 ± 0.00e+00", "2.00 ± 0.00", "0"]
    # RTIL: error 1.5, t = 12.7062; one image stalled.
    assert rtil[4:6] == ["2", "23.50 ± 19.06"] and rtil[-1] == "1"
    # Differences 2 and 1 over the two images that both have: error 0.5.
    key = ["0.1", "rtil − vanilla", "ilo", "measurement", "2"]
    assert paired[:6] == [*key, "+1.50 ± 6.35"]


def test_summary_states_its_rules(tmp_path):
    write_results(tmp_path, TWO_PRIORS)
    with open(report.write_summary(str(tmp_path)), encoding="utf-8") as file:
        text = file.read()
    assert "95 % confidence interval" in text and "clipped" in text
    assert "`select=measurement`: the iterate with the lowest measurement loss" in text
    assert "oracle" not in text


def test_the_gap_between_selection_rules(tmp_path):
    rows = [
        row("a", "rtil", 23.0, select="oracle"),
        row("a", "rtil", 20.0),
        row("b", "rtil", 22.0),
        row("b", "rtil", 23.0, select="oracle"),
        row("b", "vanilla", 21.0),
    ]
    write_results(tmp_path, rows)
    *means, priors, selections = table_lines(tmp_path)
    assert [line[:4:3] for line in means] == [
        ["0.1", "measurement"],
        ["0.1", "measurement"],
        ["0.1", "oracle"],
    ]
    assert priors[1] == "rtil − vanilla"
    # Measurement is the reference whatever the order: 3 and 1, error 1, t = 12.7062.
    key = ["0.1", "oracle − measurement", "rtil", "ilo", "2"]
    assert selections[:6] == [*key, "+2.00 ± 12.71"]
    with open(report.write_summary(str(tmp_path)), encoding="utf-8") as file:
        assert "what `oracle` gains, it owes to the true image" in file.read()


def test_one_image_has_no_interval(tmp_path):
    write_results(tmp_path, [row("a", "rtil", 20.0), row("a", "other", 21.0)])
    rtil, other, paired = table_lines(tmp_path)
    assert rtil[5] == "20.00 ± n/a" and other[5] == "21.00 ± n/a"
    # Without a prior named vanilla, the first of the file is the reference.
    assert paired[1] == "other − rtil" and paired[5] == "+1.00 ± n/a"


def test_priors_without_common_images_are_not_paired(tmp_path):
    write_results(tmp_path, [row("a", "vanilla", 20.0), row("b", "rtil", 21.0)])
    assert len(table_lines(tmp_path)) == 2


def test_missing_and_infinite_values(tmp_path):
    rows = [
        row("a", "rtil", math.inf, lpips=0.1),
        row("b", "rtil", 20.0),
        row("c", "rtil", 21.0, lpips=0.3),
    ]
    write_results(tmp_path, rows)
    (line,) = table_lines(tmp_path)
    assert line[5] == "inf ± n/a" and line[7] == "0.2000 ± 1.2706 (n=2)"
    assert len(report.plot_curves(str(tmp_path))) == 1


def test_lines_are_sorted_by_problem_and_ratio(tmp_path):
    write_results(
        tmp_path,
        [
            row("a", "rtil", 20.0, problem="inpainting", ratio=0.5),
            row("a", "rtil", 20.0, problem="inpainting", ratio=0.05),
            row("a", "rtil", 20.0, ratio=0.2),
            row("a", "vanilla", 20.0, problem="inpainting", ratio=0.5),
        ],
    )
    lines = [line[:2] for line in table_lines(tmp_path)]
    inpainting = [["0.05", "rtil"], ["0.5", "vanilla"], ["0.5", "rtil"]]
    assert lines == [["0.2", "rtil"], *inpainting, ["0.5", "rtil − vanilla"]]


@pytest.mark.parametrize("cut", [1, 3, 40])
def test_a_truncated_last_line_is_ignored(tmp_path, cut):
    path = write_results(tmp_path, TWO_PRIORS)
    with open(path, "rb+") as file:
        file.truncate(file.seek(0, 2) - cut)
    with pytest.warns(UserWarning, match="truncated"):
        rows = report.read_results(path)
    assert [r["image"] for r in rows] == ["a", "b", "a", "b"]


@pytest.mark.parametrize(
    "text, message",
    [
        ("image,prior\r\n", "found no column method"),
        (",".join(COLUMNS) + "\r\na,b\r\n", "line 2: expected as many fields"),
        (",".join(COLUMNS) + "\r\n" + ",".join("x" * 12) + "\r\n", "line 2: could not"),
        (",".join(COLUMNS) + "\r\n", "found no results"),
        ("", "found no results"),
    ],
)
def test_unusable_results_are_refused(tmp_path, text, message):
    (tmp_path / "results.csv").write_bytes(text.encode())
    with pytest.raises(UserError, match=message):
        report.write_summary(str(tmp_path))


def test_missing_results_are_refused(tmp_path):
    with pytest.raises(UserError, match="results.csv: not found"):
        report.plot_curves(str(tmp_path))


def test_one_figure_per_problem(tmp_path):
    rows = [
        row(image, prior, 20.0 + ratio, problem=problem, ratio=ratio, select=select)
        for image in "ab"
        for prior in ("vanilla", "rtil")
        for problem, ratios in {
            "compressed_sensing": (0.01, 0.1, 0.25),
            "super_resolution": (0.5,),
            "deblurring": (0.5,),
        }.items()
        for ratio in ratios
        for select in ("measurement", "oracle")
    ]
    write_results(tmp_path, rows)
    paths = report.plot_curves(str(tmp_path))
    names = ("compressed_sensing", "deblurring", "super_resolution")
    assert paths == [str(tmp_path / "figures" / f"{n}_psnr.png") for n in names]
    for path in paths:
        with Image.open(path) as image:
            assert image.size == (900, 600)
            assert np.ptp(np.asarray(image.convert("L"))) == 255


@pytest.mark.parametrize("channels", [1, 3])
def test_image_grid_shows_whole_pixels(tmp_path, channels):
    path = str(tmp_path / "grid.png")
    levels = np.array([-1.0, 1.0], np.float32).repeat(16)
    # Black on the left, white on the right.
    images = np.broadcast_to(levels[:, None], (10, 32, 32, channels))
    report.image_grid({"truth": images, "x": images}, path, {"x": np.full(10, 20.0)})
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("L"))
    # Two columns of 256 pixels and gaps of 8; 8 rows, each with a line of text.
    assert pixels.shape == (40 + 8 * (256 + 40), 2 * (256 + 8) + 8)
    for left in (8, 8 + 256 + 8):
        assert (pixels[41:295, left + 1 : left + 127] == 0).all()
        assert (pixels[41:295, left + 129 : left + 255] == 255).all()
    captions = pixels[300:330] < 128
    assert captions[:, 272:].any() and not captions[:, :264].any()


@pytest.mark.parametrize("channels, mode", [(1, "L"), (3, "RGB")])
def test_sample_grid_is_pixel_exact(tmp_path, channels, mode):
    path = str(tmp_path / "samples.png")
    values = np.linspace(-1.2, 1, 2 * 3 * 8 * 4 * channels, dtype=np.float32)
    rows = values.reshape(2, 3, 8, 4, channels)
    report.sample_grid(rows, path)
    with Image.open(path) as image:
        assert image.mode == mode and image.size == (3 * 4 + 2 * 2, 2 * 8 + 2)
        pixels = np.asarray(image).reshape(18, 16, channels)
    expected = np.clip(np.round((rows[1, 2] + 1) * 127.5), 0, 255)
    np.testing.assert_array_equal(pixels[10:, 12:], expected)
    assert (pixels[8:10] == 255).all() and (pixels[:, 4:6] == 255).all()
    assert pixels[0, 0, 0] == 0
