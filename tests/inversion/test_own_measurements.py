"""`invert(method, prior, y, operator, key=0)`, and what it returns."""

import dataclasses
import doctest
import importlib
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import rtil_jax as rj
from rtil_jax.errors import UserError

FEW = rj.CSGM(steps=2)
MASK = np.ones((8, 8), bool)
MASK[2:5, 3:6] = False
OPERATOR = rj.operators.Inpainting(MASK)


@pytest.fixture(scope="module")
def y(toy_prior):
    latents = toy_prior.generator.sample_latents(jax.random.key(3), 2)
    return OPERATOR(toy_prior.generator.apply(toy_prior.variables, latents))


@pytest.fixture(scope="module")
def found(toy_prior, y):
    return rj.invert(FEW, toy_prior, y, OPERATOR, key=0)


def test_it_finds_what_the_problem_form_finds(toy_prior, y, found):
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), np.arange(2))
    problem = rj.Problem(OPERATOR, y)
    for again in (
        rj.invert(FEW, toy_prior, problem, keys),
        rj.invert(FEW, toy_prior, problem, key=jax.random.key(0)),
        rj.invert(FEW, toy_prior, y=np.asarray(y), operator=OPERATOR, key=0),
    ):
        np.testing.assert_array_equal(again.images, found.images)


def test_one_image_may_be_without_a_batch_axis(toy_prior, y, found):
    one = rj.invert(FEW, toy_prior, y[0], OPERATOR, key=0)
    assert one.images.shape == (1, 8, 8, 1)
    np.testing.assert_allclose(one.images, found.images[:1], atol=1e-4)


def test_operators_of_each_image_keep_their_batch_axis(toy_prior, y, found):
    each = rj.operators.Inpainting(np.stack([MASK, MASK])[..., None])
    again = rj.invert(FEW, toy_prior, y, each, key=0)
    np.testing.assert_allclose(again.images, found.images, atol=1e-4)


def test_the_residual_is_the_rms_of_what_is_not_explained(y, found):
    error = np.asarray(OPERATOR(found.images) - y)
    expected = np.sqrt(np.sum(error**2, axis=(1, 2, 3)) / MASK.sum())
    np.testing.assert_allclose(found.residual, expected, rtol=1e-4)
    photons = rj.Problem(OPERATOR, y, noise=rj.operators.Poisson(30))
    counted = dataclasses.replace(found, problem=photons)
    np.testing.assert_allclose(counted.residual, expected, rtol=1e-4)


def test_it_prints_as_a_line_per_image(found):
    lines = str(found).splitlines()
    shown = re.compile(r"image \d: (ok|stalled), residual \d+\.\d+")
    assert len(lines) == 2 and all(map(shown.fullmatch, lines))


def test_what_is_saved_is_read_again(toy_prior, found, tmp_path):
    found.save(tmp_path / "new")
    path = str(tmp_path / "new/solutions/00001.npz")
    solution = rj.load_solution(path, toy_prior.generator, toy_prior.variables)
    images = rj.render(toy_prior.generator, toy_prior.variables, solution)
    np.testing.assert_allclose(images[0], found.images[1], atol=1e-5)
    with np.load(path) as facts:
        assert facts["fact:residual"] == pytest.approx(float(found.residual[1]))
        assert facts["fact:status"] == found.status[1] and "fact:pixels" not in facts
    picture = np.asarray(Image.open(tmp_path / "new/recovered/00001.png"))
    np.testing.assert_array_equal(picture, rj.data.to_uint8(found.images[1])[..., 0])


@pytest.mark.parametrize("finish", ["project", "denoise"])
def test_a_finished_image_is_saved_beside_its_solution(finish, toy_prior, y, tmp_path):
    found = rj.invert(FEW, toy_prior, y, OPERATOR, key=0, finish=finish)
    found.save(tmp_path)
    path = str(tmp_path / "solutions/00001.npz")
    solution = rj.load_solution(path, toy_prior.generator, toy_prior.variables)
    before = rj.render(toy_prior.generator, toy_prior.variables, solution)[0]
    with np.load(path) as facts:
        np.testing.assert_array_equal(facts["fact:pixels"], found.images[1])
        assert facts["fact:residual"] == pytest.approx(float(found.residual[1]))
        assert facts["fact:history"][-1][2] == found.measurement_loss[1]
    assert np.abs(before - found.images[1]).max() > 0.01
    picture = np.asarray(Image.open(tmp_path / "recovered/00001.png"))
    np.testing.assert_array_equal(picture, rj.data.to_uint8(found.images[1])[..., 0])
    if finish == "project":
        np.testing.assert_allclose(OPERATOR(found.images), y, atol=1e-5)


def test_a_baseline_saves_its_pixels(y, tmp_path):
    found = rj.invert(rj.Biharmonic(), None, y, OPERATOR, key=0)
    found.save(tmp_path)
    with np.load(tmp_path / "solutions/00000.npz") as facts:
        np.testing.assert_array_equal(facts["fact:pixels"], found.images[0])


def test_the_report_is_one_page_with_four_pictures_an_image(found, tmp_path):
    path = found.report(tmp_path / "new")
    page = (tmp_path / "new/report.html").read_text()
    assert path == str(tmp_path / "new/report.html")
    assert page.count("data:image/png") == 2 * 4 and "A(x) of image 1" in page
    assert all(line in page for line in found.lines()) and 'src="http' not in page
    assert rj.report(found, tmp_path) == str(tmp_path / "report.html")


