"""Bringing data to a machine: what is there, Debian's package (through stand-ins for apt-get and sudo), TFDS."""

import dataclasses
import os
from pathlib import Path

import pytest

from pipeline.data.fetch import main
from pipeline.data.images import SOURCES
from tests.data.data_trees import served, write_fashion_mnist
from tests.data.test_prepared import point_fashion_mnist_at

NOBODY = "http://127.0.0.1:9/nothing.gz"
LOG_CALL = 'echo "$0 $*" >> "$CALLS"; export CALLS\n'
INSTALLS = LOG_CALL + 'case "$*" in *install*) /bin/cp -r "$PACKAGE" "$SYSTEM";; esac\n'
NEEDS_UPDATE = LOG_CALL + (
    'case "$*" in\n'
    '  *update*) : > "$CALLS.updated";;\n'
    '  *) [ -e "$CALLS.updated" ] || exit 100; /bin/cp -r "$PACKAGE" "$SYSTEM";;\n'
    "esac\n"
)
FAILS = LOG_CALL + "echo 'E: no such package' >&2; exit 100\n"
SUDO = LOG_CALL + '[ "$1" = -n ] || exit 1\nshift\n[ "$1" = true ] && exit 0\nexec "$@"\n'


class Machine:
    """A machine whose programs, user, system folder and TFDS folder lie below one folder."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch, self.system = folder, patch, folder / "system"
        (folder / "bin").mkdir()
        variables = {"PATH": "bin", "CALLS": "calls", "PACKAGE": "package", "SYSTEM": "system", "TFDS_DATA_DIR": "tfds"}
        for name, value in variables.items():
            patch.setenv(name, str(folder / value))
        patch.setenv("NO_PROXY", "127.0.0.1")
        self.set_source(NOBODY)
        write_fashion_mnist(folder / "package")

    def set_source(self, url: str) -> None:
        source = SOURCES["fashion_mnist"]
        package = dataclasses.replace(source.package, folder=self.system)
        source = dataclasses.replace(source, package=package, tfds_url=url)
        self.patch.setitem(SOURCES, "fashion_mnist", source)

    def program(self, name: str, script: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{script}")
        path.chmod(0o755)

    def user(self, number: int) -> None:
        self.patch.setattr(os, "geteuid", lambda: number)

    def calls(self) -> list[str]:
        """Program and last two arguments of every call."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [" ".join([Path(line.split()[0]).name, *line.split()[1:][-2:]]) for line in lines]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


INSTALL, UPDATE = "apt-get -y dataset-fashion-mnist", "apt-get DPkg::Lock::Timeout=60 update"


def test_nothing_to_do(machine: Machine, capfd: pytest.CaptureFixture) -> None:
    write_fashion_mnist(machine.system)
    machine.program("apt-get", INSTALLS)
    machine.user(0)
    assert main(["fashion_mnist"]) == 0
    assert machine.calls() == []
    assert capfd.readouterr() == ("", f"Fashion-MNIST: {machine.system}\n")


@pytest.mark.parametrize(
    ("script", "calls"), [(INSTALLS, [INSTALL]), (NEEDS_UPDATE, [INSTALL, UPDATE, INSTALL])], ids=["fresh", "stale"]
)
def test_root_installs_the_package(machine: Machine, script: str, calls: list[str]) -> None:
    machine.program("apt-get", script)
    machine.user(0)
    assert main(["fashion_mnist"]) == 0
    assert machine.calls() == calls
    assert len(list(machine.system.iterdir())) == 4


def test_others_install_through_sudo_without_a_password(machine: Machine) -> None:
    machine.program("apt-get", INSTALLS)
    machine.program("sudo", SUDO)
    machine.user(1000)
    assert main(["fashion_mnist"]) == 0
    assert machine.calls() == ["sudo -n true", "sudo -y dataset-fashion-mnist", INSTALL]


def test_without_rights_apt_is_left_alone(machine: Machine, capfd: pytest.CaptureFixture) -> None:
    machine.program("apt-get", INSTALLS)
    machine.program("sudo", LOG_CALL + "exit 1\n")
    machine.user(1000)
    assert main(["fashion_mnist"]) == 2
    assert machine.calls() == ["sudo -n true"]
    assert "apt-get install dataset-fashion-mnist" in capfd.readouterr().err


def test_nothing_works(machine: Machine, capfd: pytest.CaptureFixture) -> None:
    machine.program("apt-get", FAILS)
    machine.user(0)
    assert main(["fashion_mnist"]) == 2
    output = capfd.readouterr()
    assert machine.calls() == [INSTALL, UPDATE]
    assert output.out == "" and "E: no such package" in output.err
    assert "error: Fashion-MNIST was not found. Looked at:" in output.err and NOBODY in output.err


def test_tfds_downloads_where_there_is_no_apt(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.user(0)
    with served(machine.folder / "package") as address:
        machine.set_source(f"{address}train-images-idx3-ubyte.gz")
        point_fashion_mnist_at(address, 40, 20, monkeypatch)
        assert main(["fashion_mnist"]) == 0
    assert (machine.folder / "tfds" / "fashion_mnist" / "3.0.1" / "dataset_info.json").exists()
    machine.set_source(NOBODY)
    assert main(["fashion_mnist"]) == 0


def test_an_unknown_name_is_refused(capfd: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["mnist"])
    assert caught.value.code == 2
    assert "cifar10" in capfd.readouterr().err
