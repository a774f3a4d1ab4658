"""Known networks under any names, and what is said about those that are not known."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from rtil_jax.convert.wrappers import find_networks
from rtil_jax.errors import UserError
from tests.convert import checkpoints
from tests.convert.parity import converted, saved

WIDTHS = (5, 4, 3)
NETWORK = checkpoints.stylegan2(WIDTHS)
OTHER = checkpoints.stylegan2(WIDTHS, seed=9)
SCORER = checkpoints.stylegan2_discriminator(WIDTHS)
PGGAN, OFFICIAL = checkpoints.pggan(WIDTHS), checkpoints.official_pggan(WIDTHS)
MEAN = np.arange(7, dtype=np.float32)
ENCODER = {f"encoder.body.{i}.conv1.weight": MEAN for i in range(9)}


def under(prefix, network):
    return {prefix + name: tensor for name, tensor in network.items()}


# A file, and where its g_ema, g and d are in it.
WRAPPED = {
    "pSp, e4e": (
        {"state_dict": under("decoder.", NETWORK) | ENCODER, "latent_avg": MEAN},
        {"g_ema": "state_dict.decoder"},
    ),
    "torch.compile": (
        {"g_ema": under("_orig_mod.", NETWORK), "g": under("_orig_mod.", OTHER)},
        {"g_ema": "g_ema", "g": "g"},
    ),
    "compiled in DataParallel": (
        {"netG": under("module._orig_mod.", NETWORK)},
        {"g_ema": "netG"},
    ),
    "DataParallel, compiled": (
        {"model": {"G": under("_orig_mod.module.", NETWORK)}},
        {"g_ema": "model.G"},
    ),
    "compiled in parts": (
        {
            "g_ema": {
                k.replace("convs.", "convs._orig_mod."): NETWORK[k] for k in NETWORK
            }
        },
        {"g_ema": "g_ema"},
    ),
    "BasicSR's names of the parts": (
        {"params": OTHER, "params_ema": NETWORK},
        {"g_ema": "params_ema", "g": "params"},
    ),
    "MMGeneration's names of the parts": (
        {"generator": OTHER, "generator_smooth": NETWORK, "discriminator": SCORER},
        {"g_ema": "generator_smooth", "g": "generator", "d": "discriminator"},
    ),
    "one dict of all parts": (
        {
            "state_dict": under("discriminator.", SCORER)
            | under("generator.", OTHER)
            | under("generator_ema.", NETWORK)
        },
        {
            "g_ema": "state_dict.generator_ema",
            "g": "state_dict.generator",
            "d": "state_dict.discriminator",
        },
    ),
    "Lightning": (
        {"state_dict": under("model.netG_ema.", NETWORK), "epoch": 3},
        {"g_ema": "state_dict.model.netG_ema"},
    ),
    "capitals": ({"G": OTHER, "D": SCORER, "G_ema": NETWORK}, None),
    "a state_dict": ({"state_dict": NETWORK}, {"g_ema": "state_dict"}),
    "an averaged model": (
        {"n_averaged": np.array(3)} | under("module.", NETWORK),
        {"g_ema": ""},
    ),
    "the mean among the tensors": (NETWORK | {"latent_avg": MEAN}, {"g_ema": ""}),
    "no dot": ({"all": under("model_", NETWORK)}, {"g_ema": "all.model_"}),
    "not the average": (
        {"no_ema": OTHER, "ema": NETWORK},
        {"g_ema": "ema", "g": "no_ema"},
    ),
    "two alike": ({"one": NETWORK, "two": OTHER}, {"g_ema": "one"}),
    "a generator and another": (
        {"old": OTHER, "generator": NETWORK},
        {"g_ema": "generator"},
    ),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_a_known_network_is_found_in_any_wrapper(name):
    tree, origins = WRAPPED[name]
    found = find_networks(saved(tree))
    origins = origins or {"g_ema": "G_ema", "g": "G", "d": "D"}
    assert found.origins == origins
    parts = {"g_ema": NETWORK, "g": OTHER, "d": SCORER}
    for part in origins:
        assert found.parts[part].keys() == parts[part].keys()
        for key, tensor in parts[part].items():
            np.testing.assert_array_equal(found.parts[part][key], tensor)
    if "mean" in name or "pSp" in name:
        np.testing.assert_array_equal(found.tensors["latent_avg"], MEAN)


def test_generators_that_are_left_out_are_named(caplog):
    find_networks(saved({"G_A": NETWORK, "G_B": OTHER}))
    assert "left out G_B (took G_A)" in caplog.text


@pytest.mark.parametrize("network", [PGGAN, OFFICIAL], ids=["RTIL's", "official"])
def test_a_pggan_is_found_in_a_wrapper(network):
    tree = {"nets": {"netG_ema": under("module.", network), "step": 1, "alpha": 0.5}}
    found = find_networks(saved(tree))
    assert found.origins == {"g_ema": "nets.netG_ema"}
    assert found.numbers == {"step": 1, "alpha": 0.5}  # of growing
    assert converted(tree).config.architecture == "pggan"


def test_a_damaged_average_is_not_replaced_by_the_generator():
    damaged = {k: x for k, x in NETWORK.items() if k != "input.input"}
    with pytest.raises(UserError, match="but input.input is missing; 43 of its 44"):
        converted({"g": OTHER, "params_ema": damaged})


def test_the_hint_goes_to_the_layout_with_most_names_and_says_how_many():
    damaged = dict(NETWORK)
    for name in ("conv1.conv.weight", "convs.0.noise.weight", "style.1.bias"):
        del damaged[name]
    damaged["to_rgb1.bias"] = np.zeros((1, 4, 1, 1), np.float32)
    expected = (
        "closest known one is rosinality's or RTIL's StyleGAN2, but style.1.bias is "
        "missing, conv1.conv.weight is missing, to_rgb1.bias has shape (1, 4, 1, 1), "
        "expected (1, 3, 1, 1) (and 1 more differences); 40 of its 44 names match in "
        "state_dict.decoder; known are"
    )
    tree = {"state_dict": under("decoder.", damaged) | ENCODER}
    with pytest.raises(UserError, match=re.escape(expected)):
        converted(tree)


@pytest.mark.parametrize(
    "names, message",
    [
        (
            ["synthesis.b4.const", "synthesis.b4.conv1.weight", "mapping.fc0.weight"],
            "NVIDIA's PyTorch layout of StyleGAN2 .*synthesis.b4.const.*"
            "export_weights.py NETWORK.pkl OUT.pt",
        ),
        (["mapping.fc0.weight"], "NVIDIA's PyTorch layout of StyleGAN2"),
        (["synthesis.L0_36_512.weight", "mapping.fc0.weight"], "NVIDIA's StyleGAN3"),
        (["G_synthesis/4x4/Const/const"], "NVIDIA's TensorFlow.*convert_weight.py"),
        (["style_mlp.1.weight", "constant_input.weight"], "BasicSR's or GFPGAN's"),
        (["style_mapping.1.weight"], "MMGeneration's layout"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "module.", "generator."])
def test_layouts_of_others_are_named_with_what_to_do(names, message, prefix):
    tree = {"G_ema": dict.fromkeys((prefix + name for name in names), MEAN)}
    with pytest.raises(UserError, match=f"^found {message}") as error:
        converted(tree)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["int8", "float8_e4m3fn", "complex64"])
def test_networks_of_other_numbers_are_refused(kind):
    name = "conv1.conv.weight"
    tree = {"g_ema": NETWORK | {name: NETWORK[name].astype(jnp.dtype(kind))}}
    expected = f"found {kind} numbers in {name} of g_ema, expected float16, bfloat16"
    with pytest.raises(UserError, match=expected):
        converted(tree)


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float64"])
def test_networks_of_other_floats_are_converted(kind):
    tree = {"g_ema": {key: x.astype(jnp.dtype(kind)) for key, x in NETWORK.items()}}
    constant = converted(tree).ema["params"]["constant"]
    assert constant.dtype == np.float32
    theirs = tree["g_ema"]["input.input"].astype(np.float32)
    np.testing.assert_array_equal(constant, theirs.transpose(0, 2, 3, 1))
