import jax
import numpy as np
import pytest

from rtil_jax.errors import UserError
from rtil_jax.generators import StyleGAN2Generator, init
from rtil_jax.inversion import (
    CSGM,
    ILO,
    invert,
    load_solution,
    render,
    save_solution,
)


@pytest.mark.parametrize(
    "method",
    [CSGM(steps=3), ILO(steps=(3, 3, 3)), ILO(steps=(3, 3), keep_skip=False)],
    ids=["csgm", "ilo", "dropped_skip"],
)
def test_a_saved_solution_renders_to_the_same_pixels(
    method, style_prior, sampled_problem, tmp_path
):
    problem, keys = sampled_problem(style_prior, 2)
    found = invert(method, style_prior, problem, keys)
    path = str(tmp_path / "solution.npz")
    save_solution(path, found.solution, image="a.png", seed=0)
    again = load_solution(path, style_prior.generator, style_prior.variables)
    assert again.block == found.solution.block
    image = render(style_prior.generator, style_prior.variables, again)
    np.testing.assert_allclose(image, found.images, atol=1e-5)
    expected = set(range(1, found.solution.block + 1))
    assert set(again.intermediates) == expected
    jax.tree.map(
        np.testing.assert_array_equal,
        again.intermediates,
        dict(found.solution.intermediates),
    )
    with np.load(path) as file:
        assert file["fact:image"] == "a.png" and file["fact:seed"] == 0


def test_a_solution_saved_without_intermediates_renders(
    style_prior, sampled_problem, tmp_path
):
    """As all were: latents, features with z_k in them, and the block."""
    problem, keys = sampled_problem(style_prior, 2)
    found = invert(ILO(steps=(3, 3, 3)), style_prior, problem, keys)
    path = str(tmp_path / "solution.npz")
    save_solution(path, found.solution)
    with np.load(path) as file:
        names = [name for name in file.files if "intermediates" not in name]
        assert sorted(set(file.files) - set(names)) == [
            "intermediates/1",
            "intermediates/2",
        ]
        old = {name: file[name] for name in names}
    np.savez(path, **old)
    again = load_solution(path, style_prior.generator, style_prior.variables)
    assert again.intermediates == {}
    image = render(style_prior.generator, style_prior.variables, again)
    np.testing.assert_allclose(image, found.images, atol=1e-5)


def test_a_solution_of_another_prior_is_refused(style_prior, sampled_problem, tmp_path):
    problem, keys = sampled_problem(style_prior, 1)
    found = invert(ILO(steps=(1, 1)), style_prior, problem, keys)
    path = str(tmp_path / "solution.npz")
    save_solution(path, found.solution)
    other = StyleGAN2Generator(16, 1, max_channels=4, latent_dim=12, mapping_layers=2)
    with pytest.raises(UserError, match="solution.npz: found features/activations"):
        load_solution(path, other, init(other, jax.random.key(0)))
