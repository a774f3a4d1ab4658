import math

import pytest

from rtil_jax.errors import UserError
from rtil_jax.experiments import report
from tests.experiments.report.directory import COLUMNS, row, write_results


def open_summary(workdir):
    with open(report.write_summary(str(workdir)), encoding="utf-8") as file:
        return file.read().splitlines()


def table_lines(workdir):
    """Cells of every table line of the summary, without headers and rules."""
    lines = [line for line in open_summary(workdir) if line.startswith("|")]
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
    # No image has LPIPS, so there is no such column.
    assert vanilla[7:] == ["1.00e-03 ± 0.00e+00", "2.00 ± 0.00", "0"]
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
    assert "oracle" not in text and "| LPIPS" not in text and "n/a |" not in text


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
        assert "`oracle` gains because it knows the true image" in file.read()


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
        (",".join(COLUMNS) + "\r\na,b\r\n", "line 2: found another number of fields"),
        (",".join(COLUMNS) + "\r\n" + ",".join("x" * 12) + "\r\n", "line 2: could not"),
        (",".join(COLUMNS) + "\r\n", "found no results"),
        ("", "found no results"),
    ],
)
def test_unusable_results_are_refused(tmp_path, text, message):
    (tmp_path / "results.csv").write_bytes(text.encode())
    with pytest.raises(UserError, match=message):
        report.write_summary(str(tmp_path))


def test_names_cannot_break_the_markdown(tmp_path):
    write_results(tmp_path, [row("a", "a|b", 20.0, method="<b>x")])
    (cells,) = [line for line in open_summary(tmp_path) if line.startswith("| 0.1")]
    assert r"| a\|b | \<b>x |" in cells


def test_methods_keep_the_order_of_the_file(tmp_path):
    labels = ("N = 1", "N = 20", "N = 10")
    write_results(tmp_path, [row("a", "rtil", 20.0, method=x) for x in labels])
    # Paired differences to the first of them follow.
    lines = table_lines(tmp_path)
    assert tuple(line[2] for line in lines[:3]) == labels
    assert [line[1] for line in lines[3:]] == ["N = 20 − N = 1", "N = 10 − N = 1"]
