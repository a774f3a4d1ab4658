"""What is packed is the prior, in files that fit into a package."""

import json
import os
import pathlib

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from rtil_jax.checkpoints import checksum
from rtil_jax.cli.main import run_named
from rtil_jax.errors import UserError
from rtil_jax.experiments.family_samples import draw_family_samples
from rtil_jax.experiments.inversion.inputs import load_priors
from rtil_jax.experiments.inversion.inversion_config import inversion_config
from rtil_jax.experiments.publishing.card import Notes
from rtil_jax.experiments.publishing.export import export
from rtil_jax.experiments.publishing.rounding import lost, rounded, rounding_psnr
from rtil_jax.experiments.training.configured_recipe import build_recipe, saved_run
from rtil_jax.generators.configured import build_generator
from rtil_jax.inversion import CSGM, ILO, MGANPrior, Surgery, load_prior
from rtil_jax.priors import names, packed, registry
from rtil_jax.priors.prior import load_training_config
from tests.training.tiny_run import tiny_config, tiny_pggan_config
from tests.untrained_run import write_run

NOTES = Notes("noise | made up", "none", "a laptop", "python train.py --config me")
MIB = 2**20


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    home = tmp_path_factory.mktemp("runs")
    source = home / "secret" / "pictures"
    style = tiny_config(source)
    pggan = tiny_pggan_config(
        source, resolution=8, family__codes=(1, 2), family__block=1
    )
    for name, config in (("style", style), ("pggan", pggan)):
        (home / name).mkdir()
        write_run(config, home / name, step=18)
    return home


@pytest.fixture(scope="module")
def root(runs, tmp_path_factory):
    """A folder with a packed prior of each architecture."""
    root = tmp_path_factory.mktemp("root")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "ROOT", str(root))
        for name in ("style", "pggan"):
            export(str(runs / name), name, NOTES)
    return root


@pytest.fixture
def packs(root, monkeypatch):
    """The same as the folder of `pretrained:NAME`; don't write to it."""
    monkeypatch.setattr(registry, "ROOT", str(root))
    return root


@pytest.mark.parametrize("name", ["style", "pggan"])
def test_a_packed_prior_is_the_run_s_own_to_the_precision_of_float16(name, runs, packs):
    prior, own = load_prior(f"pretrained:{name}"), load_prior(str(runs / name))
    assert prior.generator == own.generator
    for a, b in zip(
        jax.tree.leaves(prior.variables), jax.tree.leaves(own.variables), strict=True
    ):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=2**-11, atol=2**-25)


def test_a_fit_of_the_styles_goes_with_it(runs, packs, monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "ROOT", str(tmp_path))
    fit = runs / "style" / "style_fit.npz"
    size = load_prior(str(runs / "style")).generator.latent_dim
    np.savez(fit, mean=np.full(size, 2.0), std=np.full(size, 3.0))
    export(str(runs / "style"), "fitted", NOTES)
    fit.unlink()
    np.testing.assert_array_equal(load_prior("pretrained:fitted").style_fit.mean, 2.0)
    export(str(runs / "style"), "fitted", NOTES)  # takes its place, without the fit
    assert not np.allclose(load_prior("pretrained:fitted").style_fit.mean, 2.0)


def test_the_name_goes_wherever_a_directory_does(packs, tmp_path):
    config = inversion_config("ilo")
    config.priors = {"mine": "pretrained:pggan", "same": str(packs / "pggan")}
    priors = load_priors(config.priors.to_dict())
    assert checksum(priors["mine"].variables) == checksum(priors["same"].variables)
    assert load_training_config("pretrained:pggan")["architecture"] == "pggan"
    samples = ConfigDict({"priors": {"mine": "pretrained:pggan"}, "columns": 2})
    assert os.path.exists(draw_family_samples(samples, str(tmp_path)))


def test_an_unknown_name_lists_those_there_are(packs, monkeypatch, tmp_path):
    with pytest.raises(
        UserError, match="'pretrained:stile', expected one of pggan, style"
    ):
        load_prior("pretrained:stile")
    monkeypatch.setattr(registry, "ROOT", str(tmp_path))
    with pytest.raises(UserError, match="'pretrained:style', expected none"):
        load_prior("pretrained:style")


@pytest.fixture
def weights(runs, monkeypatch, tmp_path):
    """`weights.npz` of a prior of its own, to damage."""
    monkeypatch.setattr(registry, "ROOT", str(tmp_path))
    export(str(runs / "pggan"), "mine", NOTES)
    return tmp_path / "mine" / "weights.npz"


