"""Files that are there whole or not at all."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from typing import IO, Any


@contextlib.contextmanager
def replacing(path: str, mode: str = "w") -> Iterator[IO]:
    """A file that takes the place of `path` once the block has ended without an error.

    Until then it has a name of its own, so that several processes, on several machines,
    may replace one file: the last wins, and readers never see a part. Text is UTF-8
    with `\\n` as it is.
    """
    partial = f"{path}.{secrets.token_hex(4)}.partial"
    text: dict[str, Any] = {} if "b" in mode else {"newline": "", "encoding": "utf-8"}
    try:
        with open(partial, mode, **text) as file:
            yield file
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(partial)
        raise
