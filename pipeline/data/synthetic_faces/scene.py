"""Pose, light, camera and background: one sequence's setting and how it drifts."""

from dataclasses import dataclass

import cv2
import numpy as np

EYE_DISTANCES_ACROSS = 3.6  # width of the frame
EYE_LINE = 0.41  # share of the height
CAMERA_DISTANCE = 9.0  # decimetres
BACKGROUND = 24  # side of the coarse background
POSE_SD = np.array([7, 4, 2.5])  # yaw, pitch, roll in degrees, between sequences
DRIFT = np.array([4, 3, 2])  # and within one


@dataclass(frozen=True)
class Scene:
    """One frame's setting: angles in degrees, shift in shares of the frame, unit vectors (3,) towards the lights, linear RGB.

    `nuisances` are the intensities of person.NUISANCES; `gaze` (2,) in decimetres; `background` (BACKGROUND, BACKGROUND, 3).
    """

    pose: np.ndarray
    shift: np.ndarray
    zoom: float
    gaze: np.ndarray
    nuisances: np.ndarray
    key: np.ndarray
    key_colour: np.ndarray
    fill: np.ndarray
    fill_colour: np.ndarray
    sky: np.ndarray
    ground: np.ndarray
    background: np.ndarray
    grain: float


def sample_scenes(rng: np.random.Generator, count: int) -> list[Scene]:
    """The scenes of a sequence's `count` frames: one setting whose pose, light and gaze drift slowly."""
    pose = rng.normal(size=3) * POSE_SD + _drift(rng, count, 3) * DRIFT
    shift = rng.normal(size=2) * 0.012 + _drift(rng, count, 2) * 0.008
    zoom = rng.uniform(0.94, 1.04) + 0.015 * _drift(rng, count, 1)[:, 0]
    gaze = 0.012 * rng.normal(size=2) + 0.02 * _drift(rng, count, 2, wave=3)
    light = np.array([rng.normal(0, 0.65), rng.normal(0.45, 0.35)]) + 0.15 * _drift(rng, count, 2)
    contrast, warmth, exposure = rng.uniform(0.25, 0.75), rng.normal(0, 0.08), rng.uniform(0.6, 1.0)
    tint, fill_tint = np.array([1 + warmth, 1, 1 - warmth]), 1 + rng.normal(0, 0.06, 3)
    fill_turn, backdrop, grain = rng.uniform(0.6, 1.6), _background(rng), rng.uniform(0.003, 0.02)
    speech = _speech(rng, count)
    scenes = []
    for frame in range(count):
        turn, height = light[frame]
        scenes.append(
            Scene(
                pose=np.clip(pose[frame], [-28, -18, -10], [28, 18, 10]),
                shift=shift[frame],
                zoom=float(zoom[frame]),
                gaze=gaze[frame],
                nuisances=speech[frame],
                key=_direction(turn, height),
                key_colour=1.9 * contrast * exposure * tint,
                fill=_direction(-np.sign(turn or 1) * fill_turn, 0.1),
                fill_colour=0.35 * exposure * fill_tint,
                sky=(1.05 - 0.55 * contrast) * exposure * np.ones(3),
                ground=(0.5 - 0.3 * contrast) * exposure * (1 + 0.1 * rng.normal(size=3)),
                background=backdrop,
                grain=grain,
            )
        )
    return scenes


def still_scene(rng: np.random.Generator) -> Scene:
    """A frontal scene without grain for contact sheets; its light and background are random."""
    scene = sample_scenes(rng, 1)[0]
    values = dict(
        vars(scene),
        pose=scene.pose * 0.25,
        grain=0.0,
        shift=np.zeros(2),
        nuisances=np.zeros_like(scene.nuisances),
        gaze=np.zeros(2),
    )
    return Scene(**values)


def _drift(rng: np.random.Generator, count: int, axes: int, wave: float = 8) -> np.ndarray:
    """Smooth noise (count, axes) of SD about 1 that changes over `wave` frames."""
    knots = rng.normal(size=(max(2, round(count / wave) + 2), axes)).astype(np.float32)
    return cv2.resize(knots, (axes, count), interpolation=cv2.INTER_CUBIC).reshape(count, axes)


def _speech(rng: np.random.Generator, count: int) -> np.ndarray:
    """Intensities (count, 4) of jaw, blink, funnel and puff: talking at times, a blink now and then."""
    talks = _drift(rng, count, 1)[:, 0] > rng.uniform(0.4, 1.6)
    jaw = talks * np.abs(rng.normal(0, 0.13, count))
    blink = np.where(rng.random(count) < 0.05, rng.uniform(0.4, 1, count), 0)
    funnel = talks * np.clip(rng.normal(0, 0.15, count), 0, 0.35)
    puff = np.where(rng.random(count) < 0.03, rng.uniform(0.1, 0.5, count), 0)
    return np.stack([np.clip(jaw, 0, 0.4), blink, funnel, puff], 1)


def _background(rng: np.random.Generator) -> np.ndarray:
    """A wall, a gradient or a blurred room, float32 linear RGB."""
    corners = rng.uniform(0.03, 0.75) * (1 + 0.15 * rng.normal(size=(2, 2, 3))) * rng.uniform(0.5, 1.3, (2, 2, 1))
    smooth = cv2.resize(corners.astype(np.float32), (BACKGROUND, BACKGROUND))
    for _ in range(rng.choice([0, 2, 6])):
        column, row = rng.integers(0, BACKGROUND, 2)
        width, height = rng.integers(2, 14, 2)
        smooth[row : row + height, column : column + width] = rng.uniform(0.02, 0.7, 3)
    return np.clip(cv2.GaussianBlur(smooth, (0, 0), rng.uniform(0.5, 2)), 0, 1)


def _direction(turn: float, height: float) -> np.ndarray:
    return np.array([np.sin(turn) * np.cos(height), np.sin(height), np.cos(turn) * np.cos(height)])
