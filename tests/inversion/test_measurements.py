"""Recovering from measurements that lie in files, with no clean image anywhere."""

import csv

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from rtil_jax.data import to_float
from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion import sweep
from rtil_jax.experiments.inversion.inversion_config import inversion_config
from rtil_jax.experiments.inversion.inversion_run import parse_inversion
from rtil_jax.experiments.inversion.sweep import run_sweep
from rtil_jax.experiments.measurements.loading import load_measured
from rtil_jax.experiments.measurements.own_operator import load_operator
from rtil_jax.experiments.measurements.writing import save_measurements
from rtil_jax.experiments.report.fits import is_off_prior, reading_of
from rtil_jax.inversion import CSGM, Problem, invert, load_prior
from rtil_jax.inversion.problems import image_keys, over_images, settle
from rtil_jax.operators import Blur, Fourier, MultiCoilFourier, ParallelBeamCT
from tests.untrained_run import write_dcgan

SHAPE = (16, 16, 3)
PIXELS = np.random.default_rng(0).integers(0, 256, (2, *SHAPE), np.uint8)


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    """The directory of an untrained prior of 16 pixels in colour."""
    return write_dcgan(tmp_path_factory.mktemp("prior"), 16)


def config_of(prior, problem, **fields):
    config = inversion_config("csgm")
    config.priors.rtil, config.problem = prior, problem
    config.method.steps, config.lpips = 4, ""
    for name, value in fields.items():
        config[name] = str(value) if name in ("measurements", "truth") else value
    return config


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def rows_of(workdir):
    with open(workdir / "results.csv") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def folder(tmp_path):
    """Two pictures of 16 pixels."""
    for name, pixels in zip("ab", PIXELS, strict=True):
        save(tmp_path / "in" / f"{name}.png", pixels)
    return tmp_path / "in"


@pytest.fixture
def no_report(monkeypatch):
    """Reports take longer than such short inversions."""
    monkeypatch.setattr(sweep, "write_report", lambda *_: None)


def half():
    mask = np.zeros((16, 16), np.uint8)
    mask[:, 8:] = 255
    return mask


def test_a_mask_for_all_says_which_pixels_are_seen(folder):
    save(folder / "mask.png", half())
    found = load_measured(str(folder), "inpainting", SHAPE)
    assert found.names == ("a.png", "b.png")
    assert (found.problem, found.ratio) == ("inpainting", 0.5)
    np.testing.assert_array_equal(found.y[:, :, :8], 0)
    np.testing.assert_array_equal(found.y[:, :, 8:], to_float(PIXELS)[:, :, 8:])


def test_each_picture_may_have_its_mask_or_an_alpha_channel(folder):
    save(folder / "masks" / "a.png", half())
    save(folder / "masks" / "b.png", half().T)
    named = load_measured(str(folder), "inpainting", SHAPE)
    np.testing.assert_array_equal(named.operators.mask[1, ..., 0], half().T / 255)
    for name, pixels in zip("cd", PIXELS, strict=True):
        alpha = half() if name == "c" else half().T
        save(folder / "alpha" / f"{name}.png", np.dstack([pixels, alpha]))
    opaque = load_measured(str(folder / "alpha"), "inpainting", SHAPE)
    np.testing.assert_array_equal(opaque.y, named.y)


@pytest.mark.parametrize("kind", ["png", "npy"])
def test_what_is_grey_in_a_mask_or_half_transparent_is_not_seen(folder, kind):
    """Some of a hole would be in it."""
    mask = half()
    mask[:, 8] = 128
    if kind == "png":
        save(folder / "mask.png", mask)
    else:
        np.save(folder / "mask.npy", mask / 255)
    found = load_measured(str(folder), "inpainting", SHAPE)
    assert f"mask.{kind}: grey pixels count as not seen" in found.remarks
    np.testing.assert_array_equal(found.operators.mask[0, ..., 0], mask == 255)
    save(folder / "alpha" / "a.png", np.dstack([PIXELS[0], mask]))
    alpha = load_measured(str(folder / "alpha"), "inpainting", SHAPE)
    np.testing.assert_array_equal(alpha.operators.mask, found.operators.mask[:1])
    # A mask beside it leaves out more.
    save(folder / "alpha" / "mask.png", mask.T)
    both = load_measured(str(folder / "alpha"), "inpainting", SHAPE)
    expected = (mask == 255) & (mask.T == 255)
    np.testing.assert_array_equal(both.operators.mask[0, ..., 0], expected)


