"""The run folder: whole files, one writer, what a kill or a full disk leaves behind."""

import json
import math
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import RunFailed, UserError
from pipeline.runs import folder as run_folder
from pipeline.runs.environment import describe_environment
from pipeline.runs.files import (
    append_jsonl,
    read_json,
    read_jsonl,
    replacing,
    write_bytes,
    write_json,
    write_jsonl,
    write_npz,
    write_text,
)
from pipeline.runs.folder import clear_run, open_run, read_status, run_path, seed_path, write_environment, write_status

ROOT = Path(__file__).parents[2]


def python(code, *arguments):
    """A process that runs `code` with the pipeline importable."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_paths(tmp_path):
    assert run_path(tmp_path, "cifar10", "0123abcd") == tmp_path / "runs" / "cifar10-0123abcd"
    assert seed_path(tmp_path, 3) == tmp_path / "seed3"


def test_files_are_written_whole_with_their_folders_and_nothing_else_stays(tmp_path):
    folder = tmp_path / "a" / "b"
    write_text(folder / "t.txt", "é\n")
    write_bytes(folder / "t.bin", b"\0\1")
    write_json(folder / "t.json", {"accuracy": np.float32(0.5), "n": np.int64(3), "loss": math.nan, "path": Path("x")})
    write_npz(folder / "t.npz", mask=np.array([True, False]), order=np.arange(3))
    write_jsonl(folder / "t.jsonl", [{"a": np.arange(2)}, {"a": (1, math.inf)}])
    assert (folder / "t.txt").read_text(encoding="utf-8") == "é\n"
    assert read_json(folder / "t.json") == {"accuracy": 0.5, "n": 3, "loss": None, "path": "x"}
    with np.load(folder / "t.npz") as arrays:
        assert arrays["mask"].tolist() == [True, False] and arrays["order"].tolist() == [0, 1, 2]
    assert read_jsonl(folder / "t.jsonl") == [{"a": [0, 1]}, {"a": [1, None]}]
    assert names(folder) == ["t.bin", "t.json", "t.jsonl", "t.npz", "t.txt"]


def test_an_error_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "best.weights.h5"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        assert temporary.name.endswith("best.weights.h5") and temporary.parent == tmp_path
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old" and names(tmp_path) == ["best.weights.h5"]


def test_a_full_disk_is_a_clear_failure_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "scores.json"
    write_text(path, "old")
    (tmp_path / f".tmp-{os.getpid()}-scores.json").symlink_to("/dev/full")
    with pytest.raises(RunFailed, match=r"scores\.json: No space left on device\. Free some space and run .* again"):
        write_json(path, {"accuracy": 1})
    assert path.read_text() == "old" and names(tmp_path) == ["scores.json"]


def test_a_line_that_does_not_fit_on_the_disk_leaves_the_lines_before(tmp_path):
    code = """
import resource, sys
from pathlib import Path
from pipeline.errors import RunFailed
from pipeline.runs.files import append_jsonl
path = Path(sys.argv[1])
append_jsonl(path, {"epoch": 1})
resource.setrlimit(resource.RLIMIT_FSIZE, (25, 25))
try:
    append_jsonl(path, {"epoch": 2, "text": "x" * 100})
except RunFailed as error:
    print(error)
"""
    path = tmp_path / "metrics.jsonl"
    output, errors = python(code, path).communicate()
    assert "metrics.jsonl: File too large. Free some space" in output, errors
    assert path.read_text() == '{"epoch": 1}\n'


def test_a_path_that_cannot_be_used_is_a_user_error(tmp_path):
    write_text(tmp_path / "file", "")
    with pytest.raises(UserError, match="another place to write"):
        write_text(tmp_path / "file" / "status.json", "")
    with pytest.raises(UserError, match="another place to write"), open_run(tmp_path / "file"):
        pass


@pytest.mark.parametrize("torn", [b'{"epoch": 3, "lo', b'{"epoch": 3}', b"\0\0\0", "é".encode()[:1]])
def test_a_line_torn_by_a_kill_is_dropped_on_reading_and_before_appending(tmp_path, torn):
    path = tmp_path / "metrics.jsonl"
    append_jsonl(path, {"epoch": 1})
    append_jsonl(path, {"epoch": 2})
    with path.open("ab") as file:
        file.write(torn)
    assert read_jsonl(path) == [{"epoch": 1}, {"epoch": 2}]
    append_jsonl(path, {"epoch": 3, "loss": 0.5})
    assert path.read_bytes() == b'{"epoch": 1}\n{"epoch": 2}\n{"epoch": 3, "loss": 0.5}\n'


def test_a_torn_line_longer_than_a_block_and_a_torn_first_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"epoch": 1}\n' + b"x" * 200_000)
    append_jsonl(path, {"epoch": 2})
    assert read_jsonl(path) == [{"epoch": 1}, {"epoch": 2}]
    path.write_bytes(b"x" * 200_000)
    append_jsonl(path, {"epoch": 1})
    assert read_jsonl(path) == [{"epoch": 1}]


def test_a_file_that_is_not_there_has_no_lines(tmp_path):
    assert read_jsonl(tmp_path / "metrics.jsonl") == [] and read_json(tmp_path / "scores.json") is None


@pytest.mark.parametrize("damage", [b"{", b"[1]", b"\xff"])
def test_a_damaged_line_is_named(tmp_path, damage):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"epoch": 1}\n' + damage + b'\n{"epoch": 3}\n')
    with pytest.raises(RunFailed, match=r"metrics\.jsonl:2: damaged, .* --fresh"):
        read_jsonl(path)


def test_kill_9_at_any_moment_leaves_whole_files(tmp_path):
    code = """
