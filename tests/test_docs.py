"""The pages: their links, what they name, and the examples of the API reference."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import rtil_jax as rj

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
# What `docs/hooks.py` makes.
MADE = {"tutorial.md", "commands.md", "configs.md", "changelog.md", "contributing.md"}
NAMED = re.findall(r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text())


def anchors(path):
    """Those that headings have, as GitHub and the site make them."""
    titles = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub("```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match("https?:|mailto:", target):
            continue
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        if path.parent == DOCS and path.name in MADE:
            continue
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


def test_every_page_is_in_the_navigation():
    own = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert {*NAMED} == own | MADE and len(NAMED) == len({*NAMED})


def test_the_reference_shows_the_whole_face():
    shown = set()
    for path in (DOCS / "reference").glob("*.md"):
        for name in re.findall("^::: (.*)$", path.read_text(), re.MULTILINE):
            module, _, attribute = name.rpartition(".")
            shown.add(attribute)
            if module == "rtil_jax":
                shown |= {*getattr(importlib.import_module(name), "__all__", ())}
            else:
                assert getattr(importlib.import_module(module), attribute).__doc__
    # `report` is shown as a method of what `invert` returns.
    assert {*rj._PLACE_OF, *rj._MODULES} - shown == {"report"}


def public_functions():
    """(name, function) of all functions and methods that users can import."""
    for info in pkgutil.walk_packages(rj.__path__, "rtil_jax."):
        module = importlib.import_module(info.name)
        for name, found in vars(module).items():
            if name.startswith("_") or getattr(found, "__module__", "") != info.name:
                continue
            if inspect.isclass(found):
                for method in [n for n in vars(found) if not n.startswith("_")]:
                    yield f"{info.name}.{name}.{method}", getattr(found, method)
            else:
                yield f"{info.name}.{name}", found


def test_functions_of_three_arguments_say_what_each_is():
    count, left_out = 0, []
    for name, function in public_functions():
        plain = inspect.unwrap(function)
        if not (inspect.isroutine(plain) and callable(plain)):
            continue
        named = inspect.signature(plain).parameters.values()
        names = {p.name for p in named if "VAR" not in p.kind.name} - {"self", "cls"}
        if len(names) < 3:
            continue
        count += 1
        about = (inspect.getdoc(function) or "").partition("Args:")[2]
        said = set(re.findall(r"(\w+)(?=[,:])", about))
        left_out += [f"{name}({n})" for n in sorted(names - said)]
    assert left_out == [] and count > 250


def modules_with_examples():
    for path in sorted((ROOT / "rtil_jax").rglob("*.py")):
        if ">>> " in path.read_text():
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts)


# Those of operators are tested in `tests/operators`, that of `invert` with it.
TESTED = re.compile(r"rtil_jax\.(operators\.|inversion\.inverting$)")


@pytest.mark.parametrize(
    "name", [name for name in modules_with_examples() if not TESTED.match(name)]
)
def test_examples_in_docstrings_are_true(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted and not found.failed


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 150
