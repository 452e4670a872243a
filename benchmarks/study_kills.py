"""Whether a study survives kill -9 at random moments with the same results as undisturbed.

    python -m benchmarks.study_kills [--kills N] [--seed S] [--folder DIR] [--output FILE]

A study of 12 tiny real trials with two workers runs undisturbed, then again while ten of its processes of random kinds
(supervisor, chief, worker, training) are killed at random moments. Only a killed supervisor is restarted, with the same
command. Writes a JSON file, prints `identical=yes kills=N`, and exits with 1 unless both results.csv are identical.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pipeline.runs.environment import describe_environment
from pipeline.runs.files import write_json

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "docs" / "results" / "study_kills.json"
COMMAND = "python -m benchmarks.study_kills --kills {kills} --seed {seed}"
KINDS = {
    "supervisor": "pipeline.study",
    "chief": "pipeline.study.chief",
    "worker": "pipeline.study.worker",
    "training": "pipeline.run",
}
BASE = """\
data: {name: fashion_mnist, train_examples: 320, test_examples: 60}
noise: {kind: uniform, rate: 0.4}
model: {name: resnet20, depth: 8, width: 4}
train: {epochs: 4, batch_size: 32, statistics_batches: 2}
verify: {latency_runs: 5, decision_agreement: 0.5, fake_quant_agreement: 0.0, metric_delta: 100}
"""
STUDY = """\
base: base.yaml
axes: {noise.rate: [0.2, 0.4, 0.6]}
variants:
  baseline: []
  dropout: [{name: dropout}]
seeds: [1, 2]
"""
TRIALS = 12


class DisturbedStudy:
    """A study in its own folder, and which of its processes have been killed."""

    def __init__(self, folder: Path):
        self.folder, self.kills = folder, []
        folder.mkdir(parents=True)
        (folder / "base.yaml").write_text(BASE)
        (folder / "tiny.yaml").write_text(STUDY)
        self.begun = time.monotonic()
        self.process = self._start()

    @property
    def table(self) -> Path:
        """The table of results."""
        return self.folder / "studies" / "tiny" / "results.csv"

    @property
    def finished(self) -> int:
        """The number of complete runs."""
        return len(list(self.folder.glob("studies/tiny/runs/*/seed*/scores.json")))

    def kill(self, kind: str) -> bool:
        """Kill a process of this kind and restart a killed supervisor; False if there is no such process now."""
        found = self.processes(kind)
        if not found:
            return False
        with suppress(ProcessLookupError):
            os.kill(found[0], signal.SIGKILL)
        self.kills.append({"seconds": time.monotonic() - self.begun, "kind": kind, "finished_runs": self.finished})
        print(f"killed {kind} after {self.kills[-1]['seconds']:.0f} s", file=sys.stderr, flush=True)
        if kind == "supervisor":
            self.process.wait()
            self.process = self._start()
        return True

    def processes(self, kind: str) -> list[int]:
        """The running processes of a kind, in no particular order."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode().split("\0")
                alive = (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
                if alive and KINDS[kind] in words and any(word.startswith(str(self.folder)) for word in words):
                    found.append(int(entry.name))
        return found

    def end(self) -> float:
        """Wait for the end; returns seconds since the start. Raises RuntimeError if the study failed or left processes."""
        code = self.process.wait()
        left = {kind: self.processes(kind) for kind in KINDS}
        if code or any(left.values()):
            raise RuntimeError(f"{self.folder}: exit {code}, still running: {left}")
        return time.monotonic() - self.begun

    def _start(self) -> subprocess.Popen:
        arguments = ["--config", str(self.folder / "tiny.yaml"), "--output-dir", str(self.folder), "--workers", "2"]
        return subprocess.Popen([sys.executable, "-m", "pipeline.study", *arguments], cwd=ROOT, stdout=sys.stderr)


def measure(folder: Path, kills: int, seed: int) -> dict:
    """The content of the JSON file; raises RuntimeError if a study fails or ends before all kills."""
    peaceful = DisturbedStudy(folder / "undisturbed")
    peaceful_seconds = peaceful.end()
    draws, pause = random.Random(seed), peaceful_seconds / (kills + 2)
    disturbed = DisturbedStudy(folder / "disturbed")
    while len(disturbed.kills) < kills:
        time.sleep(draws.uniform(0.2, 1.8) * pause)
        while not disturbed.kill(draws.choice(list(KINDS))):
            if disturbed.process.poll() is not None:
                raise RuntimeError(
                    f"the study ended after {len(disturbed.kills)} kills: start again with another --seed"
                )
            time.sleep(0.1)
    disturbed_seconds = disturbed.end()
    return {
        "machine": {**describe_environment(), "command": COMMAND.format(kills=kills, seed=seed)},
        "trials": TRIALS,
        "kills": disturbed.kills,
        "undisturbed_seconds": peaceful_seconds,
        "disturbed_seconds": disturbed_seconds,
        "rows": len(peaceful.table.read_text().splitlines()) - 1,
        "identical": peaceful.table.read_bytes() == disturbed.table.read_bytes(),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; 1 if the tables differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study_kills", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10, help="processes killed (default: 10)")
    parser.add_argument("--seed", type=int, default=1, help="seed of kinds and moments (default: 1)")
    parser.add_argument("--folder", type=Path, help="where the studies go (default: a temporary folder)")
    parser.add_argument("--output", type=Path, default=RESULT, help=f"the JSON file (default: {RESULT})")
    arguments = parser.parse_args(argv)
    folder = (arguments.folder or Path(tempfile.mkdtemp(prefix="nibble-study-"))).resolve()
    result = measure(folder, arguments.kills, arguments.seed)
    write_json(arguments.output, result)
    if not arguments.folder:
        shutil.rmtree(folder)
    print(f"identical={'yes' if result['identical'] else 'no'} kills={len(result['kills'])}")
    return 0 if result["identical"] else 1


if __name__ == "__main__":
    sys.exit(main())
