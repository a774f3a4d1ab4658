"""Every figure and ablation, at paper size by its shapes and at that of a laptop."""

import functools

import jax
import jax.numpy as jnp
import pytest

from rtil_jax.errors import UserError
from rtil_jax.experiments.inversion.inputs import check_fit, image_shape, load_priors
from rtil_jax.experiments.inversion.inversion_run import parse_inversion
from rtil_jax.generators import init
from rtil_jax.generators.configured import build_generator
from rtil_jax.inversion import Prior, make_problem, measurement_loss, render
from rtil_jax.inversion.perceptual_loss import PerceptualLoss
from rtil_jax.metrics.perceptual import load_lpips
from rtil_jax.priors.prior import StyleFit
from tests.test_config import CONFIGS, MODULES, load, variants_of

FIGURES = {
    path.stem: load(path)
    for path in sorted(CONFIGS.glob("*/*.py"))
    if path.stem not in ("theory", "fig8", "fig10", "posterior", "demo")
}
SIZES = (None, "short", "tiny")


@functools.cache
def generators(method):
    """(at paper size, of the quickstart), as the configs say."""
    pggan = method == "mganprior"
    paper = MODULES["pggan_ffhq256" if pggan else "stylegan2_ffhq256"].get_config()
    small = MODULES["quickstart"].get_config("pggan,tiny" if pggan else "tiny")
    return build_generator(paper), build_generator(small)


def with_method(name, size):
    """The config of a figure, and of `qualitative` those of its figures."""
    variants = ("fig2a", "fig17") if name == "qualitative" else ("",)
    for variant in variants:
        yield FIGURES[name].get_config(",".join(filter(None, (variant, size))) or None)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_fits_the_priors_that_it_names(name, size):
    for config in with_method(name, size):
        without = name == "baselines"  # needs no prior
        if not without and not any(config.priors.values()):
            config.priors.rtil = "somewhere"  # configs/invert/ names none
        run = parse_inversion(config)
        generator = generators(config.method.name)[0 if size is None else 1]
        if size != "tiny" and config.method.name == "surgery":
            continue
        named = () if without else config.priors
        priors = {name: Prior(generator, None) for name in named}
        check_fit(run, priors, image_shape(run.images, priors))
        if size == "tiny":
            count = len({(*one.setting, one.ratio) for one in run.entries})
            # Seven methods without a prior, on all problems that they fit.
            assert count <= (17 if without else 12) and config.images.count <= 4


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_says_its_command_and_its_variants(name):
    module = FIGURES[name]
    (path,) = CONFIGS.glob(f"*/{name}.py")
    folder = path.parent.name
    assert f"python invert.py --config configs/{folder}/{name}.py" in module.__doc__
    for variant in variants_of(module):
        assert f"`{variant}`" in module.__doc__


def methods(name):
    """Those for the prior `rtil`, by label."""
    entries = parse_inversion(FIGURES[name].get_config()).entries
    return {one.label: one.method for one in entries if one.prior == "rtil"}


def budgets(name):
    return {label: method.steps for label, method in methods(name).items()}


def test_the_budgets_are_those_of_the_appendix():
    assert budgets("fig6") == {
        "z0": (2000,),
        "z1": (2000, 2000),
        "z2": (2000, 1000, 2000),
        "z3": (2000, 1000, 1000, 2000),
        "z4": (2000, 1000, 1000, 1000, 2000),
    }
    assert budgets("fig20")["EXP4"] == budgets("fig4")["ilo"] == budgets("fig6")["z4"]
    assert budgets("fig20")["EXP5"] == (2000,) * 5
    assert [method.codes for method in methods("fig7").values()] == [1, 10, 20]


