"""Decides which files of a folder or zip belong to a split, by their folders."""

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterable

from rtil_jax.data.formats import extensions, is_hidden, is_image, kinds, list_kinds
from rtil_jax.errors import UserError

# Split -> common names of its folder, alone or as in `train_images`, `TestSet`,
# `val2017` and `trainA`.
SPELLINGS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "val": ("val", "valid", "validation"),
}
_AROUND = r"(?:data|images?|imgs?|set|split)"
_OF_SPELLING = {word: split for split, words in SPELLINGS.items() for word in words}
_WORDS = "|".join(sorted(_OF_SPELLING, key=len, reverse=True))
_FOLDER = re.compile(
    rf"(?:{_AROUND}[ _-]?)?({_WORDS})"
    rf"(?:[ _-]?{_AROUND})?(?:[ _-]?\d+|[ _-]?(?-i:[AB]))?",
    re.IGNORECASE,
)
# The same words within a name, as in `faces_train` and `train_64x64`.
_WITHIN = re.compile(rf"(.*[ _-])?({_WORDS})([ _-].*)?", re.IGNORECASE)
Parts = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The images of one split.

    Attributes:
        paths: {name within the split: path}, sorted by name.
        says: the split, and its folder if that has another name.
        ignored: how many files are not images or in no split, by kind.
    """

    paths: dict[str, str]
    says: str
    ignored: Counter[str]


def choose_split(paths: Iterable[str], split: str, location: str) -> Chosen:
    """Chooses the images of one split from all files.

    A split is a folder of that name, at any depth, in the usual spellings, in upper or
    lower case. `faces_train` and `faces_test` side by side are splits too. Without such
    folders every image is taken. If there is no folder of test images, `test` takes a
    folder of validation images. Both / and \\ separate folders.

    Args:
        paths: the paths of all files, relative to `location`.
        split: the name of the split.
        location: where the files are, for messages.

    Raises:
        UserError: if there are no images, if only other splits exist, or if two images
            have the same name.
    """
    seen = {path: parts for path in paths if (parts := _parts(path))}
    seen = {path: parts for path, parts in seen.items() if not is_hidden(parts)}
    images = {path: parts for path, parts in seen.items() if is_image(parts[-1])}
    ignored = kinds(parts[-1] for path, parts in seen.items() if path not in images)
    if not images:
        found = f"only {list_kinds(ignored)}" if ignored else "no files"
        raise UserError(
            f"{location}: found {found}, expected images ({', '.join(extensions()[:5])}"
            " or another format that Pillow reads)"
        )
    split_of = _reader(split, images.values())
    wanted, images = split_of(split), _without_shared(images, split_of)
    levels = {path: _level(parts, split_of) for path, parts in images.items()}
    if all(level is None for level in levels.values()):
        return Chosen(_named(images, location), "all: no train/ or test/", ignored)
    folders: dict[str, set[str]] = {}  # split -> its folders
    for path, level in levels.items():
        if level is not None:
            folder = images[path][level]
            folders.setdefault(split_of(folder), set()).add(folder)
    taken = "val" if wanted == "test" and "test" not in folders else wanted
    if taken not in folders:
        there = ", ".join(sorted(set().union(*folders.values())))
        raise UserError(
            f"{location}: found only the folders {there}, expected one of split "
            f"{split!r}{_others(images, levels)}"
        )
    if none := sum(level is None for level in levels.values()):
        ignored["images in no split"] = none
    inside = {}
    for path, level in levels.items():
        if level is not None and images[path][level] in folders[taken]:
            # With several folders, the folder is part of the name.
            below = level + (len(folders[taken]) == 1)
            inside[path] = images[path][:level] + images[path][below:]
    says = _says(split, wanted != taken, sorted(folders[taken]))
    return Chosen(_named(inside, location), says, ignored)


def _reader(split: str, images: Iterable[Parts]) -> Callable[[str], str]:
    """Returns a function from a folder to its split, or "" for none.

    A folder called `split` always belongs to this split.
    """
    pairs = _pairs({parts[:-1] for parts in images})

    def split_of(folder: str) -> str:
        found = _FOLDER.fullmatch(folder)
        if found:
            return _OF_SPELLING[found[1].lower()]
        if folder.lower() == split.lower():
            return split.lower()
        return pairs.get(folder, "")

    return split_of


def _pairs(folders: set[Parts]) -> dict[str, str]:
    """Returns {name: split} of folders side by side that differ only in that word.

    `faces_train` and `faces_test` are such folders. `bullet_train` alone is not: the
    name may say what its pictures show.
    """
    alike: dict[tuple, dict[str, str]] = {}
    for above in {folder[: n + 1] for folder in folders for n in range(len(folder))}:
        if found := _WITHIN.fullmatch(above[-1]):
            before, word, after = found.groups(default="")
            rest = re.sub(r"\d+", "0", f"{before}/{after}").lower()
            key = (above[:-1], rest)
            alike.setdefault(key, {})[above[-1]] = _OF_SPELLING[word.lower()]
    several = (names for names in alike.values() if len(set(names.values())) > 1)
    return {name: split for names in several for name, split in names.items()}


def _others(images: dict[str, Parts], levels: dict[str, int | None]) -> str:
    """Says how to take a folder that is not a split, if there is one."""
    names = {images[p][0] for p, n in levels.items() if n is None and images[p][1:]}
    shown = ", ".join(sorted(names)[:4])
    return f"; or give another folder's name as the split ({shown})" if names else ""


def _says(split: str, instead: bool, folders: list[str]) -> str:
    names = ", ".join(f"{folder}/" for folder in folders)
    if instead:
        return f"{split}: {names} because there is no test/"
    return split if folders == [split] else f"{split}: {names}"


def _parts(path: str) -> Parts:
    """Splits a path of any operating system into its parts; () for a folder."""
    path = re.sub(r"^[A-Za-z]:(?=/)", "", path.replace("\\", "/"))
    if path.endswith("/"):
        return ()
    return tuple(part for part in path.split("/") if part not in ("", "."))


def _level(parts: Parts, split_of: Callable[[str], str]) -> int | None:
    """Returns where in a path the outermost folder of a split is."""
    return next((n for n, part in enumerate(parts[:-1]) if split_of(part)), None)


def _without_shared(
    images: dict[str, Parts], split_of: Callable[[str], str]
) -> dict[str, Parts]:
    """Removes the leading folders that all images share, down to those of splits.

    A folder `test` that holds `train/` and `test/` is only a wrapper.
    """
    while all(len(parts) > 1 for parts in images.values()):
        first = {parts[0] for parts in images.values()}
        below = {
            next(filter(None, map(split_of, parts[1:-1])), "")
            for parts in images.values()
        }
        wrapper = len(below) > 1 and "" not in below
        if len(first) > 1 or (any(map(split_of, first)) and not wrapper):
            break
        images = {path: parts[1:] for path, parts in images.items()}
    return images


def _named(images: dict[str, Parts], location: str) -> dict[str, str]:
    named: dict[str, str] = {}
    for path, parts in images.items():
        name = _printable("/".join(parts))
        if name in named:
            raise UserError(
                f"{location}: found two images called {name} ({_printable(named[name])}"
                f" and {_printable(path)}), expected one"
            )
        named[name] = path
    return dict(sorted(named.items()))


def _printable(name: str) -> str:
    """Returns a name that UTF-8 can write, even if the file system allows others."""
    return name.encode(errors="backslashreplace").decode()
