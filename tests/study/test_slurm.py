"""The batch file in docs/studies.md, run as Slurm would run it: a fake srun starts its nodes on this machine."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.study.folder import finish, grid
from tests.study.running import DEADLINE_SECONDS, ROOT, everything, wait_for

SRUN = """\
#!/bin/bash
# runs the command once for each node, and passes SIGTERM to all of them
for option in "$@"; do
    case $option in
        --nodes=*) nodes=${option#--nodes=}; shift ;;
        --*) shift ;;
        *) break ;;
    esac
done
trap 'kill -TERM $(jobs -p)' TERM
for ((node = 0; node < nodes; node++)); do SLURM_NODEID=$node "$@" & done
while [ "$(jobs -rp)" ]; do wait; done
"""


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """The batch file for a small study in `tmp_path`."""
    (text,) = re.findall(
        r"```bash\n(#!/bin/bash\n#SBATCH.*?)```", (ROOT / "docs" / "studies.md").read_text(), re.DOTALL
    )
    command = "qat_configs/study_fashion_mnist.yaml --workers 8"
    assert command in text
    executable(tmp_path / "bin" / "srun", SRUN)
    executable(tmp_path / "bin" / "python", f'#!/bin/bash\nexec {sys.executable} "$@"\n')
    path = tmp_path / "study.sbatch"
    executable(path, text.replace(command, f"{tmp_path}/tiny.yaml --output-dir {tmp_path} --workers 1"))
    return path


def submit(batch: Path) -> subprocess.Popen:
    """Run the batch file as the first of two nodes."""
    slurm = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_NNODES": "2", "SLURM_CPUS_PER_TASK": "1"}
    path = f"{batch.parent / 'bin'}:{os.environ['PATH']}"
    return subprocess.Popen(
        ["bash", str(batch)], cwd=ROOT, env={**os.environ, **slurm, "PATH": path}, stderr=subprocess.PIPE, text=True
    )


def test_a_job_works_on_all_nodes_stops_in_time_and_continues(batch: Path):
    folder = batch.parent
    study, made = grid(folder), folder / "studies" / "tiny"
    first = submit(batch)
    reports = [f"tuner/*/reports/{name}-1.jsonl" for name in ("leader", "node0")]
    wait_for(lambda: first.poll() is not None or all(list(made.glob(each)) for each in reports), "a run on each node")
    first.send_signal(signal.SIGTERM)
    _, said = first.communicate(timeout=DEADLINE_SECONDS)
    assert first.returncode == 143, said
    assert everything(folder) == []
    assert json.loads((made / "status.json").read_text())["state"] == "stopped"

    for cell in study.cells:
        finish(cell, made)
    second = submit(batch)
    _, said = second.communicate(timeout=DEADLINE_SECONDS)
    assert second.returncode == 0, said
    with (made / "results.csv").open(newline="") as file:
        assert [row["state"] for row in csv.DictReader(file)] == ["done"] * len(study.cells)
    assert everything(folder) == []