def test_the_losses_are_those_of_the_appendix():
    def weights(name, problem):
        config = FIGURES[name].get_config()
        distance, found = config.perceptual.distance, {"rtil": [], "vanilla": []}
        for one in parse_inversion(config).entries:
            if one.problem == problem:
                assert not one.perceptual or one.perceptual.distance == distance
                found[one.prior].append(one.perceptual.weight if one.perceptual else 0)
        return distance, found

    zero = {"rtil": [0] * 5, "vanilla": [0] * 5}
    assert weights("fig4", "compressed_sensing") == ("lpips", zero)
    inpainting = {"rtil": [0, 0, 0, 0, 1], "vanilla": [0, 0, 0, 0, 1]}
    assert weights("fig4", "inpainting") == ("lpips", inpainting)
    superres = {"rtil": [0, 1, 1, 1], "vanilla": [0, 1.5, 1.5, 1.5]}
    assert weights("fig4", "super_resolution") == ("lpips", superres)
    inpainting = {"rtil": [0.1] * 5, "vanilla": [0.5] * 5}
    assert weights("fig5", "inpainting") == ("vgg_l1", inpainting)
    superres = {"rtil": [0, 0.1, 0.1, 0.1], "vanilla": [0, 0.5, 0.5, 0.5]}
    assert weights("fig5", "super_resolution") == ("vgg_l1", superres)


@pytest.mark.parametrize("name", ["fig4", "fig5"])
def test_a_step_at_paper_size_has_the_papers_shapes(name):
    config = FIGURES[name].get_config()
    generator, _ = generators(config.method.name)
    method = parse_inversion(config).entries[0].method
    styled = config.method.name == "ilo"

    def losses(key, distance, truth):
        fit = StyleFit(jnp.zeros(512), jnp.ones(512)) if styled else None
        prior = Prior(generator, init(generator, key), fit)
        problem, keys = make_problem(
            "inpainting", truth, jnp.arange(1), ratio=0.5, seed=0
        )
        loss = PerceptualLoss(distance, 1.0)
        variables = jax.vmap(method.start, (None, 0))(prior, keys)
        for stage in method.stages(generator):
            variables = stage.begin(prior, variables)
            images = render(generator, prior.variables, stage.decode(prior, variables))
            total = measurement_loss(problem, images) + loss(problem, images)
        return images, variables, total

    images = jax.ShapeDtypeStruct((1, 256, 256, 3), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    found, variables, total = jax.eval_shape(losses, key, load_lpips("vgg"), images)
    assert found.shape == (1, 256, 256, 3) and total.shape == (1,)
    if styled:
        assert variables["intermediates"][4].shape == (1, 32, 32, 256)
    else:
        assert variables["weights"].shape == (1, 20, 256)


@pytest.mark.parametrize(
    "variant", [None, "avatars", "avatars,pggan", "faces64,problems", "faces64,pggan"]
)
def test_the_reproduction_fits_the_shipped_pairs(variant):
    config = FIGURES["reproduction"].get_config(variant)
    run = parse_inversion(config)
    priors = load_priors(run.priors)
    check_fit(run, priors, image_shape(run.images, priors))
    size = 64 if "faces64" in (variant or "") else 32
    assert {prior.image_shape[0] for prior in priors.values()} == {size}


@pytest.mark.parametrize("regime", ["", "many", "problems", "pggan"])
@pytest.mark.parametrize("pair", ["", "faces64", "avatars"])
@pytest.mark.parametrize("use", ["", "validation"])
def test_every_combination_of_the_reproduction_is_a_config_or_an_error(
    use, pair, regime
):
    variant = ",".join(filter(None, (pair, regime, use))) or None
    if pair == "avatars" and regime in ("many", "problems"):
        with pytest.raises(UserError, match=f"found reproduction.py:{variant}, expec"):
            FIGURES["reproduction"].get_config(variant)
        return
    config = FIGURES["reproduction"].get_config(variant)
    parse_inversion(config)
    assert ("inpainting" in config.problem) == (
        regime == "problems" or (regime == "pggan" and not use)
    )
