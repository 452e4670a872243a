"""The rendered data set on disk: BP4D's layout, the same bytes every time, whole after a kill."""

import io
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from pipeline.action_units.labels import AU_NUMBERS
from pipeline.data.bp4d.folds import BP4D_PARTS
from pipeline.data.bp4d.layout import find_layout
from pipeline.data.bp4d.occurrences import read_occurrences
from pipeline.data.bp4d.places import read_places
from pipeline.data.synthetic_faces import writer
from pipeline.data.synthetic_faces.sequences import SUBJECTS, TASKS, RenderSettings, all_sequences, presence
from pipeline.data.synthetic_faces.workers import render_sequence
from pipeline.data.synthetic_faces.writer import ensure_rendered
from pipeline.errors import RunFailed, UserError
from tests.processes import ROOT, python, wait_until

COMMAND = "pipeline.data.synthetic_faces"
SMALL = RenderSettings(subjects=3, frames=2, render_size=48, render_seed=4)
IMAGES = "Sequences(2D+3D)"


def contents(root: Path) -> dict[str, bytes]:
    """Every file's bytes, but for the lock."""
    paths = [path for path in sorted(root.rglob("*")) if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set, rendered by two processes."""
    root = tmp_path_factory.mktemp("faces") / "two"
    writer.write_faces(root, SMALL, workers=2)
    return root


def test_the_reader_finds_images_labels_truth_and_eyes(written: Path):
    layout = find_layout(written)
    sequences = {(sequence.subject, sequence.task): sequence for sequence in all_sequences(SMALL)}
    assert set(layout.labels) == set(layout.clean) == set(layout.places) == set(sequences)
    for key, sequence in sequences.items():
        frames, clean = read_occurrences(layout.clean[key], AU_NUMBERS)
        np.testing.assert_array_equal(frames, sequence.frames)
        np.testing.assert_array_equal(clean, presence(sequence.intensities))
        np.testing.assert_array_equal(read_occurrences(layout.labels[key], AU_NUMBERS)[0], frames)
        eyes = read_places(layout.places[key]).eyes
        assert set(eyes) == set(frames.tolist())
        for frame in frames.tolist():
            image = cv2.imread(str(layout.images.joinpath(*key, f"{frame:04d}.jpg")))
            assert image.shape == (SMALL.render_size, SMALL.render_size, 3)
            right_x, right_y, left_x, left_y = eyes[frame]
            assert 0 < right_x < left_x < SMALL.render_size and 0 < min(right_y, left_y) < SMALL.render_size / 2 + 6


def test_annotators_make_some_errors(tmp_path: Path):
    settings = replace(SMALL, subjects=41, frames=10)
    sequences = all_sequences(settings)
    writer._write_labels(tmp_path, sequences)
    labels = [
        np.concatenate(
            [read_occurrences(tmp_path / "AUCoding" / folder / f"{each.name}.csv", AU_NUMBERS)[1] for each in sequences]
        )
        for folder in ("AU_OCC", "AU_OCC_clean")
    ]
    assert 0.05 < (labels[0] != labels[1]).mean() < 0.25


def test_one_process_writes_the_same_bytes_as_two(written: Path, tmp_path: Path):
    writer.write_faces(tmp_path / "one", SMALL, workers=1)
    assert contents(tmp_path / "one") == contents(written)


def test_a_subject_does_not_depend_on_how_many_there_are():
    few, many = all_sequences(SMALL), {each.name: each for each in all_sequences(replace(SMALL, subjects=10))}
    for sequence in few:
        np.testing.assert_array_equal(sequence.intensities, many[sequence.name].intensities)


def test_every_number_of_subjects_from_three_covers_all_parts():
    assert sorted(SUBJECTS) == sorted(sum(BP4D_PARTS, ()))
    for count in (3, 6, 20):
        chosen = {sequence.subject for sequence in all_sequences(replace(SMALL, subjects=count))}
        assert len(chosen) == count and all(chosen & set(part) for part in BP4D_PARTS)


def test_what_is_missing_is_rendered_and_what_is_there_stays(written: Path, tmp_path: Path):
    root = tmp_path / "broken"
    for name, data in contents(written).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / writer.COMPLETE).write_text((root / writer.COMPLETE).read_text().replace("true", "false"))
    kept, lost = root / IMAGES / "F001" / "T1", root / IMAGES / "F001" / "T2"
    stamp = kept.stat().st_mtime_ns
    lost.rename(lost.with_name(".tmp-1-T2"))
    writer.write_faces(root, SMALL, workers=1)
    assert contents(root) == contents(written)
    assert kept.stat().st_mtime_ns == stamp


@pytest.mark.parametrize("lost", [
    f"{IMAGES}/F001/T2", f"{IMAGES}/F003", "one image", "Landmarks/F001_T3.csv", "AUCoding/AU_OCC_clean/F003_T1.csv",
])  # fmt: skip
def test_what_is_deleted_from_complete_data_is_rendered_again(written: Path, tmp_path: Path, lost: str):
    root = tmp_path / "less"
    shutil.copytree(written, root)
    path = next((root / IMAGES / "F004" / "T8").iterdir()) if lost == "one image" else root / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    kept = root / IMAGES / "F001" / "T1"
    stamp = kept.stat().st_mtime_ns
    writer.write_faces(root, SMALL, workers=1)
    assert contents(root) == contents(written) and kept.stat().st_mtime_ns == stamp


def test_home_is_understood_in_root(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(written, tmp_path / "faces")
    data = SimpleNamespace(root="~/faces", subjects=3, frames=2, render_size=48, render_seed=4)
    assert ensure_rendered(data) == tmp_path / "faces"
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]


def test_killed_at_any_moment_nothing_is_half_written(written: Path, tmp_path: Path):
    root = tmp_path / "killed"
    command = [sys.executable, "-m", COMMAND, "--write", str(root), "--subjects", "3"]
    command += ["--frames", "2", "--size", "48", "--seed", "4"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        wait_until(lambda: list(root.glob(f"{IMAGES}/*/T*")) or process.poll() is not None)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    expected = contents(written)
    for folder in root.glob(f"{IMAGES}/*/T*"):
        names = [str(path.relative_to(root)) for path in folder.iterdir()]
        assert len(names) == SMALL.frames
        assert all((root / name).read_bytes() == expected[name] for name in names)
    writer.write_faces(root, SMALL, workers=2)
    assert contents(root) == expected


def test_the_folder_is_named_by_settings_and_version_and_complete_data_are_left_alone(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    data = SimpleNamespace(root=None, subjects=3, frames=1, render_size=48, render_seed=0)
    terminal = io.StringIO()
    root = ensure_rendered(data, terminal)
    assert root.parent == tmp_path / "downloads" / "manual" and root.name.startswith("synthetic_faces-")
    assert f"{3 * len(TASKS)}/{3 * len(TASKS)}" in terminal.getvalue()
    stamps = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert ensure_rendered(data, terminal) == root
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == stamps
    settings = RenderSettings(3, 1, 48, 0)
    before = writer.settings_hash(settings)
    assert before != writer.settings_hash(replace(settings, render_seed=1))
    monkeypatch.setattr("pipeline.data.synthetic_faces.sequences.RENDERER_VERSION", 10_000)
    assert before != writer.settings_hash(settings)


def test_other_files_and_other_settings_are_not_touched(written: Path, tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        writer.write_faces(tmp_path, SMALL)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    before = contents(written)
    with pytest.raises(UserError, match="other settings"):
        writer.write_faces(written, replace(SMALL, frames=3))
    assert contents(written) == before


def test_a_full_disk_is_reported_and_leaves_nothing_unfinished(tmp_path: Path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(RunFailed, match="No space left on device"):
        render_sequence(tmp_path, SMALL, all_sequences(SMALL)[0])
    assert not list(tmp_path.rglob("*.jpg")) and not list(tmp_path.rglob(".tmp-*"))


def test_a_file_where_the_folder_should_be_is_the_users_mistake(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match=r"'.*file'\. Rendered faces .* give another folder by data\.root or TFDS_DATA_DIR"
    ):
        writer.write_faces(tmp_path / "file", SMALL)


def test_the_command_writes_a_sheet(tmp_path: Path):
    path = tmp_path / "sheet.png"
    done = python("-m", COMMAND, "--sheet", str(path), "--identities", "1", "--size", "48")
    assert done.returncode == 0, done.stderr
    assert cv2.imread(str(path)).shape[1] == 48 * (1 + len(AU_NUMBERS))


@pytest.mark.parametrize(("arguments", "said"), [
    ((), "--sheet"), (("--sheet", "a.jpg"), ".png"), (("--write", "x", "--subjects", "42"), "41"),
    (("--write", "x", "--frames", "a"), "--frames"),
])  # fmt: skip
def test_wrong_arguments_are_named(arguments: tuple[str, ...], said: str):
    done = python("-m", COMMAND, *arguments)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
