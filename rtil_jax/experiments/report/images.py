"""Reads the record of the images of an inversion's directory."""

from rtil_jax.data.record import read_record


def describe_images(workdir: str) -> tuple[str, list[str]]:
    """Returns a description of the images, and warnings about them.

    Directories of earlier versions have no record; the result is "" and [].

    Raises:
        UserError: if the record is damaged.
    """
    record = read_record(workdir)
    if not record:
        return "", []
    return f"{record['says']}, {record['cut']}", list(record["warnings"].values())
