"""Get an image set onto this machine: `python -m pipeline.data.fetch fashion_mnist`."""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from pipeline.data.image_set import Source
from pipeline.data.images import SOURCES, Place, download, find
from pipeline.errors import UserError

APT_OPTIONS = ("-qq", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20", "-o", "DPkg::Lock::Timeout=60")
APT_SECONDS = 900


def fetch(source: Source) -> Place:
    """Find the image set here, else install Debian's package of it, else let TFDS download it.

    Raises:
        UserError: none of the three worked; says what was tried and what is left to do.
    """
    place = find(source)
    if place is None and source.package and _install(source.package.name):
        place = find(source)
    if place is None:
        _say(f"{source.title}: downloading through TFDS ...")
        place = download(source)
    return place


def _install(package: str) -> bool:
    """Install a Debian package, after refreshing the package lists if needed; False if it failed."""
    root = _as_root()
    if root is None or not shutil.which("apt-get"):
        return False
    _say(f"apt-get install {package} ...")
    install = [*root, "apt-get", *APT_OPTIONS, "install", "-y", package]
    return _works(install) or (_works([*root, "apt-get", *APT_OPTIONS, "update"]) and _works(install))


def _as_root() -> list[str] | None:
    """What to put before a command to run it as root without a password, or None."""
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "-n"]
    return sudo if shutil.which("sudo") and _works([*sudo, "true"]) else None


def _works(command: list[str]) -> bool:
    """Run a command, its output on stderr; whether it succeeded."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2, env=environment, timeout=APT_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        _say(f"{' '.join(command)}: {error}")
        return False
    return done.returncode == 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: the data is there; 2: it is not, and the message says what to do."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.data.fetch", description=__doc__)
    parser.add_argument("name", choices=sorted(SOURCES), help="the data set, as in data.name of a config")
    source = SOURCES[parser.parse_args(arguments).name]
    try:
        place = fetch(source)
    except UserError as error:
        _say(f"error: {error}")
        return 2
    _say(f"{source.title}: {place.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
