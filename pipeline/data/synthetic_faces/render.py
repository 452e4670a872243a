"""A person in a scene with given action units, as an image."""

import cv2
import numpy as np
from numba import njit

from pipeline.data.synthetic_faces.head import head, teeth_shown
from pipeline.data.synthetic_faces.person import EYE_DISTANCE, GAMMA, NUISANCES, Person, eye_centres
from pipeline.data.synthetic_faces.rasterizer import rasterize, vertex_normals
from pipeline.data.synthetic_faces.scene import CAMERA_DISTANCE, EYE_DISTANCES_ACROSS, EYE_LINE, Scene
from pipeline.data.synthetic_faces.shading import SAMPLES, Mesh, Paint, shade

NEGLIGIBLE = np.float32(0.005)  # a weight that moves nothing
TEETH_BACK = 0.3  # decimetres, behind closed lips
LEVELS = 4096
TO_SRGB = (255 * (np.arange(LEVELS) / (LEVELS - 1)) ** (1 / GAMMA)).astype(np.float32)
JAW_SHOWS_TEETH = 2.5
PIVOT = np.array([0, -0.5, -0.9], np.float32)  # the neck's joint


def render(
    person: Person, intensities: np.ndarray, scene: Scene, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The image uint8 (size, size, 3) RGB, and the eye centres (2, 2) in pixels: column and row, the person's right eye first.

    `intensities` (A,) of AU_NUMBERS in 0..1; `rng` draws the camera's grain.
    """
    shown = (np.asarray(intensities) * person.expressiveness).astype(np.float32)
    points = _deformed(person, shown, scene)
    rotation = _rotation(scene.pose)
    screen = _projected((points - PIVOT) @ rotation.T + PIVOT, scene, size * SAMPLES)
    fine = size * SAMPLES
    owner, weights = np.empty((fine, fine), np.int32), np.empty((fine, fine, 2), np.float32)
    rasterize(screen, person.triangles, len(head().triangles), fine, np.empty((fine, fine), np.float32), owner, weights)
    creases = person.age_creases.copy()
    add_weighted(creases, shown, person.creases)
    normals = vertex_normals(points, person.triangles)
    mesh = Mesh(person.triangles, person.material, normals, person.texels, person.masks)
    gaze, teeth = scene.gaze.astype(np.float32), _teeth(shown, scene)
    paint = Paint(person.albedo, creases, person.colours, gaze, person.gloss, teeth)
    background = cv2.resize(scene.background, (size, size), interpolation=cv2.INTER_CUBIC)
    out = np.empty((size, size, 3), np.float32)
    shade(owner, weights, mesh, paint, _lights(scene, rotation), background, out)
    eyes = eye_centres(head(), screen)[:, :2] / SAMPLES
    return _developed(out, scene.grain, rng), eyes


@njit(cache=True, fastmath=True)
def add_weighted(total: np.ndarray, weights: np.ndarray, layers: np.ndarray) -> None:
    """Add weights (L,) times layers (L, N, M) to `total` (N, M), all float32; weights below NEGLIGIBLE count as 0."""
    for layer in range(len(weights)):
        weight = weights[layer]
        if weight > NEGLIGIBLE:
            for row in range(total.shape[0]):
                for column in range(total.shape[1]):
                    total[row, column] += weight * layers[layer, row, column]


def _deformed(person: Person, shown: np.ndarray, scene: Scene) -> np.ndarray:
    points = person.points.copy()
    count = person.movements.shape[1]
    mouth_free = np.float32(1 - min(1, shown[-3:].sum()))  # no talking through AU17, 23, 24
    nuisances = scene.nuisances.astype(np.float32) * np.array([mouth_free, 1, mouth_free, mouth_free], np.float32)
    add_weighted(points[:count], shown, person.movements)
    add_weighted(points[:count], nuisances, person.nuisances)
    points[person.teeth, 2] -= np.float32(TEETH_BACK * (1 - _teeth(shown, scene)))
    return points


def _teeth(shown: np.ndarray, scene: Scene) -> float:
    """How far the teeth are in their place and in the light, 0..1: not behind closed lips."""
    return min(1.0, teeth_shown(shown) + JAW_SHOWS_TEETH * float(scene.nuisances[NUISANCES.index("jawOpen")]))


def _rotation(pose: np.ndarray) -> np.ndarray:
    """Head to camera, float32 (3, 3), from yaw, pitch, roll in degrees."""
    yaw, pitch, roll = np.radians(pose)
    about_y = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    about_x = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    about_z = [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    return (np.array(about_z) @ about_x @ about_y).astype(np.float32)


def _projected(points: np.ndarray, scene: Scene, fine: int) -> np.ndarray:
    """Camera points (V, 3) as column, row (subpixels) and nearness, float32."""
    scale = fine * scene.zoom / (EYE_DISTANCES_ACROSS * EYE_DISTANCE)
    screen = np.empty_like(points)
    perspective = np.float32(CAMERA_DISTANCE * scale) / (np.float32(CAMERA_DISTANCE) - points[:, 2])
    screen[:, 0] = points[:, 0] * perspective + np.float32(fine * (0.5 + scene.shift[0]))
    screen[:, 1] = np.float32(fine * (EYE_LINE + scene.shift[1])) - points[:, 1] * perspective
    screen[:, 2] = points[:, 2]
    return screen


def _lights(scene: Scene, rotation: np.ndarray) -> np.ndarray:
    """Rows as `shade` wants them; directions turned into the head's axes."""
    up, viewer = np.array([0, 1, 0]), np.array([0, 0, 1])
    directions = np.stack([scene.key, scene.fill, up, viewer]) @ rotation
    rows = [
        directions[0],
        scene.key_colour,
        directions[1],
        scene.fill_colour,
        scene.sky,
        scene.ground,
        directions[2],
        directions[3],
    ]
    return np.array(rows, np.float32)


def _developed(linear: np.ndarray, grain: float, rng: np.random.Generator) -> np.ndarray:
    """Linear RGB to 8 bits with grain."""
    index = np.clip(linear * (LEVELS - 1), 0, LEVELS - 1).astype(np.int32)
    noise = rng.standard_normal(linear.shape, np.float32) * np.float32(255 * grain)
    return np.clip(TO_SRGB[index] + noise, 0, 255).astype(np.uint8)
