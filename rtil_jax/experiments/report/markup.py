"""HTML for the parts of the report; texts are escaped, pictures embedded."""

import base64
import html
import io
import os
import re
from collections.abc import Iterable

from PIL import Image

from rtil_jax.experiments.report.script import SCRIPT
from rtil_jax.experiments.report.tables import Table

# A picture with more bytes is embedded smaller, as a JPEG.
MAX_PICTURE_BYTES = 1_000_000
REDUCED_WIDTH = 1600
JPEG_QUALITY = 88

STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --soft: #555;
  --line: #ccc; --strong: #777; --code: #f5f5f5; --alarm: #a00000; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e4e4; --paper: #16181c;
  --soft: #b0b0b0; --line: #3c4048; --strong: #888; --code: #22252b;
  --alarm: #ff8a80; } }
body { margin: 0 auto; max-width: 70rem; padding: 1rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.5 system-ui, sans-serif; }
h1, h2, h3 { line-height: 1.25; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
h4 { margin: 1.25rem 0 .25rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .8125rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .5rem; border-bottom: 1px solid var(--line); text-align: left;
  white-space: nowrap; }
thead th { border-bottom: 2px solid var(--strong); cursor: pointer; }
th[aria-sort=ascending]::after { content: " ▲"; }
th[aria-sort=descending]::after { content: " ▼"; }
th.number, td.number { text-align: right; }
td.notok { font-weight: bold; color: var(--alarm); }
figure { margin: 1rem 0; }
img { display: block; width: 100%; height: auto; }
.chart { background: #fff; border-radius: .25rem; }
figcaption { color: var(--soft); font-size: .875rem; }
.pictures, .pair { display: flex; flex-wrap: wrap; gap: .25rem 1rem; }
.pair { gap: .25rem; }
.pictures figure { margin: .25rem 0; width: min-content; }
.pixels { image-rendering: pixelated; max-width: none; }
.zoom { cursor: zoom-in; }
dialog { color: var(--ink); background: var(--paper); border: 0; padding: .5rem;
  max-width: 96vw; max-height: 96vh; }
dialog .zoom { width: min(92vw, 85vh); image-rendering: pixelated; cursor: zoom-out; }
dialog::backdrop { background: rgb(0 0 0 / .7); }
pre { background: var(--code); padding: .75rem; font-size: .8125rem;
  white-space: pre-wrap; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; }
dt { font-weight: bold; }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } }
summary { cursor: pointer; }
@media print {
  :root { --ink: #000; --paper: #fff; --soft: #333; --line: #ccc; --strong: #777;
    --code: #fff; --alarm: #a00000; }
  body { max-width: none; padding: 0; font-size: 9pt; }
  .scroll { overflow: visible; }
  .pictures figure { break-inside: avoid; }
  th, td { white-space: normal; padding: .1rem .3rem; font-size: 7pt; }
  img { min-width: 0 !important; }
  figure, tr { break-inside: avoid; }
  h2, h3, summary, p { break-after: avoid; }
}
"""


def document(title: str, parts: Iterable[str]) -> str:
    """Returns a page that needs no other file."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            '<head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(title)}</title>",
            f"<style>{STYLE}</style></head>",
            f"<body><main>\n<h1>{html.escape(title)}</h1>",
            *parts,
            f"</main><script>{SCRIPT}</script></body></html>\n",
        ]
    )


def prose(text: str) -> str:
    """Escapes text, and shows `words` in backticks as code."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", html.escape(text))


def heading(level: int, text: str) -> str:
    return f"<h{level}>{html.escape(text)}</h{level}>"


def paragraph(text: str) -> str:
    return f"<p>{prose(text)}</p>"


def listing(text: str) -> str:
    """Returns lines of code."""
    return f"<pre><code>{html.escape(text)}</code></pre>"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Returns a list of names with descriptions."""
    lines = [
        f"<dt>{html.escape(name)}</dt><dd>{prose(text)}</dd>" for name, text in pairs
    ]
    return f"<dl>{''.join(lines)}</dl>"


def folded(summary: str, inside: str, is_open: bool) -> str:
    """Returns a part that the reader can fold.

    Args:
        summary: the line that stays when it is folded.
        inside: the HTML of the part.
        is_open: whether it is unfolded at first.
    """
    state = " open" if is_open else ""
    return (
        f"<details{state}><summary>{html.escape(summary)}</summary>{inside}</details>"
    )


def table(content: Table, name: str) -> str:
    """Returns a table that scrolls sideways if it is wider than the page.

    Args:
        content: the cells. Numbers other than 0 in a column `not ok` stand out.
        name: the name of the table for screen readers.
    """
    kinds = [all(map(_is_number, cells)) for cells in zip(*content.body, strict=True)]
    head = "".join(map(_heading_cell, content.header, kinds))
    lines = ["".join(map(_cell, content.header, kinds, line)) for line in content.body]
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    title = paragraph(content.title) if content.title else ""
    return (
        f"{title}{_scrolling(name)}<table><thead><tr>{head}</tr></thead>\n"
        f"<tbody>{body}</tbody></table></div>"
    )


def _is_number(text: str) -> bool:
    return re.match(r"[+-]?(\d|inf)|n/a|–$", text) is not None


def _heading_cell(column: str, is_number: bool) -> str:
    kind = ' class="number"' if is_number else ""
    return f'<th scope="col"{kind}>{html.escape(column)}</th>'


def _cell(column: str, is_number: bool, text: str) -> str:
    kinds = ["number"] if is_number else []
    kinds += ["notok"] if column == "not ok" and text != "0" else []
    attribute = f' class="{" ".join(kinds)}"' if kinds else ""
    return f"<td{attribute}>{html.escape(text)}</td>"


def _scrolling(name: str) -> str:
    # It has a tab stop, so that the keyboard can scroll it.
    label = html.escape(name, quote=True)
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{label}">'


def picture(path: str, alt: str, caption: str, scale: float) -> str:
    """Returns a PNG embedded in the page.

    Args:
        path: the PNG.
        alt: what it shows, for screen readers.
        caption: the text below it; may be empty.
        scale: the most CSS pixels per pixel. On a narrow page it shrinks to two thirds
            of that, and scrolls if the page is narrower still.
    """
    kind, data, width = _encoded(path)
    if kind != "png":
        caption += f" Reduced; the full size is `figures/{os.path.basename(path)}`."
    text = base64.b64encode(data).decode("ascii")
    size = f"max-width: {scale * width:.0f}px; min-width: {scale * width * 2 / 3:.0f}px"
    return (
        f"<figure>{_scrolling(alt)}"
        f'<img class="chart" style="{size}" alt="{html.escape(alt, quote=True)}" '
        f'src="data:image/{kind};base64,{text}"></div>'
        f"{f'<figcaption>{prose(caption)}</figcaption>' if caption else ''}</figure>"
    )


def _encoded(path: str) -> tuple[str, bytes, int]:
    """Returns the format, the bytes to embed, and the width of the original picture."""
    with open(path, "rb") as file:
        data = file.read()
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        if len(data) <= MAX_PICTURE_BYTES:
            return "png", data, width
        reduced = image.convert("RGB")
    if width > REDUCED_WIDTH:
        reduced = reduced.resize((REDUCED_WIDTH, REDUCED_WIDTH * height // width))
    buffer = io.BytesIO()
    reduced.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return "jpeg", buffer.getvalue(), width
