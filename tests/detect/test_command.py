"""python -m pipeline.detect: rows, exit codes, and what stays when something goes wrong."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.detect.detect_samples import COMMAND, ENVIRONMENT, MODEL, detect, read_video, scene, write_image, write_video
from tests.faces.portrait import PORTRAIT, PORTRAIT_FILE
from tests.processes import imported, python, wait_until

AUS = ("01", "02", "04", "06", "07", "10", "12", "14", "15", "17", "23", "24")


def rows(text: str | Path) -> list[dict[str, str]]:
    text = text.read_text() if isinstance(text, Path) else text
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames with a face, five without."""
    frames = [scene((80 + step, 30)) for step in range(10)] + [scene()] * 5
    return write_video(tmp_path_factory.mktemp("clip") / "clip.avi", frames)


def test_rows_of_a_video(clip: Path, tmp_path: Path):
    assert detect(clip, "--csv", tmp_path / "o.csv", "--jsonl", tmp_path / "o.jsonl") == 0
    found = rows(tmp_path / "o.csv")
    assert list(found[0]) == [
        *("frame", "face_id", "timestamp", "confidence", "success", "x", "y", "w", "h"),
        *(f"AU{number}_p" for number in AUS), *(f"AU{number}_c" for number in AUS),
    ]  # fmt: skip
    assert [int(row["frame"]) for row in found] == list(range(1, 16))
    assert [row["timestamp"] for row in found[:3]] == ["0.000", "0.040", "0.080"]
    assert [row["success"] for row in found] == ["1"] * 10 + ["0"] * 5
    assert [row["face_id"] for row in found] == ["0"] * 10 + ["-1"] * 5
    assert found[-1] | {"frame": "", "timestamp": ""} == dict.fromkeys(found[0], "") | {
        "face_id": "-1", "confidence": "0", "success": "0",
    }  # fmt: skip
    thresholds = json.loads((MODEL / "model.json").read_text())["thresholds"]
    for row in found[:10]:
        for name, threshold in thresholds.items():
            column = f"AU{int(name[2:]):02d}"
            assert abs(float(row[f"{column}_p"]) - threshold) < 1e-4 or int(row[f"{column}_c"]) == (
                float(row[f"{column}_p"]) >= threshold
            )
    assert_same(found, [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()])


def assert_same(found: list[dict[str, str]], lines: list[dict]) -> None:
    """The JSON lines say what the rows of a video with one face at most say."""
    assert len(lines) == len(found)
    for row, line in zip(found, lines, strict=True):
        assert line["frame"] == int(row["frame"]) and f"{line['timestamp']:.3f}" == row["timestamp"]
        assert len(line["faces"]) == int(row["success"])
        for face in line["faces"]:
            assert [f"{value:.1f}" for value in face["box"]] == [row[name] for name in "xywh"]
            values = [f"{value:.4f}" for value in face["probabilities"].values()]
            assert values == [row[f"AU{number}_p"] for number in AUS]
            assert {int(name[2:]) for name in face["present"]} == {int(n) for n in AUS if row[f"AU{n}_c"] == "1"}


def test_without_outputs_rows_go_to_stdout(capfd: pytest.CaptureFixture):
    assert detect(PORTRAIT_FILE) == 0
    captured = capfd.readouterr()
    (row,) = rows(captured.out)
    assert (
        row["image"] == str(PORTRAIT_FILE) and row["success"] == "1" and row["AU12_c"] == "1" and row["timestamp"] == ""
    )
    assert "1 frame in" in captured.err


NAMES = ("1.png", "2.png", "3.png")


def test_an_unreadable_image_among_others_is_a_marked_row(tmp_path: Path, capfd: pytest.CaptureFixture):
    for name in NAMES:
        write_image(tmp_path / "in" / name, PORTRAIT)
    (tmp_path / "in" / "2.png").write_bytes(b"")
    assert detect(tmp_path / "in", "--csv", tmp_path / "o.csv", "--jsonl", tmp_path / "o.jsonl") == 1
    found = rows(tmp_path / "o.csv")
    assert [(Path(row["image"]).name, row["success"]) for row in found] == [*zip(NAMES, "101", strict=True)]
    assert "2.png: empty" in json.loads((tmp_path / "o.jsonl").read_text().splitlines()[1])["error"]
    message = capfd.readouterr().err
    assert "warning:" in message and "2.png: empty" in message and "1 input could not be read" in message


