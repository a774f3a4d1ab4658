"""Names of the members of a family, for pictures of samples."""

from rtil_jax.families import AdditiveFamily, Family, MultiCodeFamily


def member_names(family: Family) -> list[str]:
    """Returns a name for each member, G itself first: `G^1: noise after block 1`."""
    if isinstance(family, MultiCodeFamily):
        return [
            f"G^{member}: {codes} code{'' if codes == 1 else 's'}"
            for member, codes in enumerate(family.codes)
        ]
    names = [f"G^{member}" for member in range(family.num_members)]
    names[0] += ": no noise"
    if isinstance(family, AdditiveFamily):
        for member in range(1, family.num_members):
            first, *more = map(str, family.blocks[:member])
            names[member] += f": noise after block{'s' if more else ''} "
            names[member] += ", ".join([first, *more])
    return names
