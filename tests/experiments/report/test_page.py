import html.parser
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from rtil_jax.errors import UserError
from rtil_jax.experiments import report
from rtil_jax.experiments.report import markup
from rtil_jax.experiments.report.page import settings_table
from tests.experiments.report.directory import row, write_results, write_solution

TWO_PRIORS = [
    row("a", "rtil", 22.0),
    row("b", "rtil", 25.0, status="stalled"),
    row("a", "vanilla", 20.0),
    row("b", "vanilla", 24.0),
]
VOID = ("meta", "img", "br")


class Page(html.parser.HTMLParser):
    """Cells, attributes and text of a page whose elements are closed in order."""

    def __init__(self, path):
        super().__init__()
        self.open, self.tags, self.cells, self.text = [], [], [], ""
        with open(path, encoding="utf-8") as file:
            self.source = file.read()
        self.feed(self.source)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1][-1] += data

    def attributes(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(workdir, rows, record=None):
    write_results(workdir, rows)
    if record is not None:
        (workdir / "config.json").write_text(json.dumps(record))
    return Page(report.write_page(str(workdir)))


def test_an_old_directory_has_a_page(tmp_path):
    page = page_of(tmp_path, TWO_PRIORS)
    assert page.source.startswith("<!DOCTYPE html>")
    assert "4, of 2 images: 3 ok, 1 stalled" in page.text
    assert "the iterate with the lowest measurement loss is kept" in page.text
    for absent in ("Commands", "Settings", "Versions", "Curves", "Convergence"):
        assert absent not in page.text


def test_tables_are_those_of_the_summary(tmp_path):
    page = page_of(tmp_path, TWO_PRIORS)
    with open(report.write_summary(str(tmp_path)), encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines() if line.startswith("| ")]
    cells = [line.strip("| ").split(" | ") for line in lines]
    assert len(cells) == 7
    lines = [line for line in cells if line[0] != "---"]
    # No image has LPIPS, so neither has a column of it.
    assert "LPIPS" not in lines[0] and "LPIPS" not in lines[3]
    assert page.cells[2:] == lines  # after what was found
    # What has not ended well stands out.
    assert [x["class"] for x in page.attributes("td") if "notok" in x.get("class", "")]


def test_one_image_gives_no_nan(tmp_path):
    page = page_of(tmp_path, [row("a", "rtil", 20.0), row("a", "vanilla", 21.0)])
    assert "20.00 ± n/a" in page.text and "-1.00 ± n/a" in page.text
    cells = [cell for line in page.cells for cell in line]
    assert "nan" not in " ".join(cells).lower() and "inf" not in " ".join(cells)
    with open(report.write_summary(str(tmp_path)), encoding="utf-8") as file:
        assert "nan" not in file.read().lower()


def test_what_was_run_is_said(tmp_path):
    methods = {
        "z0": {"seed": 0, "method": {"name": "ilo", "steps": [2000]}},
        "z1": {"seed": 0, "method": {"name": "ilo", "steps": [2000, 1000], "x": ""}},
    }
    for settings in methods.values():
        settings["priors"] = {"rtil": "runs/rtil"}
    record = {
        "methods": methods,
        "priors": {"rtil": 7},
        "commands": [
            "python invert.py --config a.py",
            "python invert.py --config b.py",
        ],
        "versions": {"jax": "0.10.2"},
    }
    page = page_of(tmp_path, TWO_PRIORS, record)
    assert "\n".join(record["commands"]) in page.text
    assert "jax 0.10.2" in page.text and "rtil (runs/rtil)" in page.text
    assert page.cells[-3:] == [
        ["field", "z0", "z1"],
        ["method.steps", "[2000]", "[2000, 1000]"],
        ["method.x", "–", '""'],
    ]
    assert json.dumps(methods, indent=2) in page.text
    (details,) = page.attributes("details")
    assert "open" not in details


def test_one_method_shows_its_own_settings():
    config = {"seed": 0, "method": {"steps": [1], "name": "ilo"}, "method_for": {}}
    table = settings_table({"ilo": config})
    assert table.body == [["method.name", "ilo"], ["method.steps", "[1]"]]


def test_every_name_is_escaped(tmp_path):
    evil = "<script>alert(1)</script>&\"'"
    rows = [row("a<b", evil, 20.0, method=evil, problem="in<i>painting", status="<u>")]
    methods = {evil: {"method": {evil: evil}}}
    record = {"methods": methods, "priors": {}, "commands": [evil], "versions": {}}
    page = page_of(tmp_path, rows, record)
    assert page.attributes("script") == [{}]  # the page's own
    assert not page.attributes("i") + page.attributes("u")
    assert page.text.count(evil) >= 5 and "in<i>painting" in page.text


@pytest.fixture
def whole(tmp_path):
    """A page with every figure."""
    write_results(tmp_path, TWO_PRIORS)
    report.plot_curves(str(tmp_path), "ilo")
    for entry in TWO_PRIORS:
        records = [(0, 0, 2.0), (0, 10, 1.0)]
        write_solution(tmp_path, entry, np.array(records, np.float32))
    report.plot_convergence(str(tmp_path))
    images = {"truth": np.zeros((1, 8, 8, 1), np.float32)}
    grid = str(tmp_path / "figures" / "compressed_sensing_0.1_measurement.png")
    report.image_grid(images, grid)
    return tmp_path


def test_the_page_needs_no_other_file(whole):
    page = Page(report.write_page(str(whole)))
    sources = [image["src"] for image in page.attributes("img")]
    assert len(sources) == 4  # PSNR, SSIM, convergence, a grid
    assert all(re.match("data:image/png;base64,[A-Za-z0-9+/=]+$", x) for x in sources)
    assert not re.search(r"https?://|@import|url\(|<script |fetch|<link", page.source)
    names = [{"src", "href"} & attributes.keys() for _, attributes in page.tags]
    assert sum(map(len, names)) == 4
    alts = [image["alt"] for image in page.attributes("img")]
    assert alts[1] == "PSNR against the ratio of measurements: compressed sensing"
    assert all(alts) and len(set(alts)) == 4


def test_the_page_is_the_same_twice(whole):
    first = Page(report.write_page(str(whole))).source
    report.plot_curves(str(whole), "ilo")
    report.plot_convergence(str(whole))
    assert Page(report.write_page(str(whole))).source == first


@pytest.mark.parametrize("count, is_open", [(12, True), (13, False)])
def test_many_grids_are_folded(tmp_path, count, is_open):
    ratios = [i / 100 for i in range(1, count + 1)]
    rows = [row("a", "rtil", 20.0, ratio=ratio) for ratio in ratios]
    (tmp_path / "figures").mkdir()
    for ratio in ratios:
        name = f"compressed_sensing_{ratio:g}_measurement.png"
        Image.new("L", (4, 4)).save(tmp_path / "figures" / name)
    page = page_of(tmp_path, rows)
    details = page.attributes("details")
    assert len(details) == len(page.attributes("img")) == count
    assert all(("open" in attributes) == is_open for attributes in details)


def test_large_pictures_are_reduced(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (500, 3200, 3), np.uint8)
    path = str(tmp_path / "grid.png")
    Image.fromarray(noise).save(path)
    kind, data, width = markup._encoded(path)
    with Image.open(io.BytesIO(data)) as image:
        assert (kind, image.size, width) == ("jpeg", (1600, 250), 3200)
    assert len(data) < markup.MAX_PICTURE_BYTES
    assert "Reduced; the full size is <code>figures/grid.png</code>" in markup.picture(
        path, "noise", "Noise.", 0.5
    )


@pytest.mark.parametrize("text", ["{", "[]"])
def test_an_unusable_record_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match="config.json: "):
        page_of(tmp_path, TWO_PRIORS)


