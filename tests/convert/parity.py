"""Our images and features of a converted checkpoint, at every cut and perturbation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from rtil_jax.convert.networks import convert_checkpoint
from rtil_jax.convert.wrappers import find_networks
from rtil_jax.generators.configured import build_generator
from rtil_jax.torch_files import Saved

BATCH = 2


def arrays(tree, name="", kind=np.ndarray):
    """Those in nested dicts by dotted name."""
    if isinstance(tree, kind):
        return {name: tree}
    found = {}
    for key, value in tree.items() if isinstance(tree, dict) else ():
        found |= arrays(value, f"{name}.{key}" if name else str(key), kind)
    return found


def saved(tree):
    """As if a file had been read."""
    numbers = arrays(tree, kind=int | float)
    return Saved(arrays(tree), {name: float(x) for name, x in numbers.items()})


def converted(tree, **options):
    return convert_checkpoint(find_networks(saved(tree)), **options)


def latents_of(generator, seed=0):
    """Styles that differ from layer to layer, and noise maps; or z."""
    random = np.random.default_rng(seed)
    if not hasattr(generator, "map_styles"):
        return {"z": normal(random, BATCH, generator.latent_dim)}
    layers = 2 * generator.num_blocks
    sides = [2 ** (i // 2 + 2) for i in range(1, layers)]
    return {
        "styles": normal(random, BATCH, layers, generator.latent_dim),
        "noises": tuple(normal(random, BATCH, side, side, 1) for side in sides),
    }


def normal(random, *shape):
    return np.asarray(random.standard_normal(shape), np.float32)


def perturbations_of(generator, seed=1):
    """z_k for every block k."""
    random = np.random.default_rng(seed)
    return {
        block: normal(random, BATCH, *generator.intermediate_shape(block))
        for block in range(1, generator.num_blocks + 1)
    }


def sites(perturbations):
    """None of them, each alone, all together."""
    return [(), *((block,) for block in perturbations), tuple(perturbations)]


def to_nchw(tree):
    return jax.tree.map(lambda x: np.moveaxis(np.asarray(x), -1, 1), tree)


@functools.partial(jax.jit, static_argnums=0)
def _ours(generator, variables, latents, perturbations):
    apply = functools.partial(generator.apply, variables)
    heads = {k: apply(latents, k, method="head") for k in perturbations}
    masks = [[k in where for k in perturbations] for where in sites(perturbations)]

    def image(mask):
        chosen = zip(perturbations.items(), mask, strict=True)
        return apply(latents, {k: z_k * keep for (k, z_k), keep in chosen})

    images = jax.lax.map(image, jnp.array(masks, jnp.float32))  # compiled once
    cut = {
        k: apply(heads[k] + z_k, latents, k, method="tail")
        for k, z_k in perturbations.items()
    }
    activations = [getattr(head, "activations", head) for head in heads.values()]
    return activations, list(images), list(cut.values())


def check_parity(tree, reference, relative=1e-4):
    """Compares a checkpoint's generator with `reference(latents, perturb)`.

    `reference` takes and returns arrays in PyTorch's order of axes.

    Returns:
        The largest difference, over the largest entry of its array.
    """
    found = converted(tree)
    generator = build_generator(found.config)
    latents, perturbations = latents_of(generator), perturbations_of(generator)
    activations, images, cut = _ours(generator, found.ema, latents, perturbations)
    theirs_in = dict(latents)
    if "noises" in theirs_in:
        theirs_in["noises"] = to_nchw(theirs_in["noises"])
    expected = []
    for where in sites(perturbations):
        perturb = to_nchw({k: perturbations[k] for k in where})
        features, image = reference(theirs_in, perturb)
        expected.append(image)
        if not where:
            pairs = list(zip(to_nchw(activations), features, strict=True))
    pairs += zip(to_nchw(images), expected, strict=True)
    pairs += zip(to_nchw(cut), expected[1:-1], strict=True)
    worst = 0.0
    for ours, theirs in pairs:
        theirs = np.asarray(theirs)
        assert ours.shape == theirs.shape
        worst = max(worst, float(np.max(np.abs(ours - theirs)) / np.abs(theirs).max()))
    for one, other in zip(expected, expected[1:], strict=False):
        # ... and no perturbation is without effect.
        assert np.max(np.abs(one - other)) > 100 * relative * np.abs(one).max()
    assert worst <= relative
    return worst


def our_scores(found, images, discriminator):
    images = jnp.asarray(np.moveaxis(images, 1, -1))
    return jax.jit(discriminator.apply)(found.discriminator, images)