def test_transparent_pixels_are_white_where_nothing_is_masked(folder):
    save(folder / "alpha" / "a.png", np.dstack([PIXELS[0], half()]))
    found = load_measured(str(folder / "alpha"), "denoising", SHAPE)
    assert found.describe_cuts() == "a.png: transparent pixels were put on white"
    np.testing.assert_array_equal(found.y[0, :, :8], 1)
    np.testing.assert_array_equal(found.y[0, :, 8:], to_float(PIXELS[0, :, 8:]))


def test_pictures_of_more_than_8_bits_that_fill_fewer_are_told_of(tmp_path, caplog):
    values = np.random.default_rng(0).integers(0, 4096, (16, 16)).astype(np.uint16)
    values[0, :2] = 0, 4095
    Image.fromarray(values).save(tmp_path / "a.png")
    dark = load_measured(str(tmp_path), "denoising", SHAPE)
    assert dark.y.max() < -0.8 and "found values from 0 to 4,095" in caplog.text
    bright = load_measured(str(tmp_path), "denoising", SHAPE, window=(0, 4095))
    assert (bright.y.min(), bright.y.max()) == (-1, 1)


def test_the_size_of_small_pictures_gives_the_factor(tmp_path):
    save(tmp_path / "in" / "a.png", PIXELS[0, :4, :4])
    found = load_measured(str(tmp_path / "in" / "a.png"), "super_resolution", SHAPE)
    assert (found.operators.factor, found.ratio) == (4, 0.25)
    save(tmp_path / "in" / "a.png", PIXELS[0, :5, :5])
    with pytest.raises(
        UserError, match=r"5 x 5 .* expected 8 x 8, 4 x 4, 2 x 2: .* 16 x 16"
    ):
        load_measured(str(tmp_path / "in"), "super_resolution", SHAPE)


@pytest.mark.parametrize("kind", ["png", "npy"])
def test_a_kernel_keeps_the_brightness(folder, kind):
    kernel = np.array([[0, 51, 0], [51, 102, 51], [0, 51, 0]])
    if kind == "png":
        save(folder / "kernel.png", kernel)
    else:
        np.save(folder / "kernel.npy", kernel)
    found = load_measured(str(folder), "motion_deblurring", SHAPE)
    expected = Blur(jnp.float32(kernel / 306), SHAPE, borders="reflect")
    image = jnp.asarray(to_float(PIXELS[0]))
    np.testing.assert_allclose(found.operators(image), expected(image), atol=1e-5)
    assert found.problem == "deblurring" and len(found) == 2


def test_grey_pictures_are_coloured_and_large_ones_cropped(tmp_path):
    save(tmp_path / "a.png", np.full((20, 32), 255))
    found = load_measured(str(tmp_path), "colourisation", SHAPE)
    np.testing.assert_array_equal(found.y, np.ones((1, 16, 16, 1)))
    assert "central square of 20 x 32 pixels" in found.describe_cuts()


BAD = {
    "mask.png: found a mask of 8 x 8 pixels, expected 16 x 16": {
        "mask.png": half()[:8, :8]
    },
    "mask.png: found a mask without white pixels": {"mask.png": 0 * half()},
    "masks: found no mask for b.png and no picture for c.png": {
        "masks/a.png": half(),
        "masks/c.png": half(),
    },
    "a.png: found no mask, expected mask.png": {},
    "c.png: found 20 x 22 pixels .h.*, expected 16 x 16.* crop .*c.png --mask MASK --s"
    "ize 16 --to DIR": {
        "c.png": np.full((20, 22), 9),
        "masks/a.png": half(),
        "masks/b.png": half(),
        "masks/c.png": np.full((20, 22), 255),
    },
}
BAD_KERNELS = {
    "kernel.png: found a kernel whose sum is 0": {"kernel.png": 0 * half()},
    "kernel.png: found a kernel of 17 x 3 .* at most 16 x 16": {
        "kernel.png": np.ones((17, 3))
    },
    "found no kernel, expected kernel.png or kernel.npy": {},
}


