"""The rendered faces: what moves, what is seen, what is random and what is not."""

import numpy as np
import pytest

from pipeline.action_units.labels import AU_NUMBERS
from pipeline.data.synthetic_faces import sequences as dynamics
from pipeline.data.synthetic_faces.__main__ import LABEL_HEIGHT, contact_sheet
from pipeline.data.synthetic_faces.head import ASSET, AU_SHAPES, head
from pipeline.data.synthetic_faces.person import EYE_DISTANCE, EYES_TO_CHIN, eye_centres, sample_person
from pipeline.data.synthetic_faces.rasterizer import rasterize, vertex_normals
from pipeline.data.synthetic_faces.render import NEGLIGIBLE, add_weighted, render
from pipeline.data.synthetic_faces.scene import sample_scenes, still_scene
from tests.processes import imported, python

ONE_EACH = np.eye(len(AU_NUMBERS))
SIZE = 96


def face(intensities: np.ndarray, person: int = 5, scene_seed: int = 7) -> np.ndarray:
    """A frontal image as float (SIZE, SIZE, 3)."""
    scene = still_scene(np.random.default_rng(scene_seed))
    return render(sample_person(person, male=True), intensities, scene, SIZE, np.random.default_rng(0))[0].astype(float)


def test_the_asset_is_small_and_says_where_it_is_from():
    assert ASSET.stat().st_size < 1_000_000
    notice = ASSET.with_name("NOTICE").read_text()
    assert "CC0 1.0" in notice and "Mika Suominen" in notice and "MakeHuman" in notice


def test_every_face_unit_of_an_action_unit_is_in_the_asset():
    assert set(AU_SHAPES) == set(AU_NUMBERS)
    assert {name for units in AU_SHAPES.values() for name in units} <= set(head().movements)


def test_rasterize_finds_the_nearest_triangle_at_each_pixel():
    rng = np.random.default_rng(0)
    screen, triangles = rng.uniform(-2, 18, (30, 3)).astype(np.float32), rng.integers(0, 30, (20, 3)).astype(np.int32)
    depth, owner = np.empty((16, 16), np.float32), np.empty((16, 16), np.int32)
    rasterize(screen, triangles, 0, 16, depth, owner, np.empty((16, 16, 2), np.float32))
    for row in range(16):
        for column in range(16):
            assert owner[row, column] == _nearest(screen, triangles, column + 0.5, row + 0.5)


def _nearest(screen: np.ndarray, triangles: np.ndarray, x: float, y: float) -> int:
    best, found = -np.inf, -1
    for number, corners in enumerate(triangles):
        matrix = np.vstack([screen[corners, :2].T.astype(float), np.ones(3)])
        if abs(np.linalg.det(matrix)) < 1e-6:
            continue
        share = np.linalg.solve(matrix, [x, y, 1])
        near = share @ screen[corners, 2]
        if share.min() >= 0 and near > best:
            best, found = near, number
    return found


def test_closed_triangles_are_seen_from_outside_only():
    screen = np.array([[0, 0, 0], [8, 0, 0], [0, 8, 0]], np.float32)
    owners = []
    for corners, closed in (([0, 1, 2], 0), ([0, 1, 2], 1), ([0, 2, 1], 1)):
        owner = np.empty((4, 4), np.int32)
        space = np.empty((4, 4), np.float32), owner, np.empty((4, 4, 2), np.float32)
        rasterize(screen, np.array([corners], np.int32), closed, 4, *space)
        owners.append(owner.max())
    assert owners == [0, -1, 0]


def test_vertex_normals_point_out_of_a_sphere():
    turn, height = np.meshgrid(np.linspace(0, 2 * np.pi, 24, endpoint=False), np.linspace(0.3, 2.8, 12))
    points = np.stack([np.sin(height) * np.cos(turn), np.cos(height), np.sin(height) * np.sin(turn)], -1).reshape(-1, 3)
    first = np.arange(11 * 24).reshape(11, 24)
    right, below = np.roll(first, -1, 1), first + 24
    triangles = np.concatenate(
        [np.stack([first, right, below], -1), np.stack([right, np.roll(below, -1, 1), below], -1)]
    )
    normals = vertex_normals(points.astype(np.float32), triangles.reshape(-1, 3).astype(np.int32))
    inner = slice(24, -24)
    np.testing.assert_allclose(normals[inner], points[inner], atol=0.05)


def test_add_weighted_is_a_weighted_sum_without_the_negligible():
    rng = np.random.default_rng(0)
    layers, weights = rng.normal(size=(4, 5, 3)).astype(np.float32), np.array([0.5, NEGLIGIBLE / 2, 0, 1], np.float32)
    total = np.ones((5, 3), np.float32)
    add_weighted(total, weights, layers)
    np.testing.assert_allclose(total, 1 + 0.5 * layers[0] + layers[3], rtol=1e-5)


@pytest.mark.parametrize("row", range(len(AU_NUMBERS)), ids=[f"AU{number}" for number in AU_NUMBERS])
def test_an_action_unit_changes_the_image_where_it_acts(row: int):
    neutral = face(np.zeros(len(AU_NUMBERS)))
    change = np.abs(face(ONE_EACH[row]) - neutral).sum(-1)
    eyes = slice(int(0.25 * SIZE), int(0.58 * SIZE))
    mouth = slice(int(0.58 * SIZE), int(0.9 * SIZE))
    upper, lower = change[eyes].sum(), change[mouth].sum()
    assert change.max() > 60  # of 765
    assert upper > lower if AU_NUMBERS[row] < 8 else lower > upper