def test_a_video_that_was_cut_off_keeps_its_rows(clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture):
    (tmp_path / "cut.avi").write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    assert detect(tmp_path / "cut.avi", "--csv", tmp_path / "o.csv", "--overlay", tmp_path / "o.mp4") == 1
    assert 3 < len(rows(tmp_path / "o.csv")) < 15
    assert (tmp_path / "o.mp4").stat().st_size > 1000
    assert "frames were read" in capfd.readouterr().err


def test_several_inputs_are_told_apart(clip: Path, tmp_path: Path):
    image = write_image(tmp_path / "face.png", PORTRAIT)
    assert detect(clip, image, clip, "--csv", tmp_path / "o.csv") == 0
    found = rows(tmp_path / "o.csv")
    assert [(row["video"], row["image"]) for row in (found[0], found[15], found[16])] == [
        (str(clip), ""), ("", str(image)), (str(clip), ""),
    ]  # fmt: skip
    assert [row["face_id"] for row in (found[0], found[15], found[16])] == ["0", "0", "0"]


def test_images_as_the_frames_of_a_video(tmp_path: Path):
    for step in range(8):
        write_image(tmp_path / "in" / f"{step}.png", scene((3 * step, 30), (380 - 5 * step, 30), width=620))
    command = (tmp_path / "in", "--sequence", 10, "--calibrate", 0.5, "--smooth", 3, "--csv", tmp_path / "o.csv")
    assert detect(*command) == 0
    found = rows(tmp_path / "o.csv")
    assert [row["face_id"] for row in found] == ["0", "1"] * 8
    assert [row["timestamp"] for row in found[::2]] == [f"{step / 10:.3f}" for step in range(8)]
    assert all(float(row["AU12_p"]) < 0.5 for row in found)


