"""Landmark and box files in the accepted forms."""

from pathlib import Path

import pytest

from pipeline.data.bp4d.tables import Places, read_places
from pipeline.errors import UserError

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


@pytest.mark.parametrize("row", ["12,,20,30,21", "12,nan,20,30,21", "12,10,20,inf,21", "12,10,20,11,20"])
def test_rows_without_a_face(tmp_path: Path, row: str):
    assert read(tmp_path, f"{EYES}\n{row}\n") == Places({}, {})


@pytest.mark.parametrize(("content", "message"), [
    ("frame,x1,y1\n1,2,3\n", r"0\.csv: expected the columns frame, right_eye_x.*found frame, x1, y1"),
    (f"{EYES}\n\n12,ten,20,30,21\n", r"0\.csv:3: column 'right_eye_x' is 'ten', not a number"),
    (f"{EYES}\n12a,10,20,30,21\n", r"0\.csv:2: the frame number is '12a'"),
    (f"{EYES}\n12,10,20,30\n", r"0\.csv:2: 4 cells, but the header has 5"),
])  # fmt: skip
def test_bad_files(tmp_path: Path, content: str, message: str):
    with pytest.raises(UserError, match=message):
        read(tmp_path, content)
