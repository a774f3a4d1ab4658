"""Pages of the site that are made of other files, when `make docs` builds it.

The tutorial is made of its notebook, the commands and configs of their docstrings, and
the project's pages of the files in the root, whose links are those of the root.
"""

import ast
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages."""
    for name, text in {
        "tutorial.md": notebook(ROOT / "docs" / "tutorial.ipynb"),
        "commands.md": commands(),
        "configs.md": configs(),
        "changelog.md": from_root("CHANGELOG.md"),
        "contributing.md": from_root("CONTRIBUTING.md"),
    }.items():
        files.append(File.generated(config, name, content=text))
    return files


def from_root(name: str) -> str:
    """A page of the root, whose links to `docs/` become the site's."""
    text = (ROOT / name).read_text(encoding="utf-8")
    text = text.replace("](CHANGELOG.md", "](changelog.md").replace("](docs/", "](")
    # Other files of the root are no pages.
    return re.sub(r"\[([^\]]*)\]\((?!https?:|#|[a-z_]+\.md)[^)]*\)", r"\1", text)


def commands() -> str:
    """The docstring of every command, which is the beginning of its `--help`."""
    tree = ast.parse((ROOT / "rtil_jax/cli/main.py").read_text(encoding="utf-8"))
    (names,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "COMMANDS"
    ]
    parts = ["# Commands", "`rtil COMMAND --help` prints all flags of a command."]
    for name in names:
        path = ROOT / "rtil_jax/cli" / f"{name.replace('-', '_')}.py"
        parts += [f"## rtil {name}", *prose_and_code(docstring(path))]
    return "\n\n".join(parts)


def configs() -> str:
    """The docstring of every config."""
    parts = [
        "# Configs",
        "`rtil COMMAND --help --config=FILE` lists the fields of a config with their "
        "help; `--config.FIELD=VALUE` sets one; `FILE:VARIANT,VARIANT` picks variants.",
    ]
    for path in sorted((ROOT / "configs").rglob("*.py")):
        title = path.relative_to(ROOT).as_posix()
        parts += [f"## {title}", *prose_and_code(docstring(path))]
    return "\n\n".join(parts)


def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def prose_and_code(text: str) -> Iterator[str]:
    """Paragraphs as they are; indented ones, and lines of commands, as code."""
    for part in text.split("\n\n"):
        is_code = part.startswith("    ") or re.match(r"(python|rtil) ", part)
        if is_code:  # in docstrings, a line that goes on has been joined to the next
            part = re.sub(" {3,}--", " \\\\\n    --", textwrap.dedent(part))
        yield f"```text\n{part}\n```" if is_code else part


def notebook(path: Path) -> str:
    """Its cells in order: code, what it printed, and its pictures."""
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code":
            parts.append(source.replace("](../README.md", "](index.md"))
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            parts.append(shown(output))
    return "\n\n".join(filter(None, parts))


def shown(output: dict) -> str:
    if output["output_type"] == "stream":
        return f"```text\n{''.join(output['text']).rstrip()}\n```"
    data = output.get("data", {})
    if "image/png" in data:
        code = "".join(data["image/png"]).replace("\n", "")
        return f'<img alt="what the cell draws" src="data:image/png;base64,{code}">'
    if "text/plain" in data:
        return f"```text\n{''.join(data['text/plain'])}\n```"
    return ""
