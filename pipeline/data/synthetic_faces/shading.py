"""The colour of each pixel of a rasterized head, compiled by Numba.

Every subpixel has a surface (its colour, normal, gloss and how much light reaches it), which `_lit` lights. Skin stays
in `shade`, and `_lit` is inlined: in functions of their own the compiler rounds them differently, and the same settings
have to give the same images.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from pipeline.data.synthetic_faces.meshes import CLOTHES, EYE, HAIR, SKIN, TEETH
from pipeline.data.synthetic_faces.skin import TEXELS

SAMPLES = 2  # subpixels along a side
BUMP, DARKENING = 0.55, 0.5  # of a crease of depth 1
INSIDE_RED, INSIDE = np.float32(0.09), np.float32(0.018)  # red, and green and blue, inside the mouth
IRIS, PUPIL = 0.066, 0.027  # radii in decimetres
LIPS_ROW, IRIS_ROW, HAIR_ROW, CLOTHES_ROW, FRAME_ROW = range(5)
KEY, KEY_COLOUR, FILL, FILL_COLOUR, SKY_COLOUR, GROUND_COLOUR, UP, VIEWER = range(8)  # rows of `lights`


class Mesh(NamedTuple):
    """T triangles int32 (T, 3) with a material (T,); at V vertices normals (V, 3), texels (V, 2) and masks (V, 4)."""

    triangles: np.ndarray
    material: np.ndarray
    normals: np.ndarray
    texels: np.ndarray
    masks: np.ndarray


class Paint(NamedTuple):
    """What is painted on: albedo and creases (TEXELS, TEXELS, ...), colours (5, 3), gaze (2,) as in Person and Scene.

    `teeth` in 0..1 is the light that reaches the teeth.
    """

    albedo: np.ndarray
    creases: np.ndarray
    colours: np.ndarray
    gaze: np.ndarray
    gloss: float
    teeth: float


@njit(cache=True, fastmath=True)
def shade(
    owner: np.ndarray,
    weights: np.ndarray,
    mesh: Mesh,
    paint: Paint,
    lights: np.ndarray,
    background: np.ndarray,
    out: np.ndarray,
) -> None:
    """Fill `out` float32 (size, size, 3) with linear RGB.

    `owner` and `weights` as `rasterize` leaves them, SAMPLES times as large; `lights` (8, 3) in the head's axes: towards
    the key light, its colour, towards the fill light, its colour, the colours of sky and ground, upwards, towards the
    viewer; `background` (size, size, 3).
    """
    triangles, material, normals, texels, masks = mesh
    albedo, creases, colours, _, gloss, teeth = paint
    size = out.shape[0]
    share = np.float32(1.0 / (SAMPLES * SAMPLES))
    hx, hy, hz = _halfway(lights)
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
                corners, at = (a, b, c), (wa, wb, wc)
                nx, ny, nz = _interpolated3(normals, corners, at)
                u, v = _interpolated(texels, 0, corners, at), _interpolated(texels, 1, corners, at)
                occlusion = _interpolated(masks, 0, corners, at)
                kind = material[t]
                shine, power = np.float32(gloss), 18
                if kind == SKIN:  # lips are redder, creases darker and bent, the inside of the mouth dark
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
                    r = (albedo[i, j, 0] * (1 - lip) + colours[LIPS_ROW, 0] * lip) * dark * (
                        1 - mouth
                    ) + INSIDE_RED * mouth
                    g = (albedo[i, j, 1] * (1 - lip) + colours[LIPS_ROW, 1] * lip) * dark * (1 - mouth) + INSIDE * mouth
                    bl = (albedo[i, j, 2] * (1 - lip) + colours[LIPS_ROW, 2] * lip) * dark * (
                        1 - mouth
                    ) + INSIDE * mouth
                    shine = shine * (1 + np.float32(1.5) * lip) * (1 - mouth)
                elif kind == EYE:
                    (r, g, bl), occlusion = _eye(paint, (u, v))
                    shine, power = np.float32(0.5), 120
                elif kind == TEETH:
                    r, g, bl = np.float32(0.72), np.float32(0.68), np.float32(0.58)
                    occlusion = np.float32(0.8 * teeth)
                    shine = np.float32(0)
                else:
                    (r, g, bl), (nx, ny, nz), shine = _extra(colours, kind, occlusion, (nx, ny, nz))
                    occlusion = np.float32(0.8)
                lit = _lit((r, g, bl), (nx, ny, nz), occlusion, shine, power, lights, (hx, hy, hz))
                red += lit[0]
                green += lit[1]
                blue += lit[2]
            out[row, column, 0] = red * share
            out[row, column, 1] = green * share
            out[row, column, 2] = blue * share


@njit(cache=True, fastmath=True)
def _halfway(lights):
    """The unit vector between the key light and the viewer: normals that point there shine."""
    x, y, z = lights[KEY, 0] + lights[VIEWER, 0], lights[KEY, 1] + lights[VIEWER, 1], lights[KEY, 2] + lights[VIEWER, 2]
    length = math.sqrt(x * x + y * y + z * z) + 1e-6
    return x / length, y / length, z / length


@njit(cache=True, fastmath=True)
def _interpolated(values, column, corners, at):
    """One column of values (V, n) inside a triangle, by the weights `at` of its corners."""
    (a, b, c), (wa, wb, wc) = corners, at
    return wa * values[a, column] + wb * values[b, column] + wc * values[c, column]


@njit(cache=True, fastmath=True)
def _interpolated3(values, corners, at):
    """The first three columns."""
    return (
        _interpolated(values, 0, corners, at),
        _interpolated(values, 1, corners, at),
        _interpolated(values, 2, corners, at),
    )


@njit(cache=True, fastmath=True)
def _eye(paint, texel):
    """(colour, occlusion) of an eye: pupil, iris with a dark rim, white; darker below the upper lid."""
    dx, dy = texel[0] - paint.gaze[0], texel[1] - paint.gaze[1]
    radius = math.sqrt(dx * dx + dy * dy)
    colour = np.float32(0.62), np.float32(0.57), np.float32(0.55)
    if radius < PUPIL:
        colour = np.float32(0.01), np.float32(0.01), np.float32(0.01)
    elif radius < IRIS:
        iris = paint.colours[IRIS_ROW]
        rim = np.float32(0.45) if radius > IRIS - 0.012 else np.float32(1)
        colour = iris[0] * rim, iris[1] * rim, iris[2] * rim
    return colour, np.float32(0.85) - np.float32(3.5) * max(np.float32(0), texel[1] - np.float32(0.01))


@njit(cache=True, fastmath=True)
def _extra(colours, kind, brightness, normal):
    """(colour, normal, gloss) of hair, clothes and frames, which are seen from both sides."""
    colour = colours[HAIR_ROW if kind == HAIR else (CLOTHES_ROW if kind == CLOTHES else FRAME_ROW)]
    shine = np.float32(0.06) if kind != CLOTHES else np.float32(0)
    nx, ny, nz = normal
    if nz < 0:
        nx, ny, nz = -nx, -ny, -nz
    return (colour[0] * brightness, colour[1] * brightness, colour[2] * brightness), (nx, ny, nz), shine


@njit(fastmath=True, inline="always")
def _lit(colour, normal, occlusion, shine, power, lights, halfway):
    """Linear RGB of a surface in the key light, the fill light and the light from sky and ground, with highlights."""
    r, g, b = colour
    nx, ny, nz = normal
    inverse = np.float32(1) / np.float32(math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9)
    nx, ny, nz = nx * inverse, ny * inverse, nz * inverse
    key = (nx * lights[KEY, 0] + ny * lights[KEY, 1] + nz * lights[KEY, 2] + np.float32(0.15)) / np.float32(1.15)
    key = max(np.float32(0), key) * (np.float32(0.4) + np.float32(0.6) * occlusion)
    fill = max(np.float32(0), nx * lights[FILL, 0] + ny * lights[FILL, 1] + nz * lights[FILL, 2]) * occlusion
    up = np.float32(0.5) + np.float32(0.5) * (nx * lights[UP, 0] + ny * lights[UP, 1] + nz * lights[UP, 2])
    half = max(np.float32(0), np.float32(nx * halfway[0] + ny * halfway[1] + nz * halfway[2]))
    glint = shine * half**power
    light = key, fill, up * occlusion, (np.float32(1) - up) * occlusion
    return (
        r * _light(light, lights, 0) + glint * lights[KEY_COLOUR, 0],
        g * _light(light, lights, 1) + glint * lights[KEY_COLOUR, 1],
        b * _light(light, lights, 2) + glint * lights[KEY_COLOUR, 2],
    )


@njit(fastmath=True, inline="always")
def _light(light, lights, channel):
    """The light of one channel that falls on a surface from all four sources."""
    key, fill, ambient, under = light
    return (
        key * lights[KEY_COLOUR, channel]
        + fill * lights[FILL_COLOUR, channel]
        + ambient * lights[SKY_COLOUR, channel]
        + under * lights[GROUND_COLOUR, channel]
    )
