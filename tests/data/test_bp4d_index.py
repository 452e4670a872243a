"""Finding and indexing a BP4D folder, whatever its names, paddings and files are like."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.data.bp4d.index import FrameIndex, Tally, check_missing, index_frames
from pipeline.data.bp4d.layout import find_layout
from pipeline.errors import UserError
from tests.data.bp4d_trees import AUS, FIRST_FRAME, HEADER_AUS, Tree, face_image, labels_of, write_image, write_tree

SMALL = ("F001", "M001")
COLUMNS = [HEADER_AUS.index(au) for au in AUS]


def index_of(root: Path, **options: int) -> FrameIndex:
    return index_frames(find_layout(root), AUS, **options)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "data", Tree(SMALL))


def csv_of(root: Path) -> Path:
    return root / "AUCoding" / "AU_OCC" / "F001_T1.csv"


@pytest.mark.parametrize("images", ["Sequences(2D+3D)", "Sequences", "BP4D-training", "BP4D/img", "."])
@pytest.mark.parametrize("labels", ["AUCoding/AU_OCC", "AUCoding", "BP4D/AUCoding/AU_OCC"])
def test_usual_folders(tmp_path: Path, images: str, labels: str):
    root = write_tree(tmp_path, Tree(("F001",), ("T1",), 2, images, labels))
    index = index_of(root)
    assert find_layout(root).images == root / images
    assert index.frames.tolist() == [FIRST_FRAME, FIRST_FRAME + 1] and index.coded == 2


@pytest.mark.parametrize("name", ["{}", "{:03d}", "{:05d}"])
def test_order_and_labels_whatever_the_padding(tmp_path: Path, name: str):
    index = index_of(write_tree(tmp_path, Tree(("M001", "F001"), frames=3, name=name.format)))
    assert index.subjects.tolist() == ["F001"] * 6 + ["M001"] * 6
    assert index.tasks.tolist() == (["T1"] * 3 + ["T2"] * 3) * 2
    assert index.frames.tolist() == [8, 9, 10] * 4
    for start in (0, 3, 6, 9):
        expected = labels_of(index.subjects[start], index.tasks[start], range(3))[:, COLUMNS]
        np.testing.assert_array_equal(index.labels[start : start + 3], expected)
    assert index.files[2] == f"F001/T1/{name.format(10)}.jpg"
    assert index.clean_labels is None and not index.missing.counts


def test_padding_may_change_within_a_sequence(tree: Path):
    folder = tree / "Sequences(2D+3D)" / "F001" / "T1"
    (folder / "009.jpg").rename(folder / "9.jpg")
    (folder / "010.jpg").rename(folder / "0010.JPEG")
    assert index_of(tree).files[:4] == [f"F001/T1/{name}" for name in ("008.jpg", "9.jpg", "0010.JPEG", "011.jpg")]


def test_capitals_of_folders_and_files_make_no_difference(tree: Path):
    expected = index_of(tree)
    images = tree / "Sequences(2D+3D)"
    (images / "F001" / "T1").rename(images / "F001" / "t1")
    (images / "M001").rename(images / "m001")
    csv_of(tree).rename(csv_of(tree).with_name("f001_t1.CSV"))
    (tree / "Landmarks" / "F001_T2.csv").rename(tree / "Landmarks" / "f001_T2.csv")
    index, found = index_of(tree), find_layout(tree)
    assert set(found.places) == set(found.labels) == {(subject, task) for subject in SMALL for task in ("T1", "T2")}
    for name in ("subjects", "tasks", "frames", "labels"):
        np.testing.assert_array_equal(getattr(index, name), getattr(expected, name))
    assert index.files[0] == "F001/t1/008.jpg" and index.files[-1] == "m001/T2/011.jpg"
    assert all((found.images / file).is_file() for file in index.files) and not index.missing.counts


@pytest.mark.parametrize("name", ["AUCoding/AU_OCC/f001_T1.csv", "Landmarks/F001_t1.csv", "Sequences(2D+3D)/f001/T1"])
def test_two_names_of_a_sequence(tree: Path, name: str):
    if name.endswith(".csv"):
        (tree / name).write_bytes(csv_of(tree).read_bytes())
    else:
        write_image(tree / name / "008.jpg", face_image(1))
    with pytest.raises(UserError, match=rf"{re.escape(name)} and .*F001.?T1.* are the same sequence.*Keep one"):
        find_layout(tree)


def test_frame_step_counts_coded_frames_of_each_sequence(tree: Path):
    index = index_of(tree, frame_step=3)
    assert index.frames.tolist() == [8, 11] * 4 and index.coded == 8


def test_frame_offset_is_image_minus_coded_frame(tree: Path):
    index = index_of(tree, frame_offset=-1)
    assert index.frames.tolist() == [9, 10, 11] * 4
    assert index.files[0] == "F001/T1/008.jpg"
    assert index.missing.counts == {"coded frames without an image": 4, "images without a label row": 4}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_blank_lines_crlf_and_column_order(tree: Path, encoding: str):
    expected = index_of(tree).labels
    rows = [line.split(",") for line in csv_of(tree).read_text().split()]
    rows[0][1:] = [f" AU{int(number):02d}" for number in rows[0][1:]]
    lines = [",".join([row[0], *reversed(row[1:]), "note"]) for row in rows]
    csv_of(tree).write_bytes(("\r\n" + "\r\n\r\n , \r\n".join(lines) + "\r\n\r\n").encode(encoding))
    np.testing.assert_array_equal(index_of(tree).labels, expected)


def test_rows_need_no_order(tree: Path):
    expected = index_of(tree)
    header, *rows = csv_of(tree).read_text().split()
    csv_of(tree).write_text("\n".join([header, *reversed(rows)]))
    np.testing.assert_array_equal(index_of(tree).labels, expected.labels)


def test_what_is_missing_is_counted_and_named(tree: Path):
    images = tree / "Sequences(2D+3D)"
    (images / "F001" / "T1" / "009.jpg").unlink()
    for name in ("F001/T1/500.jpg", "F001/T1/00010.png", "F002/T1/1.jpg"):
        write_image(images / name, face_image(1))
    for name in ("Thumbs.db", "._010.jpg"):
        (images / "F001" / "T1" / name).touch()
    shutil.rmtree(images / "M001" / "T2")
    index = index_of(tree)
    assert index.frames.tolist() == [8, 10, 11, 8, 9, 10, 11, 8, 9, 10, 11] and index.coded == 16
    assert index.files[1] == "F001/T1/00010.png"
    assert index.missing.to_dict() == {
        "second images of a frame": {"count": 1, "examples": ["F001/T1/010.jpg"]},
        "images without a label row": {"count": 1, "examples": ["F001/T1/500.jpg"]},
        "coded frames without an image": {
            "count": 5,
            "examples": ["F001/T1/9", *(f"M001/T2/{n}" for n in range(8, 12))],
        },
        "image folders without a label file": {"count": 1, "examples": ["F002/T1"]},
    }


def test_only_the_first_examples_are_kept():
    tally = Tally()
    tally.add("reason", [str(number) for number in range(3)])
    tally.add("reason", [str(number) for number in range(3, 100)])
    assert tally.to_dict() == {"reason": {"count": 100, "examples": ["0", "1", "2", "3", "4"]}}
    assert Tally.from_dict(tally.to_dict()) == tally == Tally().plus(tally)
    both = tally.plus(Tally({"reason": 7, "other": 1}, {"reason": ["a"], "other": ["b"]}))
    assert both.counts == {"reason": 107, "other": 1} and both.examples["other"] == ["b"]
    assert tally.counts == {"reason": 100}


def test_too_much_missing_is_an_error():
    tally = Tally()
    tally.add("coded frames without an image", ["F001/T1/3"])
    tally.add("unreadable images", ["F001/T1/0004.jpg"])
    check_missing(tally, coded=40, max_missing=0.05)
    with pytest.raises(UserError, match=r"(?s)1 of 39 .* 1 an unreadable.*0\.05.*F001/T1/3, F001/T1/0004.jpg"):
        check_missing(tally, coded=39, max_missing=0.05)


def test_clean_labels_lie_beside_the_others(tmp_path: Path):
    root = write_tree(tmp_path, Tree(SMALL, clean=True))
    clean = root / "AUCoding" / "AU_OCC_clean"
    (clean / "F001_T2.csv").unlink()
    (clean / "M001_T1.csv").write_text("\n".join((clean / "M001_T1.csv").read_text().split()[:3]))
    index = index_of(root)
    known = np.where(index.labels == 9, 0, index.labels)
    known[4:8] = 9  # no file
    known[10:12] = 9  # no row
    np.testing.assert_array_equal(index.clean_labels, known)


@pytest.mark.parametrize(("old", "new", "message"), [
    ("0,1,2,4,", "0,1,2,3,", r"F001_T1\.csv: no column for AU4 \(AUs in the header: 1, 2, 3, 5"),
    ("0,1,2,4,", "0,1,2,2,", r"F001_T1\.csv: the header has AU2 twice"),
    ("\n9,", "\n8,", r"F001_T1\.csv:3: frame 8 is there twice"),
    ("\n9,", "\nnine,", r"F001_T1\.csv:3: the frame number is 'nine'"),
    ("\n9,", "\n99999999999999999999,", r"F001_T1\.csv:3: the frame number is '9{20}'"),
    ("\n9,", f"\n{'9' * 5000},", r"F001_T1\.csv:3: the frame number is '9"),
    ("\n10,", "\n10,2", r"F001_T1\.csv:4: column '1' is '2[019]'; labels are 0 absent"),
    ("\n11,", "\n11\n", r"F001_T1\.csv:5: 1 cells, but the header has 18"),
    ("\n11,", "\n\xff,", r"F001_T1\.csv:5: not text in UTF-8"),
])  # fmt: skip
def test_bad_label_files_are_named_with_their_line(tree: Path, old: str, new: str, message: str):
    content = csv_of(tree).read_bytes()
    assert old.encode() in content
    csv_of(tree).write_bytes(content.replace(old.encode(), new.encode("latin-1"), 1))
    with pytest.raises(UserError, match=message):
        index_of(tree)


def test_an_empty_label_file(tree: Path):
    csv_of(tree).write_text("\n")
    with pytest.raises(UserError, match=r"F001_T1\.csv: empty"):
        index_of(tree)


def test_a_header_without_rows_is_a_sequence_without_coded_frames(tree: Path):
    csv_of(tree).write_text(csv_of(tree).read_text().split()[0])
    index = index_of(tree)
    assert index.coded == 12 and index.missing.counts == {"images without a label row": 4}


def test_missing_data_says_what_to_do(tmp_path: Path):
    (tmp_path / "Elsewhere").mkdir()
    with pytest.raises(UserError) as caught:
        find_layout(tmp_path)
    named = ("Elsewhere", "Binghamton", "AUCoding/AU_OCC", "qat_configs/synthetic_faces.yaml", "data.root")
    assert all(words in str(caught.value) for words in named), caught.value
    with pytest.raises(UserError, match="does not exist"):
        find_layout(tmp_path / "nothing")


def test_labels_without_images(tree: Path):
    shutil.rmtree(tree / "Sequences(2D+3D)")
    with pytest.raises(UserError, match=r"no folder with images such as F001/T1/"):
        find_layout(tree)


def test_no_frame_with_an_image(tree: Path):
    with pytest.raises(UserError, match="none of the 16 coded frames has an image"):
        index_of(tree, frame_offset=1000)
