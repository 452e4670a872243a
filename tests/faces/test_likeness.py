"""Two views of one face are alike in any light and half covered; those of two people are not. Shots are counted."""

import cv2
import numpy as np
import pytest

from pipeline.faces.blazeface import FaceDetector
from pipeline.faces.likeness import SAME, SAME_AFTER_CUT, Shots, best_part, view
from tests.faces.people import PEOPLE, film

FACES = {name: (image, FaceDetector().detect(image)[0]) for name, image in PEOPLE.items()}


def lit(image: np.ndarray) -> np.ndarray:
    return np.clip(image * np.linspace(1.6, 0.4, image.shape[1])[:, None], 0, 255).astype(np.uint8)


def covered(image: np.ndarray) -> np.ndarray:
    image = image.copy()
    image[image.shape[0] * 6 // 10 :] = (205, 160, 140)
    return image


@pytest.mark.parametrize("change", [lit, covered, lambda image: image // 6, lambda image: cv2.blur(image, (5, 5))])
@pytest.mark.parametrize("name", FACES)
def test_one_face_is_alike(name: str, change):
    image, face = FACES[name]
    assert best_part(view(image, face, 0), view(change(image), face, 0)) >= SAME


def test_two_people_are_not_alike():
    views = [view(image, face, 0) for image, face in FACES.values()]
    alike = np.array([[best_part(one, other) for other in views] for one in views])
    np.testing.assert_allclose(np.diag(alike), 1, atol=1e-3)
    np.testing.assert_allclose(alike, alike.T, atol=1e-5)
    assert alike[~np.eye(len(views), dtype=bool)].max() < SAME_AFTER_CUT


def test_the_best_part_by_a_loop():
    one, other = (view(*FACES[name], 0) for name in ("a", "b"))
    parts = []
    for y, x in np.ndindex(5, 5):
        here = np.s_[:, 4 * y : 4 * y + 8, 4 * x : 4 * x + 8]
        first, second = one.gradients[here].ravel(), other.gradients[here].ravel()
        parts.append(first @ second / np.linalg.norm(first) / np.linalg.norm(second))
    assert best_part(one, other) == pytest.approx(max(parts), abs=1e-4)


def test_shots_are_counted():
    shots = Shots()
    frames = film("a", 3) + [np.roll(image, 40, axis=1) for image in film("a", 3, 3)] + film("c", 2)
    assert [shots.next(image) for image in frames] == [0] * 6 + [1] * 2


def test_dark_frames_begin_no_shot():
    """What a camera sees with its lens covered is noise, and the next picture is compared with the last one before."""
    shots, rng = Shots(), np.random.default_rng(1)
    dark = [rng.integers(0, 9, (300, 400, 3), dtype=np.uint8) for _ in range(4)]
    assert [shots.next(image) for image in film("a", 2) + dark + film("a", 1, 2) + dark + film("c", 1)][-1] == 1
    assert shots.number == 1


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (700, 3), (1, 5000)])
def test_pictures_of_any_shape(shape: tuple[int, int]):
    shots, image = Shots(), np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert shots.next(image) == shots.next(image) == 0