WRONG = {
    "no such file": (["none.jpg"], "no such file"),
    "no model": (["{portrait}", "--model", "none"], "no such model"),
    "text as image": (["{text}"], "no image"),
    "empty video": (["{empty}"], "empty"),
    "camera": (["97"], "camera 97"),
    "two on stdout": (["{portrait}", "--csv", "-", "--jsonl", "-"], "stdout"),
    "two of one name": (["{portrait}", "--csv", "{out}", "--jsonl", "{out}"], "same name"),
    "over an input": (["{portrait}", "--overlay", "{portrait}"], "overwrite"),
    "timeline of an image": (["{portrait}", "--timeline", "{out}.svg"], "--sequence"),
    "calibrated image": (["{portrait}", "--calibrate", "3"], "--sequence"),
    "smooth even": (["{portrait}", "--sequence", "25", "--smooth", "4"], "odd"),
    "timeline ending": (["{portrait}", "--sequence", "25", "--timeline", "{out}.gif"], ".svg"),
    "overlay ending": (["{portrait}", "--overlay", "{out}.xyz"], "ending"),
    "image into video": (["{portrait}", "--overlay", "{out}.mp4"], "folder"),
    "sequence of a video": (["{clip}", "--sequence", "25"], "frame rate"),
    "a picture in two hours": (["{portrait}", "--sequence", "0.0001"], "one an hour"),
    "folder as csv": (["{portrait}", "--csv", "{folder}"], "directory"),
    "csv below a file": (["{portrait}", "--csv", "{text}/o.csv"], "text.jpg/o.csv"),
    "confidence": (["{portrait}", "--confidence", "2"], "between 0 and 1"),
    "threads": (["{portrait}", "--threads", "0"], "threads"),
    "many threads": (["{portrait}", "--threads", "99999999999"], "1 to 64"),
    "empty name": ([""], "empty"),
    "empty output": (["{portrait}", "--overlay", ""], "--overlay"),
    "long name": (["x" * 5000], "no such file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_leaves_no_file(case: str, clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture):
    arguments, word = WRONG[case]
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder").mkdir()
    portrait = write_image(tmp_path / "portrait.png", PORTRAIT)
    places = {"portrait": portrait, "clip": clip, "out": tmp_path / "out", "folder": tmp_path / "folder",
              "text": tmp_path / "text.jpg", "empty": tmp_path / "empty.mp4"}  # fmt: skip
    before = sorted(tmp_path.rglob("*"))
    content = portrait.read_bytes()
    outputs = [] if "--csv" in arguments or "overwrite" in word else ["--csv", tmp_path / "rows.csv"]
    assert detect(*(argument.format(**places) for argument in arguments), *outputs) == 2
    captured = capfd.readouterr()
    assert word in captured.err and "Traceback" not in captured.err and not captured.out
    left = [path for path in sorted(tmp_path.rglob("*")) if path not in before]
    assert left == [] and portrait.read_bytes() == content


def test_a_full_disk(clip: Path, capfd: pytest.CaptureFixture):
    assert detect(clip, "--csv", "/dev/full") == 1
    assert "/dev/full: No space left" in capfd.readouterr().err


def test_help_is_printed_without_the_libraries():
    done = python("-X", "importtime", "-m", "pipeline.detect", "--help")
    assert done.returncode == 0 and "--overlay" in done.stdout
    assert "pipeline.detect" in done.stderr
    assert imported(done.stderr) & {"tensorflow", "cv2", "ai_edge_litert", "numpy"} == set()


def test_detection_imports_no_more_than_it_needs(clip: Path):
    script = "import sys; from pipeline.detect.__main__ import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    done = python("-c", script, *COMMAND[3:], clip)
    assert done.returncode == 0 and len(rows(done.stdout)) == 15
    names = {name.partition(".")[0] for name in done.stderr.splitlines()[-1].split() if not name.startswith("_")}
    assert names - sys.stdlib_module_names - {"sitecustomize", "cython_runtime"} == {
        "av",
        "cv2",
        "numpy",
        "ai_edge_litert",
        "pipeline",
    }


def test_a_closed_pipe_ends_the_command_quietly(clip: Path, tmp_path: Path):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*COMMAND, str(clip), "--csv", "-", "--overlay", str(tmp_path / "o.avi")],
                          stdout=write, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)  # fmt: skip
    os.close(write)
    assert done.returncode == 0 and "Traceback" not in done.stderr and "rror" not in done.stderr


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_valid_files(signum: int, tmp_path: Path):
    """A list on stdin that pauses: the command is stopped while it waits, after its first image."""
    running = subprocess.Popen([*COMMAND, "-", "--csv", str(tmp_path / "o.csv"), "--overlay", str(tmp_path / "seen")],
                               stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT)  # fmt: skip
    running.stdin.write(f"{PORTRAIT_FILE}\n".encode())
    running.stdin.flush()
    wait_until(lambda: (tmp_path / "seen" / "portrait.jpg").exists(), running)
    running.send_signal(signum)
    running.wait()
    message = running.stderr.read().decode()
    running.communicate()
    assert running.returncode == 128 + signum
    assert "stopped by" in message and "valid" in message and "Traceback" not in message
    (row,) = rows(tmp_path / "o.csv")
    assert row["success"] == "1" and row["video"] == ""


def test_stopping_a_video_completes_its_overlay(tmp_path: Path):
    clip = write_video(tmp_path / "long.avi", [scene((80, 30))] * 2000)
    running = subprocess.Popen([*COMMAND, str(clip), "--csv", str(tmp_path / "o.csv"), "--overlay", str(tmp_path / "o.mp4"),
                                "--timeline", str(tmp_path / "o.svg")], stderr=subprocess.PIPE, env=ENVIRONMENT)  # fmt: skip
    wait_until(lambda: (tmp_path / "o.csv").exists() and (tmp_path / "o.csv").read_bytes().count(b"\n") > 20, running)
    running.send_signal(signal.SIGINT)
    running.communicate()
    assert running.returncode == 130
    assert len(read_video(tmp_path / "o.mp4")) == len(rows(tmp_path / "o.csv")) < 2000
    assert (tmp_path / "o.svg").read_text().endswith("</svg>\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long.avi", "o.csv", "o.mp4", "o.svg"]