@pytest.mark.parametrize("message", [*BAD, *BAD_KERNELS])
def test_what_does_not_fit_is_said_in_one_line(message, folder):
    files = (BAD | BAD_KERNELS)[message]
    for name, pixels in files.items():
        save(folder / name, pixels)
    problem = "inpainting" if message in BAD else "deblurring"
    with pytest.raises(UserError, match=message) as error:
        load_measured(str(folder), problem, SHAPE)
    assert "\n" not in str(error.value)


def test_pictures_need_a_problem_of_pictures(folder):
    with pytest.raises(UserError, match="found compressed_sensing with pictures"):
        load_measured(str(folder), "compressed_sensing", SHAPE)


def test_a_folder_is_recovered_without_a_clean_image(folder, prior, tmp_path):
    save(folder / "mask.png", half())
    config = config_of(prior, "inpainting", measurements=folder, restarts=2)
    run_sweep(config, str(tmp_path / "run"))
    rows = rows_of(tmp_path / "run")
    assert [(row["image"], row["psnr"]) for row in rows] == [
        ("a.png", ""),
        ("b.png", ""),
    ]
    assert len(list((tmp_path / "run" / "recovered").glob("*.png"))) == 2
    # An untrained prior has no pictures of random pixels.
    assert {row["status"] for row in rows} == {"off_prior"}
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Fit to the measurements" in page and "no noise stated" in page
    assert f"recovered at {SHAPE[0]} x {SHAPE[1]} pixels" in page
    (solution, _) = (tmp_path / "run" / "solutions").iterdir()
    with np.load(solution) as file:
        assert file["fact:spread"].shape == SHAPE and file["fact:spread"].max() > 0
        right = to_float(PIXELS)[int(file["fact:index"]), :, 8:]
        square = file["fact:mean_square"]
        np.testing.assert_allclose(square, np.mean(right**2), rtol=1e-4)
    save(folder / "mask.png", half().T)  # other measurements of the same names
    with pytest.raises(UserError, match="2 changed"):
        run_sweep(config, str(tmp_path / "run"))


def test_arrays_that_do_not_say_their_problem_have_one(prior, tmp_path):
    mask = np.ones((16, 16), bool)
    y = np.ones(SHAPE, complex)
    config = config_of(prior, "gaussian,fourier", measurements=tmp_path / "y.npz")
    np.savez(tmp_path / "y.npz", y=y, mask=mask, problem="fourier")
    found = sweep.measurements_of(parse_inversion(config), SHAPE, {})
    assert found.problem == "fourier"
    np.savez(tmp_path / "y.npz", y=y, mask=mask)
    with pytest.raises(UserError, match="found problem=gaussian,fourier, expected one"):
        sweep.measurements_of(parse_inversion(config), SHAPE, {})


def test_the_truth_brings_the_usual_metrics(folder, prior, tmp_path, no_report):
    for name, pixels in zip("ba", PIXELS[::-1], strict=True):
        save(tmp_path / "truth" / f"{name}.png", pixels)
    save(folder / "mask.png", half())
    fields = {"measurements": folder, "truth": tmp_path / "truth", "select": "oracle"}
    run_sweep(config_of(prior, "inpainting", **fields), str(tmp_path / "run"))
    assert all(0 < float(row["psnr"]) < 30 for row in rows_of(tmp_path / "run"))
    (tmp_path / "truth" / "b.png").unlink()
    with pytest.raises(UserError, match="config.truth: found no image for b.png"):
        run_sweep(config_of(prior, "inpainting", **fields), str(tmp_path / "run"))


def measured_config(prior, source, problem, ratio):
    config = config_of(prior, problem, ratios=(ratio,))
    config.images.source, config.images.count = str(source), 0
    config.images.cache_dir = str(source.parent / "cache")
    return config


