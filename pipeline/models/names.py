"""Names that nothing else has, whatever the user calls layers and inputs."""

from collections.abc import Container


def free_name(wanted: str, taken: Container[str]) -> str:
    """`wanted`, numbered from 2 on if it is taken."""
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name
