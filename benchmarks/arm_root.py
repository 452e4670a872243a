"""A folder with what an ARM processor's Python and LiteRT need, and the emulator that runs them: no root, no ARM machine.

    python -m benchmarks.arm_root [FOLDER]

Debian's arm64 packages of Python and its libraries, the aarch64 wheels of NumPy and LiteRT, and Debian's qemu. The system's
own packages stay as they are: apt works on lists of its own. Needs Debian or a relative, with `apt-get` and `dpkg`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1] / ".arm"
CPU = "cortex-a76"  # with "max" XNNPACK's results are garbage: a fault of the emulator
PYTHON = "3.11"
PACKAGES = (
    *(f"python{PYTHON}-minimal", f"libpython{PYTHON}-minimal", f"libpython{PYTHON}-stdlib"),
    *("libc6", "libexpat1", "libffi8", "zlib1g", "libgcc-s1", "libstdc++6"),
)
WHEELS = ("ai-edge-litert==2.1.6", "numpy==2.3.5")  # LiteRT 2.3 crashes under emulation when an interpreter is made
EMULATOR = "qemu-aarch64-static"
READY = "ready"


def make_root(folder: Path = ROOT) -> Path:
    """Fills `folder` if it is not whole; SystemExit names what failed."""
    wanted = "\n".join((*PACKAGES, *WHEELS))
    if (folder / READY).is_file() and (folder / READY).read_text(encoding="utf-8") == wanted:
        return folder
    for tool in ("apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise SystemExit(
                f"error: {tool} is missing: the ARM emulation takes Python and qemu from Debian's packages"
            )
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    whole = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".arm-"))
    try:
        _fill(whole)
        (whole / READY).write_text(wanted, encoding="utf-8")
        whole.rename(folder)
    finally:
        shutil.rmtree(whole, ignore_errors=True)
    return folder


def arm_command(root: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment that run Python with `arguments` on the emulated processor."""
    emulator = [str(root / EMULATOR), "-cpu", CPU, "-L", str(root / "system")]
    python = str(root / "system" / "usr" / "bin" / f"python{PYTHON}")
    return [*emulator, python, "-sB", *arguments], {"PYTHONPATH": str(root / "site"), "PATH": os.environ["PATH"]}


def _fill(whole: Path) -> None:
    host = _call("dpkg", "--print-architecture").strip()
    _unpack(whole / "qemu", host, ["qemu-user-static"])
    (whole / "qemu" / "usr" / "bin" / EMULATOR).rename(whole / EMULATOR)
    shutil.rmtree(whole / "qemu")  # the emulators of all other processors
    _unpack(whole / "system", "arm64", PACKAGES)
    _unpack_wheels(whole / "site")


def _unpack(target: Path, architecture: str, packages: Sequence[str]) -> None:
    """Debian packages of an architecture, downloaded with lists of its own, into `target`."""
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


def _call(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(command[:1])} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


if __name__ == "__main__":
    print(make_root(*map(Path, sys.argv[1:2])))