def test_the_noise_is_told_with_its_units(tmp_path):
    def settings(noise_std, limits):
        return {"noise_std": noise_std, "images": {"range": limits}}

    methods = {"a": settings(0.05, [0, 1]), "b": settings(0.0, [0, 1])}
    snr = {"a": {"compressed_sensing": {"0.5": 12.0, "0.1": 6.0}}}
    rows = [
        row("x", "rtil", 20.0, method=method, problem=problem)
        for method in methods
        for problem in ("compressed_sensing", "inpainting")
    ]
    page = page_of(tmp_path, rows, {"methods": methods, "snr": snr})
    with open(report.write_summary(str(tmp_path)), encoding="utf-8") as file:
        summary = file.read()
    for sentence in (
        "Noise on the measurements, compressed sensing (a): σ = 0.05 in units of y, "
        "whose entries have the rms ||x||: SNR 6.0 dB at 0.1, 12.0 dB at 0.5.",
        "Noise on the measurements, inpainting (a): σ = 0.05 of pixels in [0, 1].",
        "Noise on the measurements, inpainting (b): none.",
    ):
        assert sentence in page.text and f"- {sentence}" in summary
    # Without any noise one sentence is enough.
    page = page_of(tmp_path, rows, {"methods": dict.fromkeys("ab", methods["b"])})
    assert "Noise on the measurements: none." in page.text
