"""Finding and indexing a BP4D folder, whatever its names, paddings and files are like."""

import csv
import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.data.bp4d.index import FrameIndex, Tally, check_missing, image_number, index_frames
from pipeline.data.bp4d.layout import find_layout
from pipeline.data.bp4d.occurrences import read_occurrences
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


def rewritten(root: Path, write: Callable[[pd.DataFrame], str | bytes]) -> np.ndarray:
    """The labels after pandas has read F001_T1.csv and `write` has written it."""
    content = write(pd.read_csv(csv_of(root)))
    csv_of(root).write_bytes(content if isinstance(content, bytes) else content.encode())
    index = index_of(root)
    assert index.frames.tolist() == [8, 9, 10, 11] * 4
    return index.labels


WRITTEN = {
    "with the index": lambda table: table.to_csv(),
    "with the index twice": lambda table: pd.read_csv(io.StringIO(table.to_csv())).to_csv(),
    "frame, named": lambda table: table.rename(columns={"0": "Frame "}).to_csv(),
    "frame, last": lambda table: table[[*table.columns[1:], "0"]].rename(columns={"0": "frame"}).to_csv(index=False),
    "frame beside a column 0": lambda table: table.assign(frame=table["0"], **{"0": 3}).to_csv(),
    "semicolons": lambda table: table.to_csv(sep=";", index=False),
    "tabs": lambda table: table.to_csv(sep="\t"),
    "floats": lambda table: table.astype(float).to_csv(index=False),
    "two byte-order marks": lambda table: "\ufeff\ufeff" + table.to_csv(index=False),
    "trailing separators": lambda table: table.to_csv(index=False).replace("\n", ",,\n"),
    "spaces": lambda table: table.to_csv(index=False).replace(",", " , "),
    "quotes": lambda table: table.to_csv(index=False, quoting=csv.QUOTE_ALL),
    "UTF-16": lambda table: table.to_csv().encode("utf-16"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_that_another_program_wrote_again(tree: Path, name: str):
    expected = index_of(tree).labels
    np.testing.assert_array_equal(rewritten(tree, WRITTEN[name]), expected)


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
    ("0,1,2,4,", ",1,2,4,", r"F001_T1\.csv: no column is called 'frame' .header: '', '1'.*Name the column"),
    ("0,1,2,4,", "number,1,2,4,", r"F001_T1\.csv: no column is called 'frame' .header: 'number'"),
    ("0,1,2,4,", "0,1,0,4,", r"F001_T1\.csv: two columns are called '0'"),
    ("\n8,", "\n0,8,", r"F001_T1\.csv:2: 19 cells, but the header has 18"),
    ("\n9,", "\n9.5,", r"F001_T1\.csv:3: the frame number is '9\.5'"),
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


@pytest.mark.parametrize("name", ["with the index", "semicolons", "floats"])
def test_one_wrong_letter_never_moves_the_labels_of_other_rows(tree: Path, name: str):
    frames, labels = read_occurrences(csv_of(tree), AUS)
    rewritten(tree, WRITTEN[name])
    content, draws = csv_of(tree).read_text(), np.random.default_rng(1)
    read = 0
    for position, letter in zip(
        draws.integers(len(content), size=400), draws.choice(list(',;\t\n "09.x'), 400), strict=True
    ):
        csv_of(tree).write_text(content[:position] + letter + content[position + draws.integers(2) :])
        try:
            found, values = read_occurrences(csv_of(tree), AUS)
        except UserError:
            continue
        right = dict(zip(frames.tolist(), labels.tolist(), strict=True))
        wrong = [frame for frame, row in zip(found.tolist(), values.tolist(), strict=True) if right.get(frame) != row]
        assert len(wrong) <= 1 and len(found) >= 3, repr((position, letter))
        read += 1
    assert read > 20


def test_an_empty_label_file(tree: Path):
    csv_of(tree).write_text("\n")
    with pytest.raises(UserError, match=r"F001_T1\.csv: empty"):
        index_of(tree)


def test_a_header_without_rows_is_a_sequence_without_coded_frames(tree: Path):
    csv_of(tree).write_text(csv_of(tree).read_text().split()[0])
    index = index_of(tree)
    assert index.coded == 12 and index.missing.counts == {"images without a label row": 4}


def test_another_separator_is_named(tree: Path):
    csv_of(tree).write_text(csv_of(tree).read_text().replace(",", "|"))
    with pytest.raises(UserError, match="separated by commas, semicolons or tabs"):
        index_of(tree)


def test_missing_data_says_what_to_do(tmp_path: Path):
    (tmp_path / "Elsewhere").mkdir()
    with pytest.raises(UserError) as caught:
        find_layout(tmp_path)
    named = ("Elsewhere", "Binghamton", "AUCoding/AU_OCC", "qat_configs/synthetic_faces.yaml", "data.root")
    assert all(words in str(caught.value) for words in named), caught.value
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="it is not a folder"):
        find_layout(tmp_path / "file")
    with pytest.raises(UserError, match="does not exist"):
        find_layout(tmp_path / "nothing")


def test_labels_without_images(tree: Path):
    shutil.rmtree(tree / "Sequences(2D+3D)")
    with pytest.raises(UserError, match=r"no folder with images such as F001/T1/"):
        find_layout(tree)


def test_no_frame_with_an_image(tree: Path):
    said = r"none of the 16 coded frames has an image.*first F001/T1/8; 16 .*first F001/T1/008\.jpg.*data\.frame_offset"
    with pytest.raises(UserError, match=said):
        index_of(tree, frame_offset=1000)


@pytest.mark.parametrize("name", ["frame_{:04d}", "F001_T1_{}", "img{:d}", "a b-1-{:03d}", "Bild.{}", "größe {}"])
def test_words_before_the_number(tmp_path: Path, name: str):
    index = index_of(write_tree(tmp_path, Tree(("F001",), frames=5, name=name.format)))
    assert index.frames.tolist() == [8, 9, 10, 11, 12] * 2 and not index.missing.counts
    assert [image_number(file) for file in index.files] == [8, 9, 10, 11, 12] * 2


@pytest.mark.parametrize("name", ["{}_1", "copy of {} (1)", "-{}", "take{0}-{0}", "frame_{}_left"])
def test_names_that_are_not_read(tmp_path: Path, name: str):
    first = re.escape(name.format(10))
    said = rf"24 coded.*24 images whose names are not read.*first F001/T1/{first}.*0008\.jpg, or frame_0008\.jpg"
    with pytest.raises(UserError, match=said):
        index_of(write_tree(tmp_path, Tree(("F001", "M001"), frames=6, name=name.format)))


def test_names_of_two_kinds_in_a_folder(tree: Path):
    folder = tree / "Sequences(2D+3D)" / "F001" / "T1"
    for name in ("frame_9.jpg", "010_1.jpg", "notes.txt", "mask_010.png"):
        (folder / name).touch()
    index = index_of(tree)
    assert index.files[:4] == [f"F001/T1/{number:03d}.jpg" for number in (8, 9, 10, 11)]
    assert index.missing.counts == {"images whose names are not read as numbers": 3}


@pytest.mark.parametrize(
    "place",
    ["AUCoding/AU_OCC", "Sequences(2D+3D)", "Sequences(2D+3D)/M001", "Sequences(2D+3D)/F001/T2", "Landmarks", "."],
)
def test_a_link_to_itself_is_not_an_empty_folder(tree: Path, place: str):
    folder = tree / place
    shutil.rmtree(folder)
    folder.symlink_to(folder)
    with pytest.raises(
        UserError, match=rf"{re.escape(str(folder))}.*cannot be read .Too many levels of symbolic links"
    ):
        index_of(tree)


def test_an_unreadable_folder_that_is_nobodys_does_no_harm(tree: Path):
    stranger = tree / "Sequences(2D+3D)" / "lost+found"
    stranger.symlink_to(stranger)
    assert index_of(tree).coded == 16
