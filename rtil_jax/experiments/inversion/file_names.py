"""The file names of reconstructions: readable, and unique on any file system."""

import hashlib
import json
import os
import re

from rtil_jax.experiments.report.rows import Row, ratio_name

NAME_BYTES = 80
LABEL_BYTES = 32
# Names of priors and methods that stay distinct in a file name, also on file systems
# that ignore case or accents. The name of a prior ends at the first underscore.
_PRIOR = re.compile(r"[a-z0-9 .,;=+%()\[\]-]{1,32}")
_METHOD = re.compile(r"[a-z0-9 .,;=+%()\[\]_-]{1,32}")
_RULE = re.compile(r"[a-z]+")
_PROBLEM = re.compile(r"[a-z_]+")
# A method whose name contains a rule and an index, so that its end is ambiguous.
_ENDS_EARLY = re.compile(r"_[a-z]+_\d{5}")
# Windows does not allow these.
_UNSAFE = re.compile(r'[\x00-\x1f<>:"/\\|?*]')


def file_stem(row: Row, index: int) -> str:
    """Returns the file name of the reconstruction of image `index`, without extension.

    It is `PROBLEM_RATIO_PRIOR_METHOD_RULE_INDEX_IMAGE`. If another reconstruction could
    have the same name, or the name must be shortened, a checksum follows the index.
    """
    image = row["image"].removesuffix(".png")
    mark = "" if _is_plain(row, image) else f"-{_digest(row)}"
    labels = (_short(row[column], LABEL_BYTES) for column in ("prior", "method"))
    setting = [row["problem"], ratio_name(row["ratio"]), *labels, row["select"]]
    name = _short(os.path.basename(row["image"]).removesuffix(".png"), NAME_BYTES)
    return "_".join([*setting, f"{index:05d}{mark}", name])


def old_file_stem(row: Row, index: int) -> str:
    """Returns the file name of version 0.1, which was not unique."""
    name = os.path.splitext(os.path.basename(row["image"]))[0]
    name = name.encode()[:NAME_BYTES].decode(errors="ignore")
    setting = [row["problem"], f"{row['ratio']:g}", row["prior"], row["method"]]
    return "_".join([*setting, row["select"], f"{index:05d}", name])


def _is_plain(row: Row, image: str) -> bool:
    """Tells whether the words of a row are so plain that its file name is unique."""
    words = (
        _PROBLEM.fullmatch(row["problem"])
        and _PRIOR.fullmatch(row["prior"])
        and _METHOD.fullmatch(row["method"])
        and not _ENDS_EARLY.search(row["method"])
        and _RULE.fullmatch(row["select"])
    )
    # `.png` is cut off; a name with another extension keeps it.
    whole = ("." in image) != row["image"].endswith(".png")
    kept = image == _short(image, NAME_BYTES) and "/" not in image
    return bool(words and whole and kept)


def _short(text: str, size: int) -> str:
    safe = _UNSAFE.sub("-", text)
    return safe.encode()[:size].decode(errors="ignore")


def _digest(row: Row) -> str:
    key = [row[c] for c in ("image", "prior", "method", "problem", "select")]
    text = json.dumps([*key, float(row["ratio"])])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