def test_the_spread_is_that_of_the_starts_themselves(toy_prior, y, found, tmp_path):
    assert found.spread is None
    two = rj.invert(FEW, toy_prior, y, OPERATOR, key=0, restarts=2)
    # The first start is that of a single run; of one image the second is the better.
    apart = np.abs(np.asarray(two.images) - np.asarray(found.images)) / np.sqrt(2)
    better = apart.max(axis=(1, 2, 3)) > 1e-2
    assert better.any()
    np.testing.assert_allclose(two.spread[better], apart[better], atol=1e-4)
    two.save(tmp_path)
    with np.load(tmp_path / "solutions/00001.npz") as facts:
        np.testing.assert_array_equal(facts["fact:spread"], two.spread[1])
    two.report(tmp_path)
    assert "spread of image 1" in (tmp_path / "report.html").read_text()


class Sums:
    """An operator of others': no class of the library, no picture of y."""

    num_measurements = 8

    def __call__(self, x):
        return jnp.sum(x, axis=(-1, -2))


def test_measurements_that_are_no_pictures_have_none_in_the_report(toy_prior, tmp_path):
    found = rj.invert(FEW, toy_prior, np.zeros(8, np.float32), Sums(), key=0)
    found.report(tmp_path)
    assert (tmp_path / "report.html").read_text().count("data:image/png") == 1


def test_a_bar_is_for_terminals(toy_prior, y, capsys, monkeypatch):
    rj.invert(FEW, toy_prior, y, OPERATOR, key=0)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    rj.invert(FEW, toy_prior, y, OPERATOR, key=0, progress=False)
    assert capsys.readouterr().err == ""
    rj.invert(FEW, toy_prior, y, OPERATOR, key=0)
    assert "CSGM: 100%" in capsys.readouterr().err


@pytest.mark.parametrize(
    "given, options, message",
    [
        ("y", {"key": 0}, "operator: found none, expected invert.method, prior, y, op"),
        ("yA", {}, "key: found none, expected a seed, as in invert"),
        ("p", {}, "key: found none, expected a seed"),
        ("Ay", {"key": 0}, "y: found a Inpainting, expected measurements"),
        ("pA", {"key": 0}, "found a Problem and y or an operator"),
        ("yA", {"key": 0, "operator": OPERATOR}, "found two values of operator"),
        ("yA", {"key": -1}, "key: found -1, expected a whole number"),
        ("yA", {"key": "0"}, "keys: found '0', expected a seed"),
        ("yA", {"key": 0, "progress": 3}, "progress: found 3, expected True, False"),
        ("sA", {"key": 0}, r"y: found shape .2, 5, 8, 1., expected .2, 8, 8, 1."),
        ("rA", {"key": 0}, r"y: found shape .8, 8, 3., expected .8, 8, 1., what Inp"),
        ("iA", {"key": 0}, "y: found int"),
        ("nA", {"key": 0}, "y: found NaN"),
        ("oA", {"key": 0}, "y: found a ndarray of object"),
        ("yw", {"key": 0}, "operator: found 'inpainting', expected an operator: some"),
        ("y3", {"key": 0}, "operator: found 3, expected an operator: something to c"),
        ("yl", {"key": 0}, "operator: found a list, expected one operator, or seve"),
        ("ym", {"key": 0}, r"operator: found an array of shape .8, 8., expected an op"),
        ("yw", {}, "key: found none, expected a seed, as in invert"),
        ("yL", {"key": 0}, "operator: found Inpainting for images of .16, 16, 1"),
    ],
)
def test_other_arguments_are_one_line(given, options, message, toy_prior, y):
    bad = np.asarray(y).copy()
    bad[0, 0, 0, 0] = np.nan
    values = {
        "y": y,
        "A": OPERATOR,
        "p": rj.Problem(OPERATOR, y),
        "s": y[:, :5],
        "r": np.zeros((8, 8, 3), np.float32),
        "i": np.ones(y.shape, int),
        "n": bad,
        "o": np.array([None, None]),
        "w": "inpainting",
        "3": 3,
        "l": [OPERATOR, OPERATOR],
        "m": jnp.asarray(MASK),
        "L": rj.operators.Inpainting(np.ones((16, 16), bool), 1),
    }
    with pytest.raises(UserError, match=message) as error:
        rj.invert(FEW, toy_prior, *[values[name] for name in given], **options)
    assert "\n" not in str(error.value) and "problem.op" not in str(error.value)


def test_a_folder_that_cannot_be_written_is_one_line(found, tmp_path):
    (tmp_path / "file").write_text("")
    for write in (found.save, found.report):
        with pytest.raises(UserError, match=r"file/new cannot be written \(Not a dir"):
            write(tmp_path / "file" / "new")
    with pytest.raises(UserError, match="report: found a list, expected the result"):
        rj.report([], tmp_path)


def test_the_example_of_invert_is_right():
    found = doctest.testmod(importlib.import_module("rtil_jax.inversion.inverting"))
    assert found.attempted and not found.failed


def test_the_package_alone_imports_nothing():
    code = "import sys, rtil_jax; print({'jax', 'numpy', 'PIL'} & {*sys.modules})"
    command = [sys.executable, "-c", code]
    assert subprocess.check_output(command, text=True).strip() == "set()"


def test_every_name_of_the_package_is_there():
    for name in dir(rj):
        assert getattr(rj, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'ILOO'"):
        rj.ILOO  # noqa: B018
