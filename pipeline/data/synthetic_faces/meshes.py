"""Hair, glasses and clothes: simple meshes around an aligned head (eyes' midpoint at the origin, decimetres)."""

from dataclasses import dataclass

import numpy as np

SKIN, EYE, TEETH, HAIR, CLOTHES, FRAME = range(6)  # materials


@dataclass(frozen=True)
class Mesh:
    """`points` float32 (V, 3), `triangles` int32 (T, 3), one material, and a brightness (V,) about 1."""

    points: np.ndarray
    triangles: np.ndarray
    material: int
    brightness: np.ndarray


def hair_roll(rng: np.random.Generator, points: np.ndarray, male: bool) -> Mesh:
    """Hair around the face of a head `points` (V, 3): an arch over the skull whose ends hang down."""
    thick = rng.uniform(0.03, 0.12) if male else rng.uniform(0.08, 0.22)
    hanging = rng.uniform(0, 0.25) if male or rng.random() < 0.25 else rng.uniform(0.4, 1.7)
    arch = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 25)
    centre = 0.25
    radius = _outline(points - [0, centre, 0], arch) - 0.55 * thick
    path = np.stack([radius * np.sin(arch), centre + radius * np.cos(arch)], 1)
    drop = np.linspace(0, centre + hanging, 8)[1:]
    spread = rng.uniform(-0.08, 0.2) * drop**2 / max(1.0, hanging)
    end = np.stack([path[-1, 0] + spread, path[-1, 1] - drop], 1)
    path = np.concatenate([end[::-1] * [-1, 1], path, end])
    depth = -0.62 + 0.25 * np.clip(1 - (path[:, 1] - centre) / radius[12], 0, 1)
    return _tube(rng, path, depth, thick * (1 + 0.15 * rng.normal(size=len(path))), long=0.5)


def clothes(rng: np.random.Generator, points: np.ndarray) -> Mesh:
    """Shoulders with a neckline."""
    columns, rows = np.meshgrid(np.linspace(-2.2, 2.2, 23), np.linspace(0, 1.6, 8))
    neck = rng.uniform(-1.34, -1.18)
    vee = rng.uniform(0, 0.25) * np.exp(-((columns / 0.35) ** 2))
    y = neck - vee - 0.28 * np.abs(columns) ** 1.3 - rows + 0.1 * np.exp(-(((np.abs(columns) - 0.55) / 0.2) ** 2))
    z = -0.15 + 0.45 * rows**0.5 - 0.25 * columns**2
    bright = 1 + 0.06 * rng.normal(size=columns.size)
    return Mesh(*_sheet(np.stack([columns, y, z], -1)), CLOTHES, bright.astype(np.float32))


def glasses(rng: np.random.Generator, eyes: np.ndarray, front: float) -> Mesh:
    """Two rims, a bridge and the temples, in front of the eyes (2, 2); `front` is the nearness of the eyes."""
    half, tall, power = rng.uniform(0.19, 0.25), rng.uniform(0.13, 0.2), rng.uniform(0.4, 1)
    rim, wire = np.linspace(0, 2 * np.pi, 29), rng.uniform(0.01, 0.025)
    outline = np.stack([_superellipse(np.cos(rim), power) * half, _superellipse(np.sin(rim), power) * tall - 0.03], 1)
    parts = [_ribbon(outline + eye, np.full(len(rim), front + 0.2), wire) for eye in eyes]
    inner = half - abs(eyes[0, 0])
    parts.append(_ribbon(np.array([[inner, 0.0], [0, 0.03], [-inner, 0.0]]), np.full(3, front + 0.26), wire))
    for side in np.sign(eyes[:, 0]):
        arm = np.array([[side * (abs(eyes[0, 0]) + half), 0.02], [side * 0.78, 0.03], [side * 0.86, 0.03]])
        parts.append(_ribbon(arm, np.array([front + 0.18, front - 0.5, front - 1.2]), wire))
    points, triangles = joined(parts)
    return Mesh(points, triangles, FRAME, np.ones(len(points), np.float32))


def joined(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Points and triangles of several meshes as one."""
    offsets = np.cumsum([0] + [len(points) for points, _ in parts[:-1]])
    triangles = [part + offset for (_, part), offset in zip(parts, offsets, strict=True)]
    return np.concatenate([points for points, _ in parts]), np.concatenate(triangles).astype(np.int32)


def _outline(points: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """How far `points` (V, 3) reach from the origin towards `angles` from upwards, in the picture plane."""
    towards = points[:, :2] @ np.stack([np.sin(angles), np.cos(angles)])
    across = points[:, :2] @ np.stack([np.cos(angles), -np.sin(angles)])
    return np.where(np.abs(across) < 0.12, towards, 0).max(0)


def _superellipse(value: np.ndarray, power: float) -> np.ndarray:
    return np.sign(value) * np.abs(value) ** power


def _tube(rng: np.random.Generator, path: np.ndarray, depth: np.ndarray, radius: np.ndarray, long: float) -> Mesh:
    around = np.linspace(0, 2 * np.pi, 13)
    tangent = np.gradient(path, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], 1) / np.linalg.norm(tangent, axis=1, keepdims=True)
    flat = path[:, None] + normal[:, None] * (radius[:, None] * np.cos(around))[..., None]
    z = depth[:, None] + long * np.sin(around)
    bright = 1 + 0.3 * rng.normal(size=(1, 13)) + 0.1 * rng.normal(size=z.shape)
    points, triangles = _sheet(np.concatenate([flat, z[..., None]], -1))
    return Mesh(points, triangles, HAIR, np.clip(bright, 0.3, 1.8).astype(np.float32).ravel())


def _ribbon(path: np.ndarray, depth: np.ndarray, half: float) -> tuple[np.ndarray, np.ndarray]:
    tangent = np.gradient(path, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], 1) / np.maximum(
        1e-6, np.linalg.norm(tangent, axis=1, keepdims=True)
    )
    edges = np.stack([path - half * normal, path + half * normal])
    return _sheet(np.concatenate([edges, np.broadcast_to(depth[:, None], (2, len(path), 1))], -1))


def _sheet(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A grid of points (R, C, 3) as points (R*C, 3) and triangles."""
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    triangles = np.concatenate([np.stack(corners, -1).reshape(-1, 3) for corners in ((a, b, c), (a, c, d))])
    return points.reshape(-1, 3).astype(np.float32), triangles.astype(np.int32)