import sys
from pathlib import Path
from pipeline.runs.files import append_jsonl, write_json
from pipeline.runs.folder import open_run, write_status
with open_run(Path(sys.argv[1])) as folder:
    print("ready", flush=True)
    for epoch in range(10**9):
        append_jsonl(folder / "metrics.jsonl", {"epoch": epoch, "text": "x" * 5000})
        write_json(folder / "scores.json", {"epoch": epoch, "text": "x" * 50000})
        write_status(folder, "running", f"epoch {epoch}")
"""
    folder = tmp_path / "run"
    for _ in range(3):
        process = python(code, folder)
        assert process.stdout.readline() == "ready\n"
        lines = len(read_jsonl(folder / "metrics.jsonl"))
        while len(read_jsonl(folder / "metrics.jsonl")) < lines + 5:
            assert process.poll() is None, process.stderr.read()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert len(read_json(folder / "scores.json")["text"]) == 50000
        assert read_status(folder)["state"] == "running"
        with open_run(folder):
            assert names(folder) == [".lock", "metrics.jsonl", "scores.json", "status.json"]


def test_a_second_writer_is_refused_until_the_first_ends(tmp_path):
    """Also within one process; between processes, and after kill -9: test_lock.py."""
    message = f"{re.escape(str(tmp_path))}: process {os.getpid()} is writing to this run"
    with open_run(tmp_path):
        with pytest.raises(UserError, match=message), open_run(tmp_path):
            pass
        with pytest.raises(UserError, match=message):
            clear_run(tmp_path)
    with open_run(tmp_path) as folder:
        assert folder == tmp_path


def test_status_keeps_its_start(tmp_path):
    with open_run(tmp_path):
        first = read_status(tmp_path)
        assert first["state"] == "running" and first["format"] == run_folder.RUN_FORMAT
    write_json(tmp_path / "status.json", first | {"started": "2001-02-03T04:05:06+00:00"})
    write_status(tmp_path, "stopped", "train seed 2", [1], "SIGINT")
    status = read_status(tmp_path)
    assert status["started"] == "2001-02-03T04:05:06+00:00" < status["updated"]
    assert (status["state"], status["stage"], status["seeds_done"]) == ("stopped", "train seed 2", [1])
    assert status["message"] == "SIGINT"


def test_opening_a_finished_run_does_not_change_its_status(tmp_path):
    write_status(tmp_path, "done", seeds_done=[1, 2])
    before = (tmp_path / "status.json").read_bytes()
    with open_run(tmp_path):
        assert (tmp_path / "status.json").read_bytes() == before


@pytest.mark.parametrize("content", ['{"format": 0}', "{}", "{", "[]"])
def test_a_folder_of_another_format_is_refused_and_can_be_cleared(tmp_path, content):
    (tmp_path / "status.json").write_text(content)
    (tmp_path / "seed1").mkdir()
    with pytest.raises(UserError, match="--fresh"), open_run(tmp_path):
        pass
    clear_run(tmp_path)
    assert names(tmp_path) == [".lock"]
    with open_run(tmp_path):
        assert read_status(tmp_path)["state"] == "running"


def test_clearing_keeps_what_a_link_points_to(tmp_path):
    write_text(tmp_path / "elsewhere" / "images.idx", "data")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "data").symlink_to(tmp_path / "elsewhere")
    write_text(folder / "seed1" / "metrics.jsonl", "")
    clear_run(folder)
    assert names(folder) == [".lock"] and (tmp_path / "elsewhere" / "images.idx").exists()


def test_an_interrupted_clearing_cannot_be_mistaken_for_a_run(tmp_path, monkeypatch):
    write_status(tmp_path, "done")
    write_text(tmp_path / "seed1" / "metrics.jsonl", "")

    def interrupt(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_folder.shutil, "rmtree", interrupt)
    with pytest.raises(KeyboardInterrupt):
        clear_run(tmp_path)
    with pytest.raises(UserError, match="--fresh"), open_run(tmp_path):
        pass


def test_environment_tells_machine_versions_and_command(tmp_path):
    write_environment(tmp_path)
    environment = json.loads((tmp_path / "environment.json").read_text())
    assert environment["python"] == ".".join(map(str, sys.version_info[:3]))
    assert environment["packages"]["numpy"] == np.__version__
    assert environment["cores"] >= 1 and environment["memory_bytes"] > 2**20
    assert environment["platform"]
    code = "from pipeline.runs.environment import describe_environment as describe; print(describe()['command'])"
    output, errors = python(code, "--set", "seeds=[1, 2]").communicate()
    assert output.endswith(" --set 'seeds=[1, 2]'\n"), errors


def interrupted(folder: Path, **changes: object) -> None:
    """A run folder in which a training has begun under today's conditions, but for `changes` of environment.json."""
    write_environment(folder)
    path = folder / "environment.json"
    write_json(path, json.loads(path.read_text()) | changes)
    (folder / "seed1").mkdir()
    (folder / "seed1" / "checkpoint-0001-0000000.npz").touch()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"threads": {"intra_op": 64, "inter_op": 64}}, ["intra-op threads: ", ", before 64"]),
        ({"cpu": "An Imagined Processor"}, ["processor: ", "before An Imagined Processor"]),
        ({"instructions": "avx"}, ["instructions: ", "before avx"]),
        ({"onednn": {"TF_ENABLE_ONEDNN_OPTS": "0"}}, ["oneDNN: default, before "]),
        ({"packages": {"tensorflow": "2.17.0", "pydantic": "1"}}, ["tensorflow: ", "before 2.17.0"]),
    ],
)
def test_a_run_that_goes_on_under_other_conditions_says_which(tmp_path, changes, words):
    interrupted(tmp_path, **changes)
    said = "; ".join(write_environment(tmp_path))
    assert all(word in said for word in words) and "pydantic" not in said
    assert write_environment(tmp_path) == []  # said once, but kept
    assert json.loads((tmp_path / "environment.json").read_text())["resumed"] == [said]