@pytest.mark.parametrize(
    "problem, ratio, noise",
    [
        ("compressed_sensing", 0.5, {"noise_std": 0.1}),
        ("inpainting", 0.5, {"noise": "poisson", "peak": 20.0}),
    ],
)
def test_a_saved_file_gives_what_simulating_gives(
    problem, ratio, noise, folder, prior, tmp_path, no_report
):
    """Bit for bit: pictures, solutions and losses."""
    config = measured_config(prior, folder, problem, ratio)
    config.update(noise)
    run_sweep(config, str(tmp_path / "simulated"))
    save_measurements(config, str(tmp_path / "y.npz"))
    config = config_of(prior, "denoising", measurements=tmp_path / "y.npz")
    run_sweep(config, str(tmp_path / "saved"))
    pairs = zip(*(rows_of(tmp_path / n) for n in ("simulated", "saved")), strict=True)
    for one, other in pairs:
        assert one["measurement_mse"] == other["measurement_mse"]
        assert (one["problem"], one["ratio"]) == (other["problem"], other["ratio"])
    solutions = sorted((tmp_path / "simulated" / "solutions").iterdir())
    assert len(solutions) == 2
    for path in solutions:
        with (
            np.load(path) as one,
            np.load(tmp_path / "saved/solutions" / path.name) as b,
        ):
            for name in one.files:
                np.testing.assert_array_equal(one[name], b[name])
        picture = f"recovered/{path.stem}.png"
        simulated, saved = (tmp_path / n / picture for n in ("simulated", "saved"))
        assert simulated.read_bytes() == saved.read_bytes()


@pytest.mark.parametrize(
    "problem, ratio",
    [
        ("compressed_sensing", 0.5),
        ("gaussian", 0.1),
        ("fourier", 0.5),
        ("phase_retrieval", 0.5),
        ("motion_deblurring", 0.25),
        ("super_resolution", 0.25),
        ("colourisation", 1.0),
        ("denoising", 1.0),
        ("box_inpainting", 0.75),
    ],
)
def test_every_operator_survives_the_file(folder, prior, tmp_path, problem, ratio):
    config = measured_config(prior, folder, problem, ratio)
    (path,) = save_measurements(config, str(tmp_path / "to"))
    found = load_measured(path, "inpainting", SHAPE)
    assert (found.problem, found.ratio) == (problem, ratio)
    problem = settle(found.problem_of(np.arange(2), None), SHAPE)
    images = jnp.asarray(to_float(PIXELS))
    y = jax.jit(lambda p, x: over_images(lambda a, x: a(x), p, x))(problem, images)
    np.testing.assert_allclose(y, found.y, rtol=1e-5, atol=1e-4)


COILS = np.exp(2j * np.pi * np.random.default_rng(0).random((2, 16, 16)))
ALONE = {
    "tomography": (
        {"angles": np.arange(0.0, 180.0, 45.0), "detectors": np.array(11)},
        lambda angles, detectors: ParallelBeamCT(angles, SHAPE, int(detectors)),
    ),
    "multi_coil": (
        {"mask": np.arange(256).reshape(16, 16) % 3 > 0, "coil_maps": COILS},
        lambda mask, coil_maps: MultiCoilFourier(mask, coil_maps, channels=3),
    ),
}


@pytest.mark.parametrize("problem", ALONE)
def test_what_nothing_simulates_is_recovered_as_python_recovers_it(
    problem, prior, tmp_path, no_report
):
    """Bit for bit, of the same keys."""
    arrays, make = ALONE[problem]
    operator = make(**arrays)
    y = np.asarray(operator(jnp.asarray(to_float(PIXELS))))
    np.savez(tmp_path / "y.npz", y=y, problem=problem, **arrays)
    config = config_of(prior, "denoising", measurements=tmp_path / "y.npz")
    run_sweep(config, str(tmp_path / "run"))
    *_, keys = image_keys(config.seed, np.arange(2))
    given = load_prior(prior), Problem(operator, jnp.asarray(y)), keys
    found = invert(CSGM(steps=4), *given)
    for row, loss in zip(rows_of(tmp_path / "run"), found.squared_error, strict=True):
        assert row["problem"] == problem and float(row["measurement_mse"]) == loss
    for path in (tmp_path / "run" / "solutions").iterdir():
        with np.load(path) as file:
            z = found.solution.latents["z"][int(file["fact:index"])]
            np.testing.assert_array_equal(file["latents/z"][0], z)


