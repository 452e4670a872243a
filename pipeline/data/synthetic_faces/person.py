"""A random person: the shape of the head, how it moves, how it looks."""

from dataclasses import dataclass

import numpy as np

from pipeline.data.synthetic_faces import meshes
from pipeline.data.synthetic_faces.head import BODY, LEFT_EYE, RIGHT_EYE, TEETH, Head, au_movements, head
from pipeline.data.synthetic_faces.skin import Look, paint, sample_look, texel
from pipeline.data.synthetic_faces.wrinkles import age_creases, au_creases

EYE_DISTANCE, EYES_TO_CHIN = 0.6155, 1.115  # decimetres, in the base mesh
LOCAL_SHARE, LOCAL_WEIGHT = 0.3, 0.45
NUISANCES = ("jawOpen", "eyeBlink", "mouthFunnel", "cheekPuff")  # movements without a label
GAMMA = 2.2


@dataclass(frozen=True)
class Person:
    """A head with hair and clothes: V vertices, of which the first H are the head's; T triangles.

    `movements` float32 (A, H, 3) and `nuisances` (len(NUISANCES), H, 3) are offsets at intensity 1; `texels` (V, 2) are texture
    places (eyes: offset from the eye's centre, decimetres); `masks` (V, 4) occlusion, lips, eyelids, inside of the mouth;
    `creases` (A, TEXELS, TEXELS). Colours are linear RGB.
    """

    points: np.ndarray
    triangles: np.ndarray
    material: np.ndarray
    movements: np.ndarray
    nuisances: np.ndarray
    teeth: np.ndarray
    texels: np.ndarray
    masks: np.ndarray
    albedo: np.ndarray
    age_creases: np.ndarray
    creases: np.ndarray
    colours: np.ndarray
    gloss: float
    expressiveness: float


def sample_person(seed: int | tuple[int, ...], male: bool) -> Person:
    """The person of that seed; the same for the same seed."""
    rng = np.random.default_rng(seed)
    base, age = head(), float(rng.beta(1.1, 2.2))
    look = sample_look(rng, male, age)
    points, scale = _aligned(base, _shape(base, rng, male, age))
    albedo, scalp = paint(look, rng, male)
    hair = _sampled(scalp, base)
    points = points + (rng.uniform(0, 0.05 if male else 0.1) * hair * (base.points[:, 1] > 7.35))[:, None] * _outwards(
        points
    )
    extras = _extras(rng, points, base, male)
    all_points, triangles = meshes.joined(
        [(points.astype(np.float32), base.triangles), *((mesh.points, mesh.triangles) for mesh in extras)]
    )
    return Person(
        points=all_points,
        triangles=triangles,
        material=_materials(base, extras),
        movements=au_movements(rng) * np.float32(scale),
        nuisances=np.stack([base.movements[name] for name in NUISANCES]) * np.float32(scale),
        teeth=np.flatnonzero(base.part == TEETH),
        texels=_texels(base, extras),
        masks=_masks(base, extras),
        albedo=(np.clip(albedo, 0.01, 1) ** GAMMA).astype(np.float32),
        age_creases=age_creases(rng, age),
        creases=au_creases(rng),
        colours=_colours(look, rng),
        gloss=look.gloss,
        expressiveness=float(rng.uniform(0.85, 1.15)),
    )


def eye_centres(base: Head, points: np.ndarray) -> np.ndarray:
    """The person's right and left eye (2, 3) in head vertices (H or more, 3)."""
    count = len(base.part)
    return np.stack([points[:count][base.part == part].mean(0) for part in (RIGHT_EYE, LEFT_EYE)])