def test_the_same_seeds_give_the_same_image_and_others_do_not():
    raised = ONE_EACH[0]
    np.testing.assert_array_equal(face(raised), face(raised))
    assert np.abs(face(raised) - face(raised, person=6)).mean() > 5
    assert np.abs(face(raised) - face(raised, scene_seed=8)).mean() > 5


def test_wrinkles_are_elsewhere_in_every_person_and_sometimes_missing():
    people = [sample_person(number, male=bool(number % 2)).creases for number in range(12)]
    present = np.array([creases.max((1, 2)) > 0 for creases in people])
    assert 0.6 < present.mean() < 1
    for row in range(len(AU_NUMBERS)):
        drawn = [creases[row].ravel() for creases, there in zip(people, present[:, row], strict=True) if there]
        alike = np.corrcoef(drawn)[np.triu_indices(len(drawn), 1)]
        assert alike.mean() < 0.75


def test_some_neutral_faces_have_wrinkles_of_age():
    depths = [sample_person(number, male=False).age_creases.max() for number in range(10)]
    assert max(depths) > 0.2


def test_heads_are_aligned_and_of_usual_size():
    for number in range(6):
        person = sample_person(number, male=bool(number % 2))
        right, left = eye_centres(head(), person.points)
        np.testing.assert_allclose((right + left) / 2, 0, atol=1e-5)
        assert right[0] < 0 < left[0]
        assert 0.8 * EYE_DISTANCE < left[0] - right[0] < 1.25 * EYE_DISTANCE
        assert person.points[:, 1].min() < -EYES_TO_CHIN


def test_the_eyes_that_render_names_are_the_eyes():
    """Where the gaze turns, pixels change: near the places that are said to be the eyes, and nowhere else."""
    person, scenes = sample_person(3, male=True), sample_scenes(np.random.default_rng(3), 1)
    still, neutral = vars(scenes[0]) | {"nuisances": np.zeros(4), "gaze": np.zeros(2)}, np.zeros(len(AU_NUMBERS))
    images = []
    for gaze in (-0.03, 0.03):
        scene = type(scenes[0])(**still | {"gaze": np.array([gaze, 0])})
        image, eyes = render(person, neutral, scene, 192, np.random.default_rng(0))
        images.append(image.astype(float))
    rows, columns = np.nonzero(np.abs(images[1] - images[0]).sum(-1) > 60)
    for eye in eyes:
        near = np.hypot(columns + 0.5 - eye[0], rows + 0.5 - eye[1]) < 14
        assert near.sum() > 5
        np.testing.assert_allclose([columns[near].mean() + 0.5, rows[near].mean() + 0.5], eye, atol=4)
    assert eyes[0, 0] < eyes[1, 0]


def test_contact_sheet_has_a_row_a_person_and_a_column_an_action_unit():
    sheet = contact_sheet(people=2, size=48, seed=0)
    assert sheet.shape == (LABEL_HEIGHT + 2 * 48, 48 * (1 + len(AU_NUMBERS)), 3)


def many_labels(subjects: int = 60, frames: int = 6000) -> np.ndarray:
    """True labels (subjects, frames, A)."""
    rng = np.random.default_rng(0)
    sequences = [dynamics.sequence_intensities(rng, dynamics.subject_offset(rng), frames) for _ in range(subjects)]
    return dynamics.presence(np.stack(sequences))


def test_labels_have_bp4ds_base_rates_bouts_and_co_occurrence():
    labels = many_labels()
    flat = labels.reshape(-1, len(AU_NUMBERS))
    np.testing.assert_allclose(flat.mean(0), dynamics.BASE_RATES, atol=0.06)
    onsets = (np.diff(labels.astype(int), axis=1) == 1).sum((0, 1))
    np.testing.assert_allclose(flat.sum(0) / onsets, dynamics.MEAN_BOUTS, rtol=0.25)
    phi = np.corrcoef(flat.T)
    for (first, second), wanted in dynamics.PHI.items():
        assert phi[AU_NUMBERS.index(first), AU_NUMBERS.index(second)] == pytest.approx(wanted, abs=0.12)


def test_intensity_rises_with_the_latent_value_and_crosses_presence_at_zero():
    latent = np.linspace(-3, 5, 400)
    values = dynamics.intensity(latent)
    assert (np.diff(values) >= 0).all() and values.min() >= 0 and values.max() <= 1
    np.testing.assert_array_equal(dynamics.presence(values), latent >= 0)
    assert values[latent < -0.5].max() < 0.05


def test_bouts_ramp_in_and_out():
    rng = np.random.default_rng(1)
    intensities = dynamics.sequence_intensities(rng, dynamics.subject_offset(rng), 4000)
    steps = np.diff(intensities, axis=0)
    onsets = np.diff(dynamics.presence(intensities).astype(int), axis=0) == 1
    assert onsets.sum() > 100 and steps[onsets].mean() < 0.2


def test_looking_at_the_settings_does_not_load_the_renderer():
    """`--help` stays light: Numba is imported inside functions."""
    done = python("-X", "importtime", "-m", "pipeline.data.synthetic_faces", "--help")
    assert done.returncode == 0 and "numpy" in imported(done.stderr) and "numba" not in imported(done.stderr)
