"""The file names of reconstructions: readable, and one for each on any file system."""

import hashlib
import json
import os
import re

from rtil_jax.experiments.report.rows import Row, ratio_name

NAME_BYTES = 80
LABEL_BYTES = 32
# What names of priors and of methods may be made of and still be told apart by their
# place in the file name, also where file systems ignore case or other alphabets'
# accents. A prior's ends at the first underscore.
_PRIOR = re.compile(r"[a-z0-9 .,;=+%()\[\]-]{1,32}")
_METHOD = re.compile(r"[a-z0-9 .,;=+%()\[\]_-]{1,32}")
_RULE = re.compile(r"[a-z]+")
_PROBLEM = re.compile(r"[a-z_]+")
# A rule and an index within the name of a method: where would it end?
_ENDS_EARLY = re.compile(r"_[a-z]+_\d{5}")
# Windows allows none of these.
_UNSAFE = re.compile(r'[\x00-\x1f<>:"/\\|?*]')


def file_stem(row: Row, index: int) -> str:
    """A file name for the reconstruction of image `index`, unique in its directory.

    `PROBLEM_RATIO_PRIOR_METHOD_RULE_INDEX_IMAGE`. Where that could be another
    reconstruction's too, or has to be shortened, a checksum follows the index.
    """
    image = row["image"].removesuffix(".png")
    mark = "" if _is_plain(row, image) else f"-{_digest(row)}"
    labels = (_short(row[column], LABEL_BYTES) for column in ("prior", "method"))
    setting = [row["problem"], ratio_name(row["ratio"]), *labels, row["select"]]
    name = _short(os.path.basename(row["image"]).removesuffix(".png"), NAME_BYTES)
    return "_".join([*setting, f"{index:05d}{mark}", name])


def old_file_stem(row: Row, index: int) -> str:
    """The name that it had in version 0.1, which others could have as well."""
    name = os.path.splitext(os.path.basename(row["image"]))[0]
    name = name.encode()[:NAME_BYTES].decode(errors="ignore")
    setting = [row["problem"], f"{row['ratio']:g}", row["prior"], row["method"]]
    return "_".join([*setting, row["select"], f"{index:05d}", name])


def _is_plain(row: Row, image: str) -> bool:
    """Whether no other row with as plain words has the same file name."""
    words = (
        _PROBLEM.fullmatch(row["problem"])
        and _PRIOR.fullmatch(row["prior"])
        and _METHOD.fullmatch(row["method"])
        and not _ENDS_EARLY.search(row["method"])
        and _RULE.fullmatch(row["select"])
    )
    # Without `.png` it must have no other ending, and with another it keeps that.
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