def _shape(base: Head, rng: np.random.Generator, male: bool, age: float) -> np.ndarray:
    races = dict(zip(("african", "asian", "caucasian"), rng.dirichlet([0.6] * 3), strict=True))
    masculine = rng.uniform(0.6, 1) if male else rng.uniform(0, 0.35)
    points = base.points.astype(np.float64)
    for name, offset in base.macros.items():
        race, sex, years = name.split("-")
        points = (
            points
            + races[race]
            * (masculine if sex == "male" else 1 - masculine)
            * (age if years == "old" else 1 - age)
            * offset
        )
    for offset in base.locals.values():
        if rng.random() < LOCAL_SHARE:
            points = points + rng.uniform(0, LOCAL_WEIGHT) * offset
    return points


def _aligned(base: Head, points: np.ndarray) -> tuple[np.ndarray, float]:
    """`points` with the eyes' midpoint at the origin and a usual size, and the factor of the size."""
    right, left = eye_centres(base, points)
    middle = (right + left) / 2
    chin = points[
        (base.part == BODY)
        & (np.abs(base.points[:, 0]) < 0.1)
        & (np.abs(base.points[:, 1] - 6.17) < 0.06)
        & (base.points[:, 2] > 1.2)
    ]
    drop = middle[1] - chin[:, 1].mean()
    scale = 0.5 * EYE_DISTANCE / (left[0] - right[0]) + 0.5 * EYES_TO_CHIN / drop
    return (points - middle) * scale, float(scale)


def _outwards(points: np.ndarray) -> np.ndarray:
    """Unit vectors (V, 3) away from the middle of the skull."""
    away = points - np.array([0, 0.3, -0.8])
    return away / np.linalg.norm(away, axis=1, keepdims=True)


def _extras(rng: np.random.Generator, points: np.ndarray, base: Head, male: bool) -> list[meshes.Mesh]:
    extras = [meshes.clothes(rng, points)]
    if rng.random() < (0.55 if male else 0.95):
        extras.append(meshes.hair_roll(rng, points, male))
    if rng.random() < 0.18:
        eyes = eye_centres(base, points)[:, :2]
        front = points[np.isin(base.part, (LEFT_EYE, RIGHT_EYE)), 2].max()
        extras.append(meshes.glasses(rng, eyes, front))
    return extras


def _sampled(texture: np.ndarray, base: Head) -> np.ndarray:
    column, row = np.clip(texel(base.points).astype(int), 0, len(texture) - 1).T
    return np.where(base.part == BODY, texture[row, column], 0)


def _materials(base: Head, extras: list[meshes.Mesh]) -> np.ndarray:
    kinds = np.array([meshes.SKIN, meshes.EYE, meshes.EYE, meshes.TEETH])  # by BODY, LEFT_EYE, RIGHT_EYE, TEETH
    own = kinds[base.part[base.triangles[:, 0]]]
    return np.concatenate([own, *(np.full(len(mesh.triangles), mesh.material) for mesh in extras)]).astype(np.int32)


def _texels(base: Head, extras: list[meshes.Mesh]) -> np.ndarray:
    own = texel(base.points)
    for part, centre in zip((RIGHT_EYE, LEFT_EYE), eye_centres(base, base.points), strict=True):
        own[base.part == part] = (base.points[base.part == part] - centre)[:, :2]
    return np.concatenate([own, *(np.zeros((len(mesh.points), 2), np.float32) for mesh in extras)])


def _masks(base: Head, extras: list[meshes.Mesh]) -> np.ndarray:
    own = np.stack([base.occlusion, base.lips, base.eyelids, base.mouth], 1)
    rest = [np.stack([mesh.brightness, *np.zeros((3, len(mesh.points)), np.float32)], 1) for mesh in extras]
    return np.concatenate([own, *rest]).astype(np.float32)


def _colours(look: Look, rng: np.random.Generator) -> np.ndarray:
    """Linear RGB (5, 3) of lips, iris, hair, clothes, frame."""
    frame = np.array([[0.05] * 3, [0.35, 0.22, 0.12], [0.45, 0.45, 0.48]])[rng.integers(3)]
    rows = [look.lips, look.iris, look.hair, rng.uniform(0.05, 0.85, 3), frame]
    return (np.clip(rows, 0.01, 1) ** GAMMA).astype(np.float32)
