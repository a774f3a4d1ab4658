"""Makes Markdown of docstrings: examples are code, `<` is no tag."""

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Puts fences around every paragraph that begins with `>>>`."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring:
            parts = obj.docstring.value.split("\n\n")
            obj.docstring.value = "\n\n".join(map(as_markdown, parts))


def as_markdown(part: str) -> str:
    """A paragraph of a docstring."""
    if part.startswith(">>> "):
        return f"```pycon\n{part}\n```"
    if part.startswith("    "):  # a formula, which Markdown shows as it is
        return part
    words = re.split("(`[^`]*`)", part)
    return "".join(w if w.startswith("`") else w.replace("<", "&lt;") for w in words)
