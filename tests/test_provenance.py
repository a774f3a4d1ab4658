import re
import shutil
import subprocess

import pytest

import rtil_jax
from rtil_jax import provenance


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Stands for this package, in a repository."""
    folder = tmp_path / "repository" / "package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    monkeypatch.setattr(rtil_jax, "__file__", str(folder / "__init__.py"))
    return folder


def git(folder, *arguments):
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", *who, "-C", str(folder), *arguments], check=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_revision_is_that_of_the_package_and_says_if_it_was_changed(package):
    assert provenance.revision() == ""
    git(package, "init", "-q")
    assert provenance.revision() == ""  # somebody else's repository
    git(package, "add", ".")
    git(package, "commit", "-qm", "first")
    commit = provenance.revision()
    assert re.fullmatch("[0-9a-f]{40}", commit)
    (package / "__init__.py").write_text("1")
    assert provenance.revision() == f"{commit}-dirty"


def test_without_git_there_is_no_revision(package, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance.revision() == ""