@pytest.mark.parametrize("changes", [{}, {"platform": "other", "commit": "other"}, {"threads": None, "cpu": None}])
def test_the_same_conditions_and_those_an_earlier_version_did_not_record_are_not_reported(tmp_path, changes):
    interrupted(tmp_path, **changes)
    assert write_environment(tmp_path) == []
    assert "resumed" not in json.loads((tmp_path / "environment.json").read_text())


def test_a_run_that_has_not_begun_to_train_was_not_resumed(tmp_path):
    interrupted(tmp_path, cpu="An Imagined Processor")
    (tmp_path / "seed1" / "checkpoint-0001-0000000.npz").unlink()
    assert write_environment(tmp_path) == []


def test_the_number_of_threads_is_that_of_tensorflow(monkeypatch):
    may_use = len(os.sched_getaffinity(0))
    for given, expected in (("3", 3), ("0", may_use), ("many", may_use), ("", may_use)):
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", given)
        assert describe_environment()["threads"]["intra_op"] == expected


def test_the_commit_is_told_with_changes_and_only_for_a_checkout(tmp_path):
    from pipeline.runs.environment import commit_of

    assert commit_of(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    write_text(tmp_path / "file", "1")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run(git + command, check=True)
    commit = commit_of(tmp_path)
    assert re.fullmatch("[0-9a-f]{40}", commit)
    write_text(tmp_path / "file", "2")
    assert commit_of(tmp_path) == f"{commit}-dirty"


def test_a_study_leaves_alone_what_its_runs_are_writing(tmp_path):
    theirs, ours = tmp_path / "study" / "runs" / "one" / ".tmp-1", tmp_path / "study" / ".tmp-2"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("half")
    ours.write_text("half")
    with run_folder.open_study(tmp_path / "study"):
        assert theirs.exists() and not ours.exists()
    with run_folder.open_run(theirs.parent):
        assert not theirs.exists()
