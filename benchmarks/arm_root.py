"""A folder with an emulator and Python and LiteRT for ARM; needs neither root rights nor an ARM machine.

    python -m benchmarks.arm_root      # fills .arm/; `make verify-arm` and the tests do so automatically

It contains Debian's arm64 packages of Python, the aarch64 wheels of NumPy and LiteRT, and Debian's qemu: 150 MB. The
system's packages are not touched, since apt uses separate lists. Needs Debian 12, whose Python the wheels are for.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.runs.lock import locked

ROOT = Path(__file__).resolve().parents[1] / ".arm"
CPU = "cortex-a76"  # with "max" XNNPACK's results are wrong: a bug of the emulator
PYTHON = "3.11"
PACKAGES = (
    *(f"python{PYTHON}-minimal", f"libpython{PYTHON}-minimal", f"libpython{PYTHON}-stdlib"),
    *("libc6", "libexpat1", "libffi8", "zlib1g", "libgcc-s1", "libstdc++6"),
)
WHEELS = ("ai-edge-litert==2.1.6", "numpy==2.3.5")  # LiteRT 2.3 crashes under emulation when an interpreter is made
EMULATOR = "qemu-aarch64-static"
READY = "ready"
RELEASE = "VERSION_CODENAME=bookworm"


def unavailable() -> str:
    """Why this system cannot run the emulation; "" if it can."""
    if any(shutil.which(tool) is None for tool in ("apt-get", "dpkg")) or RELEASE not in _os_release():
        return (
            f"the ARM emulation takes Python {PYTHON} and qemu from the packages of Debian 12, which this system is not"
        )
    return ""


def make_root(folder: Path = ROOT) -> Path:
    """Fill `folder` unless it is up to date, one process at a time; SystemExit says what failed."""
    if reason := unavailable():
        raise SystemExit(f"error: {reason}")
    try:
        with locked(folder.with_name(f"{folder.name}.lock"), wait=True):
            if not _is_current(folder):
                _replace(folder)
    except OSError as error:
        raise SystemExit(f"error: {error}") from error
    return folder


def arm_command(root: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment that run Python with `arguments` on the emulated processor."""
    emulator = [str(root / EMULATOR), "-cpu", CPU, "-L", str(root / "system")]
    python = str(root / "system" / "usr" / "bin" / f"python{PYTHON}")
    return [*emulator, python, "-sB", *arguments], {"PYTHONPATH": str(root / "site"), "PATH": os.environ["PATH"]}


def _is_current(folder: Path) -> bool:
    return (folder / READY).is_file() and (folder / READY).read_text(encoding="utf-8") == _digest()


def _digest() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def _replace(folder: Path) -> None:
    """Replace what an earlier version of this file made by a new folder once that is complete."""
    if folder.exists() and not (folder / READY).exists():
        raise SystemExit(f"error: {folder} was not made by this program. Delete it, or move it away")
    for left_by_a_kill in folder.parent.glob(f"{folder.name}-*"):
        shutil.rmtree(left_by_a_kill)
    whole = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}-"))
    try:
        _fill(whole)
        command, environment = arm_command(whole, "-c", "import numpy, ai_edge_litert.interpreter")
        _call(*command, env=environment)
        (whole / READY).write_text(_digest(), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        whole.rename(folder)
    finally:
        shutil.rmtree(whole, ignore_errors=True)


def _fill(whole: Path) -> None:
    host = _call("dpkg", "--print-architecture").strip()
    _unpack(whole / "qemu", host, ["qemu-user-static"])
    (whole / "qemu" / "usr" / "bin" / EMULATOR).rename(whole / EMULATOR)
    shutil.rmtree(whole / "qemu")  # the emulators of all other processors
    _unpack(whole / "system", "arm64", PACKAGES)
    _unpack_wheels(whole / "site")


def _unpack(target: Path, architecture: str, packages: Sequence[str]) -> None:
    """Unpack Debian packages of an architecture, downloaded with separate package lists, into `target`."""
    with tempfile.TemporaryDirectory() as name:
        lists = Path(name)
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (lists / folder).mkdir(parents=True)
        (lists / "status").touch()
        settings = {
            "Dir::State": lists / "state",
            "Dir::State::status": lists / "status",
            "Dir::Cache": lists / "cache",
            "APT::Architecture": architecture,
            "APT::Architectures": architecture,
            "APT::Sandbox::User": "root",
        }
        apt = ["apt-get", "-qq", *(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))]
        _call(*apt, "update")
        _call(*apt, "download", *packages, cwd=lists)
        for package in sorted(lists.glob("*.deb")):
            _call("dpkg", "-x", str(package), str(target))


def _unpack_wheels(target: Path) -> None:
    platforms = [word for libc in (17, 27, 28) for word in ("--platform", f"manylinux_2_{libc}_aarch64")]
    with tempfile.TemporaryDirectory() as name:
        options = ["--python-version", PYTHON, "--only-binary=:all:", "--no-deps", "--disable-pip-version-check"]
        _call(sys.executable, "-m", "pip", "download", "--quiet", *platforms, *options, "-d", name, *WHEELS)
        for wheel in sorted(Path(name).glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(target)


def _os_release() -> str:
    path = Path("/etc/os-release")
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _call(*command: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"error: {command[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


if __name__ == "__main__":
    print(make_root())
