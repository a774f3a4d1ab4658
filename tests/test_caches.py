"""Caches are bounded; nothing that is in use, and nothing of others, is removed."""

import argparse
import os
import subprocess
import sys

import pytest

from rtil_jax import caches
from rtil_jax.cli import clean_cache
from rtil_jax.errors import UserError

NAMES = [f"{name}8x3-{number:016x}" for number, name in enumerate(("faces-train-", ""))]
NAMES += [f"my pictures-{'f' * 15}-16x1-{3:016x}", f"16x1-{4:016x}"]


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Four sets of 1,000 bytes, the first used longest ago; what is not ours; HOME."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RTIL_JAX_DATA", raising=False)
    root = tmp_path / ".cache" / "rtil_jax"
    folders = [*NAMES, "compiled", "my-pictures", "faces-8x3", f"8x3-{'g' * 16}"]
    for age, name in enumerate(folders):
        (root / name).mkdir(parents=True)
        (root / name / "file").write_bytes(bytes(1000))
        os.utime(root / name, (age, age))
    return root


def there(root):
    return [name for name in NAMES if (root / name).exists()]


def test_the_sets_used_longest_ago_are_removed(root):
    before = set(os.listdir(root))
    assert caches.prune_images(root, 4000) == 0
    assert caches.prune_images(root, 2999) == 2000
    assert there(root) == NAMES[2:]
    assert set(os.listdir(root)) == before - set(NAMES[:2])


def test_use_makes_a_set_new_and_keeps_it(root, monkeypatch):
    monkeypatch.setattr(caches, "_held", {})
    caches.use_images(root / NAMES[0])
    assert caches.prune_images(root, 2000) == 2000
    assert there(root) == [NAMES[0], NAMES[3]]
    assert caches.prune_images(root, 0) == 1000
    assert there(root) == NAMES[:1]


USER = """
import sys, time
from pathlib import Path
from rtil_jax.caches import use_images
use_images(Path(sys.argv[1]))
print("ready", flush=True)
time.sleep(60)
"""


def test_a_set_is_kept_while_another_process_uses_it(root):
    command = [sys.executable, "-c", USER, str(root / NAMES[1])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    process.stdout.readline()
    caches.prune_images(root, 0)
    assert there(root) == [NAMES[1]]
    process.kill()
    process.communicate()
    caches.prune_images(root, 0)
    assert there(root) == []


def test_the_programs_used_longest_ago_are_removed(root):
    folder = root / "compiled"
    for age, name in enumerate("abc"):
        (folder / name).write_bytes(bytes(1000))
        os.utime(folder / name, (age, age))
    assert caches.prune_compiled(2000) == 2000
    assert sorted(os.listdir(folder)) == ["c", "file"]


def test_one_command_clears_both(root, monkeypatch, capsys):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/elsewhere")
    monkeypatch.setattr(sys, "argv", ["clean-cache"])
    clean_cache.run(argparse.Namespace())
    text = capsys.readouterr().out
    assert str(root) in text and "kept: /elsewhere" in text
    assert there(root) == [] and os.listdir(root / "compiled") == []
    assert {"my-pictures", "faces-8x3", "compiled"} < set(os.listdir(root))


def test_a_bound_that_is_no_number(monkeypatch):
    monkeypatch.setenv("RTIL_JAX_IMAGES_GIB", "10 GB")
    with pytest.raises(UserError, match="RTIL_JAX_IMAGES_GIB: found '10 GB', expected"):
        caches.bound("RTIL_JAX_IMAGES_GIB")
    monkeypatch.setenv("RTIL_JAX_IMAGES_GIB", "0.5")
    assert caches.bound("RTIL_JAX_IMAGES_GIB") == 2**29
