"""Landmark and box files in the accepted forms."""

from pathlib import Path

import pytest

from pipeline.data.bp4d.places import Places, read_places
from pipeline.errors import UserError

TWO_FACES = Path(__file__).with_name("two_faces_a_frame.csv")  # as OpenFace writes them
EYES = "frame,right_eye_x,right_eye_y,left_eye_x,left_eye_y"


def read(tmp_path: Path, *contents: str) -> Places:
    paths = [tmp_path / f"{number}.csv" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content)
    return read_places(paths)


def test_eyes(tmp_path: Path):
    places = read(tmp_path, f"{EYES}\n0012,10,20.5,30,21\n13,11,20,31,20\n")
    assert places == Places({12: (10.0, 20.5, 30.0, 21.0), 13: (11.0, 20.0, 31.0, 20.0)}, {})


def test_boxes_beside_eyes(tmp_path: Path):
    places = read(tmp_path, f"{EYES}\n12,10,20,30,21\n", "h,frame,x,y,w\n40,12,1,2,30\n50,13,1,2,0\n")
    assert places == Places({12: (10.0, 20.0, 30.0, 21.0)}, {12: (1.0, 2.0, 30.0, 40.0)})


def openface(frame: int, success: int) -> str:
    points = [(100.0 + point, 200.0 + 2 * point) for point in range(68)]
    return ",".join(map(str, (frame, success, *(x for x, _ in points), *(y for _, y in points))))


def test_openface_eyes_are_the_means_of_six_points(tmp_path: Path):
    header = ", ".join(["frame", "success", *(f"x_{n}" for n in range(68)), *(f"y_{n}" for n in range(68))])
    places = read(tmp_path, "\n".join([header, openface(1, 1), openface(2, 0)]))
    assert places == Places({1: (138.5, 277.0, 144.5, 289.0)}, {})  # points 36 to 41, 42 to 47


def test_of_two_faces_in_a_frame_the_more_confident_one_counts(tmp_path: Path):
    (tmp_path / "0.csv").write_text(TWO_FACES.read_text())
    assert read_places([tmp_path / "0.csv"]).eyes == {8: (100.0, 100.0, 160.0, 100.0)}
    header, *rows = TWO_FACES.read_text().splitlines()
    (tmp_path / "0.csv").write_text("\n".join([header, *reversed(rows)]))
    assert read_places([tmp_path / "0.csv"]).eyes == {8: (100.0, 100.0, 160.0, 100.0)}


@pytest.mark.parametrize(("confidences", "chosen"), [
    (("0.5", "0.5", "0.9"), 2), (("", "0.3", "nan"), 1), (("1", "0.99", "0.98"), 0),
])  # fmt: skip
def test_confidences(tmp_path: Path, confidences: tuple[str, ...], chosen: int):
    rows = [f"7,{10 * row},20,30,40,{confidence}" for row, confidence in enumerate(confidences)]
    assert read(tmp_path, "\n".join(["frame,x,y,w,h,Confidence", *rows])).boxes[7][0] == 10 * chosen


def test_a_second_row_without_a_face_does_no_harm(tmp_path: Path):
    assert read(tmp_path, f"{EYES}\n12,10,20,30,20\n12,,,,\n").eyes == {12: (10.0, 20.0, 30.0, 20.0)}


def test_files_of_other_separators_and_columns(tmp_path: Path):
    semicolons = f"\ufeff;{EYES};note\n0;12.0;10;20;30;21;a, b\n".replace(",", ";", 4)
    assert read(tmp_path, semicolons).eyes == {12: (10.0, 20.0, 30.0, 21.0)}
    assert read(tmp_path, "h\t Frame \tx\ty\tW\n40\t12\t1\t2\t30").boxes == {12: (1.0, 2.0, 30.0, 40.0)}


@pytest.mark.parametrize("row", ["12,,20,30,21", "12,nan,20,30,21", "12,10,20,inf,21", "12,10,20,11,20"])
def test_rows_without_a_face(tmp_path: Path, row: str):
    assert read(tmp_path, f"{EYES}\n{row}\n") == Places({}, {})


@pytest.mark.parametrize(("content", "message"), [
    ("frame,x1,y1\n1,2,3\n", r"0\.csv: expected the columns frame, right_eye_x.*found frame, x1, y1"),
    (f"{EYES}\n\n12,ten,20,30,21\n", r"0\.csv:3: column 'right_eye_x' is 'ten', not a number"),
    (f"{EYES}\n12a,10,20,30,21\n", r"0\.csv:2: the frame number is '12a'"),
    (f"{EYES}\n12.5,10,20,30,20\n", r"0\.csv:2: the frame number is '12\.5'"),
    (f"{EYES}\n12,1_0,20,30,20\n", r"0\.csv:2: column 'right_eye_x' is '1_0', not a number"),
    (f"{EYES}\n12,10,20,30,20\n12,50,60,70,60\n", r"0\.csv:3: frame 12 has a second face.*'confidence'"),
    ("frame,x,y,w,h,confidence\n5,1,2,9,9,.5\n5,2,2,9,9,0.50\n", r"0\.csv:3: frame 5 has .*the same confidence"),
    ("frame,x,y,w,h,x\n1,2,3,40,50,6\n", r"0\.csv: two columns are called 'x'"),
    (f",{EYES[6:]}\n0,10,20,30,20\n", r"0\.csv: no column is called 'frame'.*without a name"),
    ("FRAME,Frame,x,y,w,h\n0,1,2,3,40,50\n", r"0\.csv: two columns are called 'frame'"),
    (f"{EYES}\n0,12,10,20,30,20\n", r"0\.csv:2: 6 cells, but the header has 5"),
    (f"{EYES}\n12,10,20,30\n", r"0\.csv:2: 4 cells, but the header has 5"),
])  # fmt: skip
def test_bad_files(tmp_path: Path, content: str, message: str):
    with pytest.raises(UserError, match=message):
        read(tmp_path, content)


def test_two_files_that_place_the_same_face(tmp_path: Path):
    assert read(tmp_path, f"{EYES}\n12,10,20,30,20\n", f"{EYES}\n12,10,20,30,20\n13,1,1,9,9\n").eyes.keys() == {12, 13}
    with pytest.raises(UserError, match=r"1\.csv: frame 12 has another face"):
        read(tmp_path, f"{EYES}\n12,10,20,30,20\n", f"{EYES}\n12,11,20,30,20\n")