def test_k_space_and_its_mask_lie_side_by_side(tmp_path):
    mask = np.zeros((16, 16), bool)
    mask[:, 6:10] = True
    operator = Fourier(mask, channels=3)
    y = np.asarray(operator(jnp.asarray(to_float(PIXELS))))
    np.save(tmp_path / "kspace.npy", y)
    np.save(tmp_path / "mask.npy", mask)
    found = load_measured(str(tmp_path / "kspace.npy"), "fourier", SHAPE)
    assert len(found) == 2 and found.shared and found.ratio == 0.5
    np.save(tmp_path / "kspace.npy", y[:, :8])
    with pytest.raises(UserError, match=r"y of shape \(8, 16, 3\) .* \(16, 16, 3\)"):
        load_measured(str(tmp_path / "kspace.npy"), "fourier", SHAPE)


MATRIX = {"y": np.ones(5), "matrix": np.ones((5, 768))}
BAD_ARRAYS = {
    "found no matrix and the unknown matrx, expected .* arrays y, matrix": {
        "y": np.ones(5),
        "matrx": np.ones((5, 768)),
    },
    "found Python objects": {"y": np.array([{}, 1], object)},
    r"y of shape \(5,\) for each image, expected \(4,\)": {
        "y": np.ones(5),
        "matrix": np.ones((4, 768)),
    },
    "matrix of shape .* images of 767 numbers": {
        "y": np.ones(5),
        "matrix": np.ones((5, 767)),
    },
    "found matrix, expected y": {"matrix": np.ones((4, 768))},
    "y of uint8": {"y": np.ones(5, np.uint8), "matrix": np.ones((5, 768))},
    "ratio: found 7.0, expected a number in .0, 1": MATRIX | {"ratio": 7.0},
    "noise_std: found 'a', expected a number of": MATRIX | {"noise_std": "a"},
    "range: found 3, expected the values of black": MATRIX | {"range": 3},
    "y of complex numbers, expected real num": MATRIX | {"y": np.ones(5) + 1j},
    "y of real numbers, expected complex numbers for problem=fourier": {
        "y": np.ones(SHAPE),
        "mask": half() > 0,
        "problem": "fourier",
    },
    "detectors: found 23.5, expected a whole number": {
        "y": np.ones((6, 23, 3)),
        "angles": np.arange(6.0),
        "detectors": 23.5,
        "problem": "tomography",
    },
    r"found mask for images of \(8, 8, 3\), expected \(16, 16, 3\), the images": {
        "y": np.ones((8, 8, 3)),
        "mask": np.ones((8, 8)),
        "problem": "inpainting",
    },
    "NaN or infinity": {"y": np.full(5, np.nan), "matrix": np.ones((5, 768))},
}


@pytest.mark.parametrize("message", BAD_ARRAYS)
def test_arrays_that_do_not_fit_are_said_in_one_line(message, tmp_path):
    np.savez(tmp_path / "y.npz", **BAD_ARRAYS[message])
    with pytest.raises(UserError, match=message) as error:
        load_measured(str(tmp_path / "y.npz"), "gaussian", SHAPE)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "problem, shape, arrays",
    [
        ("inpainting", (16, 16), {"mask": half() > 0}),
        ("tomography", (6, 23), {"angles": np.arange(6.0)}),
        ("multi_coil", (2, 16, 16), {"mask": half() > 0, "coil_maps": COILS}),
    ],
)
def test_grey_measurements_may_be_without_channels(problem, shape, arrays, tmp_path):
    y = np.ones(shape, complex if problem == "multi_coil" else float)
    for count, found in (((), 1), ((2,), 2), ((3,), 3)):
        several = np.broadcast_to(y, (*count, *shape))
        np.savez(tmp_path / "y.npz", y=several, **arrays)
        read = load_measured(str(tmp_path / "y.npz"), problem, (16, 16, 1))
        assert read.y.shape == (found, *shape, 1) and read.shared


