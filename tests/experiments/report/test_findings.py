"""What a report says first: the best of each setting, and pictures by image."""

import base64
import io
import math
import re

import numpy as np
import pytest
from PIL import Image

from rtil_jax.errors import UserError
from rtil_jax.experiments import report
from rtil_jax.experiments.report.findings import (
    conclusion,
    differences,
    find_best,
    findings_lines,
    findings_table,
)
from rtil_jax.experiments.report.rows import sorted_results
from rtil_jax.experiments.report.shown import load_shown
from tests.experiments.report.directory import row, write_results
from tests.experiments.report.test_page import Page

PAIRS = {"a": (20.0, 22.0), "b": (24.0, 25.5), "c": (22.0, 23.5)}


def pairs(**changes):
    return [
        row(image, prior, psnr, **changes)
        for image, both in PAIRS.items()
        for prior, psnr in zip(("vanilla", "rtil"), both, strict=True)
    ]


def findings(tmp_path, rows):
    write_results(tmp_path, rows)
    return find_best(sorted_results(str(tmp_path)))


def test_the_best_and_its_paired_lead(tmp_path):
    (found,) = findings(tmp_path, [*pairs(), row("d", "rtil", 99.0)])  # has no pair
    assert (found.best, found.second, found.count) == ("rtil", "vanilla", 3)
    # Leads 2, 1.5, 1.5: mean 5/3, standard error 1/6, t = 4.3027.
    assert found.psnr == pytest.approx(71 / 3) and found.second_psnr == 22
    assert found.lead == pytest.approx(5 / 3) and found.is_clear
    assert found.half == pytest.approx(4.3027 / 6, abs=1e-4)
    assert findings_lines([found]) == [
        "compressed sensing, 10 %  rtil 23.67 dB, vanilla 22.00: +1.67 ± 0.72"
    ]
    assert conclusion([found]).startswith(
        "rtil has the best mean PSNR in 1 of 1 setting (clearly in 1)."
    )
    assert findings_table([found]).body[0][-1] == "rtil is ahead"


def test_a_lead_within_its_interval_is_not_clear(tmp_path):
    rows = [row("a", "vanilla", 20.0), row("a", "rtil", 23.0)]
    rows += [row("b", "vanilla", 22.0), row("b", "rtil", 21.0)]
    (found,) = findings(tmp_path, rows)
    assert found.lead == 1 and not found.is_clear
    assert "(never clearly)" in conclusion([found])
    assert findings_table([found]).body[0][-1] == "no clear difference"


def test_one_image_or_one_prior_is_told_as_it_is(tmp_path):
    (found,) = findings(tmp_path, pairs()[:2])
    assert math.isnan(found.half) and not found.is_clear
    assert findings_table([found]).body[0][-2:] == [
        "+2.00 ± n/a",
        "too few images to tell",
    ]
    (found,) = findings(tmp_path, [row("a", "rtil", 20.0)])
    assert (found.best, found.second) == ("rtil", "") and conclusion([found]) == ""


def test_without_a_truth_nothing_is_found(tmp_path):
    assert findings(tmp_path, [row("a", "rtil", "")]) == []


def test_methods_and_rules_are_named_where_they_differ(tmp_path):
    rows = pairs() + pairs(method="csgm") + pairs(select="oracle")
    rows += [row("a", "none", 30.0, method="tv")]
    found = findings(tmp_path, rows)
    assert found[0].setting == ("compressed sensing", "10 %", "measurement")
    assert found[0].best == "tv" and found[0].second in ("rtil, ilo", "rtil, csgm")
    assert found[0].count == 1  # the image that all have
    assert found[1].setting[2] == "oracle" and found[1].best == "rtil, ilo"


def test_lines_fit_a_terminal(tmp_path):
    names = "a-prior-whose-name-is-as-long-as-it-may", "another-whose-name-is-longer"
    rows = [row("a", n, 20.0, problem="gaussian_deblurring") for n in names]
    for line in findings_lines(findings(tmp_path, rows)):
        assert len(line) <= 100


def test_differences_are_taken_image_by_image(tmp_path):
    write_results(tmp_path, pairs())
    rows = differences(sorted_results(str(tmp_path)))
    assert {r["image"]: r["psnr"] for r in rows} == {"a": 2, "b": 1.5, "c": 1.5}
    assert {r["prior"] for r in rows} == {"rtil − vanilla"}
    (path,) = report.plot_differences(str(tmp_path))
    assert path.endswith("differences.png") and Image.open(path).size[0] > 300
    write_results(tmp_path, [row("a", "rtil", 20.0)])
    assert report.plot_differences(str(tmp_path)) == []


@pytest.fixture
def page(tmp_path):
    """Of a directory with the pictures of two images."""
    write_results(tmp_path, pairs())
    truth = np.zeros((2, 8, 8, 1), np.float32)
    found = truth + np.array([0.5, 1.0]).reshape(2, 1, 1, 1).astype(np.float32)
    columns = {"truth": truth, "measurement": truth - 1, "rtil, ilo": found}
    path = str(tmp_path / "shown" / "compressed_sensing_0.1_measurement.npz")
    names = ["a<b>.png", "photo.jpg"]
    report.save_shown(path, names, columns, {"rtil, ilo": [22.0, math.nan]})
    return Page(report.write_page(str(tmp_path)))


def test_pictures_stand_under_their_files_names(page):
    assert "a<b>.png" in page.text and "photo.jpg" in page.text
    alts = [image["alt"] for image in page.attributes("img")]
    assert alts[:4] == [
        "truth of a<b>.png, compressed sensing, 10 %",
        "measurement of a<b>.png, compressed sensing, 10 %",
        "rtil, ilo of a<b>.png, compressed sensing, 10 %",
        "error of rtil, ilo of a<b>.png, compressed sensing, 10 %",
    ]
    assert "rtil, ilo: 22.00 dB" in page.text
    assert all(image["class"] == "zoom pixels" for image in page.attributes("img"))
    assert {image["style"] for image in page.attributes("img")} == {"width: 160px"}


def test_error_maps_are_the_errors(page):
    sources = [image["src"].partition(",")[2] for image in page.attributes("img")]
    truth, _, found, error = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(x)))) for x in sources[:4]
    )
    assert (error == 255).all()  # the largest error of this image
    share = (int(found[0, 0]) - int(truth[0, 0])) / 255
    assert f"error, white: {share:.2g}" in page.text


def test_the_order_is_found_pictures_curves_tables_settings(tmp_path, page):
    titles = re.findall("<h2>(.*?)</h2>", page.source)
    assert titles == ["What was found", "Pictures", "Tables"]
    assert page.text.index("rtil is ahead") < page.text.index("photo.jpg")


def test_damaged_pictures_are_told(tmp_path):
    path = tmp_path / "shown.npz"
    assert load_shown(str(path)) is None
    path.write_bytes(b"PK")
    with pytest.raises(UserError, match="shown.npz: found .*the same command writes"):
        load_shown(str(path))
