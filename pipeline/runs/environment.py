"""The environment of a run, as recorded in environment.json: machine, versions, commit and command."""

import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "tensorflow",
    "tf_keras",
    "tensorflow-model-optimization",
    "tensorflow-datasets",
    "keras-tuner",
    "ai-edge-litert",
    "numpy",
    "pydantic",
    "PyYAML",
)
CPU_INFO = Path("/proc/cpuinfo")
VECTOR = re.compile(r"avx|fma|amx|sse4_2|asimd|sve|sme(?!p)|bf16|i8mm")  # instructions that kernels are chosen by
THREADS = {"intra_op": "TF_NUM_INTRAOP_THREADS", "inter_op": "TF_NUM_INTEROP_THREADS"}  # as TensorFlow reads them
ONEDNN = ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA")
NUMERIC = {  # what the last digits of a result depend on, beside configuration and code
    "TensorFlow's intra-op threads": ("threads", "intra_op"),
    "TensorFlow's inter-op threads": ("threads", "inter_op"),
    "processor": ("cpu",),
    "instructions": ("instructions",),
    "oneDNN": ("onednn",),
    **{name: ("packages", name) for name in PACKAGES[:3]},
    "numpy": ("packages", "numpy"),
}


def describe_environment() -> dict:
    """The content of environment.json; None for what the machine does not report."""
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "instructions": _instructions(),
        "cores": os.cpu_count(),
        "threads": {kind: _threads(variable) for kind, variable in THREADS.items()},
        "onednn": {name: os.environ[name] for name in ONEDNN if name in os.environ},
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "commit": commit_of(Path(__file__).parents[2]),
        "command": shlex.join(sys.orig_argv),
    }


def numeric_changes(earlier: Mapping, now: Mapping) -> list[str]:
    """What differs between two environments so that the same training may give other numbers, in words."""
    pairs = {name: (_at(earlier, path), _at(now, path)) for name, path in NUMERIC.items()}
    known = {name: pair for name, pair in pairs.items() if None not in pair and pair[0] != pair[1]}
    return [f"{name}: {after or 'default'}, before {before or 'default'}" for name, (before, after) in known.items()]


def _at(environment: Mapping, path: tuple[str, ...]) -> object:
    for key in path:
        environment = environment.get(key) if isinstance(environment, Mapping) else None
    return environment


def _threads(variable: str) -> int:
    """The threads TensorFlow starts: those of the variable, else one for each processor this process may use."""
    given = os.environ.get(variable, "")
    may_use = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (int(given) if given.isdecimal() else 0) or may_use


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str | None:
    return _cpu_info("model name") or platform.processor() or None


def _instructions() -> str | None:
    """The vector instructions of the processor, in alphabetical order."""
    names = (_cpu_info("flags") or _cpu_info("Features") or "").split()
    return " ".join(sorted(filter(VECTOR.match, names))) or None


def _cpu_info(key: str) -> str | None:
    """The first value of `key` in /proc/cpuinfo."""
    lines = CPU_INFO.read_text().splitlines() if CPU_INFO.exists() else ()
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), None)


def commit_of(folder: Path) -> str | None:
    """The commit checked out in `folder`, with `-dirty` if files differ from it; None if it is not a checkout."""
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
