"""The colour of each pixel of a rasterized head, compiled by Numba."""

import math

import numpy as np
from numba import njit

from pipeline.data.synthetic_faces.meshes import CLOTHES, EYE, HAIR, SKIN, TEETH
from pipeline.data.synthetic_faces.texture import TEXELS

SAMPLES = 2  # subpixels along a side
BUMP, DARKENING = 0.55, 0.5  # of a crease of depth 1
IRIS, PUPIL = 0.066, 0.027  # radii in decimetres
LIPS_ROW, IRIS_ROW, HAIR_ROW, CLOTHES_ROW, FRAME_ROW = range(5)


@njit(cache=True, fastmath=True)
def shade(
    owner: np.ndarray,
    weights: np.ndarray,
    triangles: np.ndarray,
    material: np.ndarray,
    normals: np.ndarray,
    texels: np.ndarray,
    masks: np.ndarray,
    albedo: np.ndarray,
    creases: np.ndarray,
    colours: np.ndarray,
    gaze: np.ndarray,
    gloss: float,
    teeth: float,
    lights: np.ndarray,
    background: np.ndarray,
    out: np.ndarray,
) -> None:
    """Fill `out` float32 (size, size, 3) with linear RGB.

    `owner` and `weights` as `rasterize` leaves them, SAMPLES times as large; `lights` (8, 3) in the head's axes: towards the
    key light, its colour, towards the fill light, its colour, the colours of sky and ground, upwards, towards the viewer;
    `teeth` 0..1 is the light that reaches them; `background` (size, size, 3); the others as in Person and Scene.
    """
    size = out.shape[0]
    share = np.float32(1.0 / (SAMPLES * SAMPLES))
    hx, hy, hz = lights[0, 0] + lights[7, 0], lights[0, 1] + lights[7, 1], lights[0, 2] + lights[7, 2]
    length = math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-6
    hx, hy, hz = hx / length, hy / length, hz / length
    for row in range(size):
        for column in range(size):
            red = np.float32(0)
            green = np.float32(0)
            blue = np.float32(0)
            for sample in range(SAMPLES * SAMPLES):
                y, x = row * SAMPLES + sample // SAMPLES, column * SAMPLES + sample % SAMPLES
                t = owner[y, x]
                if t < 0:
                    red += background[row, column, 0]
                    green += background[row, column, 1]
                    blue += background[row, column, 2]
                    continue
                a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
                wb, wc = weights[y, x, 0], weights[y, x, 1]
                wa = np.float32(1) - wb - wc
                nx = wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0]
                ny = wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1]
                nz = wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2]
                u = wa * texels[a, 0] + wb * texels[b, 0] + wc * texels[c, 0]
                v = wa * texels[a, 1] + wb * texels[b, 1] + wc * texels[c, 1]
                occlusion = wa * masks[a, 0] + wb * masks[b, 0] + wc * masks[c, 0]
                kind = material[t]
                shine, power = np.float32(gloss), 18
                if kind == SKIN:
                    i = min(TEXELS - 2, max(1, int(v)))
                    j = min(TEXELS - 2, max(1, int(u)))
                    lip = wa * masks[a, 1] + wb * masks[b, 1] + wc * masks[c, 1]
                    lid = wa * masks[a, 2] + wb * masks[b, 2] + wc * masks[c, 2]
                    mouth = wa * masks[a, 3] + wb * masks[b, 3] + wc * masks[c, 3]
                    lip = min(np.float32(1), lip) * (np.float32(1) - mouth)
                    crease = creases[i, j]
                    dark = (np.float32(1) - np.float32(DARKENING) * min(np.float32(1.6), crease)) * (
                        np.float32(1) - np.float32(0.35) * lid
                    )
                    nx += np.float32(BUMP) * (creases[i, j + 1] - creases[i, j - 1])
                    ny += np.float32(BUMP) * (creases[i - 1, j] - creases[i + 1, j])
                    r = (albedo[i, j, 0] * (1 - lip) + colours[LIPS_ROW, 0] * lip) * dark * (1 - mouth) + np.float32(
                        0.09
                    ) * mouth
                    g = (albedo[i, j, 1] * (1 - lip) + colours[LIPS_ROW, 1] * lip) * dark * (1 - mouth) + np.float32(
                        0.018
                    ) * mouth
                    bl = (albedo[i, j, 2] * (1 - lip) + colours[LIPS_ROW, 2] * lip) * dark * (1 - mouth) + np.float32(
                        0.018
                    ) * mouth
                    shine = shine * (1 + np.float32(1.5) * lip) * (1 - mouth)
                elif kind == EYE:
                    dx, dy = u - gaze[0], v - gaze[1]
                    radius = math.sqrt(dx * dx + dy * dy)
                    if radius < PUPIL:
                        r, g, bl = np.float32(0.01), np.float32(0.01), np.float32(0.01)
                    elif radius < IRIS:
                        rim = np.float32(0.45) if radius > IRIS - 0.012 else np.float32(1)
                        r, g, bl = colours[IRIS_ROW, 0] * rim, colours[IRIS_ROW, 1] * rim, colours[IRIS_ROW, 2] * rim
                    else:
                        r, g, bl = np.float32(0.62), np.float32(0.57), np.float32(0.55)
                    occlusion = np.float32(0.85) - np.float32(3.5) * max(np.float32(0), v - np.float32(0.01))
                    shine, power = np.float32(0.5), 120
                elif kind == TEETH:
                    r, g, bl = np.float32(0.72), np.float32(0.68), np.float32(0.58)
                    occlusion = np.float32(0.8 * teeth)
                    shine = np.float32(0)
                else:
                    at = HAIR_ROW if kind == HAIR else (CLOTHES_ROW if kind == CLOTHES else FRAME_ROW)
                    r, g, bl = colours[at, 0] * occlusion, colours[at, 1] * occlusion, colours[at, 2] * occlusion
                    occlusion = np.float32(0.8)
                    shine = np.float32(0.06) if kind != CLOTHES else np.float32(0)
                    if nz < 0:
                        nx, ny, nz = -nx, -ny, -nz
                inverse = np.float32(1) / np.float32(math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9)
                nx, ny, nz = nx * inverse, ny * inverse, nz * inverse
                key = (nx * lights[0, 0] + ny * lights[0, 1] + nz * lights[0, 2] + np.float32(0.15)) / np.float32(1.15)
                key = max(np.float32(0), key) * (np.float32(0.4) + np.float32(0.6) * occlusion)
                fill = max(np.float32(0), nx * lights[2, 0] + ny * lights[2, 1] + nz * lights[2, 2]) * occlusion
                up = np.float32(0.5) + np.float32(0.5) * (nx * lights[6, 0] + ny * lights[6, 1] + nz * lights[6, 2])
                half = max(np.float32(0), np.float32(nx * hx + ny * hy + nz * hz))
                glint = shine * half**power
                ambient = up * occlusion
                under = (np.float32(1) - up) * occlusion
                red += (
                    r * (key * lights[1, 0] + fill * lights[3, 0] + ambient * lights[4, 0] + under * lights[5, 0])
                    + glint * lights[1, 0]
                )
                green += (
                    g * (key * lights[1, 1] + fill * lights[3, 1] + ambient * lights[4, 1] + under * lights[5, 1])
                    + glint * lights[1, 1]
                )
                blue += (
                    bl * (key * lights[1, 2] + fill * lights[3, 2] + ambient * lights[4, 2] + under * lights[5, 2])
                    + glint * lights[1, 2]
                )
            out[row, column, 0] = red * share
            out[row, column, 1] = green * share
            out[row, column, 2] = blue * share