def test_each_image_may_have_its_mask(tmp_path):
    np.savez(tmp_path / "y.npz", y=np.ones((2, *SHAPE)), mask=[half() > 0] * 2)
    found = load_measured(str(tmp_path / "y.npz"), "inpainting", SHAPE)
    assert not found.shared and found.operators.mask.shape == (2, 16, 16, 1)


def test_a_folder_of_arrays_needs_y(tmp_path):
    np.save(tmp_path / "kspace.npy", np.ones(SHAPE))
    message = "found kspace.npy and no pictures, expected y.npy in the folder, or the"
    with pytest.raises(UserError, match=message):
        load_measured(str(tmp_path), "fourier", SHAPE)


def test_a_fit_is_read_beside_the_noise():
    assert reading_of(0.011, 0.01) == "consistent"
    assert reading_of(0.02, 0.01) == "above the noise"
    assert reading_of(0.004, 0.01).startswith("below the noise")
    assert is_off_prior(0.06, 0.01, 0.5) and not is_off_prior(0.06, 0.05, 0.5)
    assert not is_off_prior(0.04, 0.01, 0.5)  # more than the noise, and little of y


OWN = """
import jax.numpy as jnp
from rtil_jax.operators import Blur

def halves(x):
    return x[::2] + x[1::2]

def squares(x):
    return x ** 2

def offset(x):
    return 2 * x + 0.5

def leaves(x):
    raise SystemExit(3)

def two(x):
    return x, x

def blur(image_shape):
    return Blur(jnp.ones((3, 3)) / 9, image_shape)

def broken(x):
    raise KeyError("dark frame")

number = 3
"""


def test_an_operator_of_ones_own_measures(prior, tmp_path, no_report, capsys):
    (tmp_path / "own.py").write_text(OWN)
    images = to_float(PIXELS)
    np.save(tmp_path / "y.npy", images[:, ::2] + images[:, 1::2])
    called = str(tmp_path / "own.py") + ":{}"
    y = str(tmp_path / "y.npy")
    found = load_measured(y, "gaussian", SHAPE, operator=called.format("halves"))
    assert (found.problem, found.ratio, len(found)) == ("own", 0.5, 2)
    np.testing.assert_allclose(found.operators(jnp.asarray(images)), found.y)
    assert hasattr(found.operators, "adjoint")
    for name in ("squares", "offset"):
        assert not hasattr(load_operator(called.format(name), SHAPE), "adjoint")
    assert isinstance(load_operator(called.format("blur"), SHAPE), Blur)
    config = config_of(prior, "denoising", measurements=y)
    config.operator = called.format("halves")
    run_sweep(config, str(tmp_path / "run"), dry_run=True)
    plan = capsys.readouterr().out
    assert "inversion plan: nothing is simulated" in plan
    assert "y (8, 16, 3) each" in plan and "MiB per device" in plan
    assert "time         about" in plan and not (tmp_path / "run").exists()
    run_sweep(config, str(tmp_path / "run"))
    assert [row["problem"] for row in rows_of(tmp_path / "run")] == ["own", "own"]


@pytest.mark.parametrize(
    "called, message",
    [
        ("own.py:broken", "own.py:broken raises KeyError: 'dark frame'"),
        ("own.py:leaves", "own.py:leaves raises SystemExit: 3"),
        ("own.py:two", "found two that returns tuple, expected one array"),
        ("own.py:none", "found no none in .*own.py"),
        ("own.py:number", "found a int, expected a function|own.py:number raises"),
        ("bad.py:f", "bad.py raises ZeroDivisionError"),
        ("other.py:f", "found no file"),
        ("own.py", "expected FILE.py:NAME"),
    ],
)
def test_operators_that_fail_are_said_in_one_line(called, message, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "bad.py").write_text("1 / 0")
    with pytest.raises(UserError, match=message) as error:
        load_operator(str(tmp_path / called), SHAPE)
    assert "\n" not in str(error.value)
