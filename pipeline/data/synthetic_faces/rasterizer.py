"""Triangles to pixels with a depth buffer, compiled by Numba."""

import math

import numpy as np
from numba import njit

FAR = np.float32(-1e9)


@njit(cache=True, fastmath=True)
def vertex_normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals (V, 3) of points (V, 3)."""
    normals = np.zeros_like(points)
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, uy, uz = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
        vx, vy, vz = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1], points[c, 2] - points[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in range(3):
            v = triangles[t, corner]
            normals[v, 0] += nx
            normals[v, 1] += ny
            normals[v, 2] += nz
    for v in range(len(normals)):
        x, y, z = normals[v, 0], normals[v, 1], normals[v, 2]
        scale = np.float32(1) / np.float32(math.sqrt(x * x + y * y + z * z) + 1e-12)
        normals[v, 0] = x * scale
        normals[v, 1] = y * scale
        normals[v, 2] = z * scale
    return normals


@njit(cache=True, fastmath=True)
def rasterize(
    screen: np.ndarray,
    triangles: np.ndarray,
    closed: int,
    size: int,
    depth: np.ndarray,
    owner: np.ndarray,
    weights: np.ndarray,
) -> None:
    """Find the nearest triangle at each pixel's centre.

    `screen` float32 (V, 3): column, row (downwards) in pixels, and nearness. The first `closed` triangles are seen from
    outside only. Fills `depth` (size, size) with the nearness,
    `owner` with the triangle or -1, `weights` (size, size, 2) with the weights of its second and third corner.
    """
    depth[:] = FAR
    owner[:] = -1
    one, half = np.float32(1), np.float32(0.5)
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, az = screen[a, 0], screen[a, 1], screen[a, 2]
        bx, by, bz = screen[b, 0] - ax, screen[b, 1] - ay, screen[b, 2] - az
        cx, cy, cz = screen[c, 0] - ax, screen[c, 1] - ay, screen[c, 2] - az
        area = bx * cy - by * cx
        if abs(area) < 1e-7 or (t < closed and area > 0):
            continue
        inverse = one / area
        left = max(0, math.floor(ax + min(np.float32(0), bx, cx) - half))
        right = min(size - 1, math.ceil(ax + max(np.float32(0), bx, cx) - half))
        top = max(0, math.floor(ay + min(np.float32(0), by, cy) - half))
        bottom = min(size - 1, math.ceil(ay + max(np.float32(0), by, cy) - half))
        for row in range(top, bottom + 1):
            py = np.float32(row) + half - ay
            for column in range(left, right + 1):
                px = np.float32(column) + half - ax
                second = (px * cy - py * cx) * inverse
                third = (bx * py - by * px) * inverse
                if second < 0 or third < 0 or second + third > one:
                    continue
                near = az + second * bz + third * cz
                if near > depth[row, column]:
                    depth[row, column] = near
                    owner[row, column] = t
                    weights[row, column, 0] = second
                    weights[row, column, 1] = third


def depth_map(screen: np.ndarray, triangles: np.ndarray, size: int) -> np.ndarray:
    """The nearness (size, size) of what is in front, see `rasterize`."""
    depth = np.empty((size, size), np.float32)
    rasterize(
        screen, triangles, 0, size, depth, np.empty((size, size), np.int32), np.empty((size, size, 2), np.float32)
    )
    return depth
