"""What an inversion's directory records of its images."""

from rtil_jax.data.record import read_record


def describe_images(workdir: str) -> tuple[str, list[str]]:
    """Which images they are, and what speaks against them.

    Directories of earlier versions have no record: "" and none.

    Raises:
        UserError: if the record is damaged.
    """
    record = read_record(workdir)
    if not record:
        return "", []
    return f"{record['says']}, {record['cut']}", list(record["warnings"].values())