@pytest.mark.parametrize("part", [0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_named_in_one_line(part, weights):
    content = weights.read_bytes()
    weights.write_bytes(content[: int(part * len(content))])
    with pytest.raises(UserError, match=r"mine/weights\.npz: found a damaged") as error:
        load_prior("pretrained:mine")
    assert "\n" not in str(error.value)


def test_a_flipped_bit_is_noticed(weights):
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UserError, match=r"mine/weights\.npz: found a damaged"):
        load_prior("pretrained:mine")


def test_objects_are_not_unpickled(weights):
    np.savez(weights, **{"params.code": np.array([{}], object)})
    with pytest.raises(UserError, match="found a damaged file .*allow_pickle"):
        load_prior("pretrained:mine")


def test_other_weights_and_configs_are_refused(weights):
    np.savez(weights, **{"params.code.kernel": np.zeros(3)})
    with pytest.raises(UserError, match="does not fit the config: params.*pggan of 8"):
        load_prior("pretrained:mine")
    (weights.parent / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json: found a file that is not JSON"):
        load_prior("pretrained:mine")


def test_float16_rounds_and_float32_does_not(runs):
    directory = str(runs / "style")
    prior = load_prior(directory)
    family = build_recipe(saved_run(load_training_config(directory))).family
    arguments = prior.generator, family, prior.variables
    assert 50 < rounding_psnr(*arguments, rounded(prior.variables)) < 120
    assert rounding_psnr(*arguments, prior.variables) == np.inf


def test_errors_add_in_squares():
    """An error as large as the image's own doubles its square."""
    assert lost(30.0) == pytest.approx(10 * np.log10(2))
    assert lost(50.0) == pytest.approx(10 * np.log10(1.01))


def test_weights_that_overflow_stay_float32(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "ROOT", str(tmp_path / "root"))
    (tmp_path / "run").mkdir()
    state = write_run(tiny_config(runs), tmp_path / "run", step=10)
    large = jax.tree.map(lambda x: 1e5 + x, state.ema)
    prior = load_prior(str(tmp_path / "run"))
    monkeypatch.setattr(
        "rtil_jax.experiments.publishing.export.load_prior",
        lambda directory: prior.replace(variables=large),
    )
    assert "float32: nan dB" in export(str(tmp_path / "run"), "large", NOTES)
    leaves = jax.tree.leaves(load_prior("pretrained:large").variables)
    assert all(np.isfinite(leaf).all() for leaf in leaves)


def test_the_card_says_what_the_run_and_the_person_know(packs):
    text = (packs / "style" / "card.md").read_text()
    for words in (
        "# style\n",
        'load_prior("pretrained:style")',
        "stylegan2 generator of 8 x 8 x 3 images",
        "with RTIL, as a family of 2 members: sigma 1.0, after blocks (1,)",
        r"| data | noise \| made up |",
        "| hardware | a laptop |",
        "| steps | 18, 72 images seen |",
        "| time | 0.00 hours |",
        "| weights | 0.0",
        "```sh\npython train.py --config me\n```",
        "Not scored.",
    ):
        assert words in text
    assert (packs / "style" / "samples.png").stat().st_size > 1000


def test_no_path_of_the_machine_is_packed(runs, packs):
    for file in packs.rglob("*"):
        if file.suffix in (".json", ".md"):
            assert str(runs) not in file.read_text()
    source = json.loads((packs / "style" / "config.json").read_text())["data"]["source"]
    assert source == "pictures"


def test_the_same_run_gives_the_same_weights_again(weights):
    before = weights.read_bytes()
    prior = load_prior("pretrained:mine")
    packed.write_weights(str(weights.parent), rounded(prior.variables))
    assert weights.read_bytes() == before


def test_the_command_line_says_one_line_and_fails(tmp_path):
    flags = [f"--{name}=x" for name in ("data", "licence", "hardware", "command")]
    with pytest.raises(SystemExit, match="^error: .*found no 'checkpoints' folder"):
        run_named("pack", [str(tmp_path), "me", *flags], [])


@pytest.mark.parametrize("name", ["a/b", "..", "card.py", "", "taken"])
def test_a_name_must_be_that_of_a_new_folder_or_of_a_prior(name, runs, packs):
    (packs / "taken").mkdir(exist_ok=True)
    with pytest.raises(UserError, match="^NAME: found "):
        export(str(runs / "style"), name, NOTES)


def test_what_is_shipped_is_small_complete_and_loads():
    sizes = []
    for name in names():
        folder = pathlib.Path(registry.locate(f"pretrained:{name}"))
        files = {file.name: file.stat().st_size for file in folder.iterdir()}
        assert files.keys() >= {"weights.npz", "config.json", "card.md", "samples.png"}
        assert "Not scored." not in (folder / "card.md").read_text()
        load_prior(f"pretrained:{name}")
        sizes.append(sum(files.values()))
    assert all(size <= 8 * MIB for size in sizes) and sum(sizes) <= 40 * MIB


@pytest.mark.parametrize(
    "source, message",
    [
        (
            "faces64_rtil",
            "which does not exist, .*did you mean pretrained:faces64_rtil",
        ),
        ("a/faces64-rtil/", "did you mean pretrained:faces64_rtil"),
        (pathlib.Path("faces64_rtil"), "did you mean pretrained:faces64_rtil"),
        (
            "pretrained:faces64_rtll",
            "faces64_vanilla; did you mean pretrained:faces64_r",
        ),
        ("pretrained:", "found 'pretrained:', expected one of avatars32_pggan_rtil"),
        ("nowhere", "found 'nowhere', which does not exist, expected a directory"),
        ("net.pt", r"the file .*rtil convert .*net.pt --to DIR"),
        ("notes.txt", "found the file .*, expected a directory that train.py has"),
    ],
)
def test_a_source_that_is_none_says_what_to_write(
    source, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("net.pt", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match=message) as caught:
        load_prior(source)
    assert "\n" not in str(caught.value)


def test_the_default_of_every_method_fits_every_shipped_prior():
    for name in names():
        generator = build_generator(load_training_config(f"pretrained:{name}"))
        for method in (ILO(), CSGM(), MGANPrior(), Surgery(), ILO(steps=100)):
            assert method.stages(generator)
