"""Action units over time as an SVG or HTML file: a plot per face, from a history of bounded size.

The plot is drawn by hand because detection runs on devices without matplotlib.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np

from pipeline.action_units.labels import FACS_NAMES
from pipeline.detect.outputs import Observation, Output, replacing
from pipeline.errors import UserError

BINS = 1024  # of a face's history; when they are used up, neighbours are merged
MAX_FACES = 24  # whose histories are kept: those seen longest
MIN_BIN_SECONDS = 0.02  # of a bin at first
WIDTH, LEFT, RIGHT, ROW, GAP, TOP, BOTTOM = 960, 190, 70, 26, 8, 54, 44  # in pixels
MAX_TICKS = 8  # of the time axis
STYLE = """
:root { --page: #ffffff; --ink: #1b1f24; --soft: #5b6570; --rule: #e3e6ea; --line: #0072b2; --fill: #5b6570; --on: #bfe0f5; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171a; --ink: #e8eaed; --soft: #a3adb8; --rule: #2b3138; --line: #56b4e9; --fill: #a3adb8; --on: #17496b; }
}
svg { background: var(--page); font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
.title { font-size: 17px; font-weight: 700; fill: var(--ink); }
.soft { font-size: 12px; fill: var(--soft); }
.label { font-size: 13px; font-weight: 700; fill: var(--ink); }
.base { stroke: var(--rule); fill: none; } .on { fill: var(--on); }
.threshold { stroke: var(--soft); stroke-dasharray: 2 4; stroke-opacity: 0.7; fill: none; }
.curve { stroke: var(--line); stroke-width: 1.5; fill: none; stroke-linejoin: round; }
.area { fill: var(--fill); fill-opacity: 0.18; }
body { margin: 0; padding: 24px; background: var(--page); }
body svg { display: block; max-width: 1200px; margin: 0 auto; width: 100%; }
"""
TITLE = "Action units over time"
KEY = "Curve: probability; dashed: threshold; coloured: present; at the right: share of frames in which it is."
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title}</title>
<style>{style}</style>
</head><body>
{svg}
</body></html>
"""


class Timeline(Output):
    """An .svg or .html file with a plot for every face, written at the end; raises UserError for other endings."""

    def __init__(self, path: Path, thresholds: Mapping[str, float]):
        if path.suffix.lower() not in (".svg", ".html"):
            raise UserError(f"--timeline {path}: the ending must be .svg or .html")
        self._path, self._thresholds = path, dict(thresholds)
        self._videos: list[tuple[str, Histories]] = []
        self._open = False

    def write(self, seen: Observation) -> None:
        """Add the frame to the histories of its faces; single images have no time and are left out."""
        if seen.timestamp is None:
            return
        if not self._open:
            title = "images" if seen.source.kind == "image" else seen.source.short
            self._videos.append((title, Histories(len(self._thresholds))))
            self._open = True
        histories = self._videos[-1][1]
        histories.seconds = seen.timestamp
        for face in seen.faces:
            if face.success:
                histories.add(face.id, seen.timestamp, list(face.probabilities.values()), list(face.present.values()))

    def end(self) -> None:
        """Finish a video: the next frame belongs to another."""
        self._open = False
        keep_longest([histories for _, histories in self._videos])

    def close(self) -> None:
        """Write the file."""
        self.end()
        svg = render(self._videos, self._thresholds)
        text = _page(svg) if self._path.suffix.lower() == ".html" else _with_style(svg)
        with replacing(self._path) as temporary:
            temporary.write_text(text, encoding="utf-8")


@dataclass
class FaceHistory:
    """Sums by bin of time, a bin `width` seconds wide: frames (BINS,), probabilities and presences (BINS, A)."""

    action_units: int
    width: float = MIN_BIN_SECONDS
    frames: np.ndarray = field(init=False)
    probabilities: np.ndarray = field(init=False)
    presences: np.ndarray = field(init=False)

    def __post_init__(self):
        self.frames = np.zeros(BINS, np.int64)
        self.probabilities = np.zeros((BINS, self.action_units))
        self.presences = np.zeros((BINS, self.action_units), np.int64)

    def add(self, seconds: float, probabilities: Sequence[float], present: Sequence[bool]) -> None:
        """Add a frame of the face at a time in seconds."""
        while seconds >= BINS * self.width:
            self._merge()
        place = int(seconds / self.width)
        self.frames[place] += 1
        self.probabilities[place] += probabilities
        self.presences[place] += present

    def present_share(self) -> np.ndarray:
        """The share (A,) of the face's frames in which each action unit was present."""
        return self.presences.sum(axis=0) / max(1, self.frames.sum())

    def _merge(self) -> None:
        for name in ("frames", "probabilities", "presences"):
            old = getattr(self, name)
            new = np.zeros_like(old)
            new[: BINS // 2] = old[::2] + old[1::2]
            setattr(self, name, new)
        self.width *= 2


class Histories:
    """The histories of the faces of one video; those seen longest are kept, never more than 2 x MAX_FACES."""

    def __init__(self, action_units: int):
        self._action_units = action_units
        self.faces: dict[int, FaceHistory] = {}
        self.seconds = 0.0

    def add(self, face: int, seconds: float, probabilities: Sequence[float], present: Sequence[bool]) -> None:
        """Add a frame of a face."""
        if face not in self.faces and len(self.faces) >= 2 * MAX_FACES:
            keep_longest([self])
        self.faces.setdefault(face, FaceHistory(self._action_units)).add(seconds, probabilities, present)


def keep_longest(videos: Sequence[Histories]) -> None:
    """Forget all faces but the MAX_FACES seen longest in all of the videos."""
    lengths = [
        (history.frames.sum(), place, face)
        for place, video in enumerate(videos)
        for face, history in video.faces.items()
    ]
    for _, place, face in sorted(lengths, reverse=True)[MAX_FACES:]:
        del videos[place].faces[face]


def render(videos: list[tuple[str, Histories]], thresholds: Mapping[str, float]) -> str:
    """One svg with a plot for each face."""
    plots, y = [], 0.0
    for name, histories in videos:
        for number, history in sorted(histories.faces.items()):
            plot = _plot(f"{name}, face {number}", history, histories.seconds, thresholds)
            plots.append(f'<g transform="translate(0 {y:.0f})">\n{plot}\n</g>')
            y += TOP + len(thresholds) * (ROW + GAP) + BOTTOM
    if not plots:
        plots, y = [_text("title", 16, 30, "No face was seen over time.")], 48
    frame = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:.0f}" role="img" aria-label="{TITLE}">'
    return "\n".join([frame, *plots, "</svg>"])


def _page(svg: str) -> str:
    return PAGE.format(title=TITLE, style=STYLE, svg=svg)


def _with_style(svg: str) -> str:
    start = svg.index(">") + 1
    return f"{svg[:start]}\n<style>{STYLE}</style>{svg[start:]}\n"


def _plot(title: str, history: FaceHistory, seconds: float, thresholds: Mapping[str, float]) -> str:
    """The plot of a face over a video of `seconds`."""
    last = max(seconds, history.width)
    frames, shares = history.frames.sum(), history.present_share()
    parts = [_text("title", 16, 24, title), _text("soft", 16, 42, f"{frames} frames. {KEY}")]
    for row, (label, threshold) in enumerate(thresholds.items()):
        base = TOP + row * (ROW + GAP) + ROW
        parts += _strip(label, threshold, base, _pieces(history, row, last))
        parts.append(_text("soft", WIDTH - RIGHT + 10, base - 8, f"{shares[row]:.0%}"))
    base = TOP + len(thresholds) * (ROW + GAP) + 12
    parts += [
        _text("soft", _across(tick, last), base, _clock(tick, last), ' text-anchor="middle"') for tick in _ticks(last)
    ]
    return "\n".join(parts)


@dataclass(frozen=True)
class _Piece:
    """A stretch of n bins in which the face was seen: x of their edges (n + 1), mean probabilities and presence (n,)."""

    edges: list[float]
    means: np.ndarray
    present: np.ndarray


def _pieces(history: FaceHistory, row: int, last: float) -> list[_Piece]:
    """An action unit's bins, split where the face was away for long: well above the usual distance of frames."""
    bins = np.flatnonzero(history.frames)
    if not len(bins):
        return []
    distances = np.diff(bins)
    longest = 4 * np.median(distances) if len(distances) else 1
    pieces = []
    for piece in np.split(bins, np.flatnonzero(distances > longest) + 1):
        frames = history.frames[piece]
        edges = [_across(place * history.width, last) for place in (*piece, piece[-1] + 1)]
        means, present = history.probabilities[piece, row] / frames, 2 * history.presences[piece, row] >= frames
        pieces.append(_Piece(edges, means, present))
    return pieces


def _strip(label: str, threshold: float, base: float, pieces: Sequence[_Piece]) -> list[str]:
    """The label and the curve of an action unit, its zero at y = `base`."""
    top, level = base - ROW, base - threshold * ROW
    parts = [
        _text("label", 16, base - 8, label),
        _text("soft", 62, base - 8, FACS_NAMES.get(label, "")),
        f'<path class="base" d="M{LEFT} {base:.1f}H{WIDTH - RIGHT}"/>',
    ]
    for piece in pieces:
        for start, end in _true_runs(piece.present):
            x, width = piece.edges[start], piece.edges[end] - piece.edges[start]
            parts.append(f'<rect class="on" x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{ROW}"/>')
    parts.append(f'<path class="threshold" d="M{LEFT} {level:.1f}H{WIDTH - RIGHT}"/>')
    for piece in pieces:
        first, last = piece.edges[0], piece.edges[-2]
        points = zip(piece.edges, piece.means, strict=False)
        line = "L".join(f"{x:.1f} {base - mean * ROW:.1f}" for x, mean in points)
        parts.append(f'<path class="area" d="M{first:.1f} {base:.1f}L{line}L{last:.1f} {base:.1f}Z"/>')
        parts.append(f'<path class="curve" d="M{line}"/>')
    return parts


def _true_runs(present: np.ndarray) -> list[tuple[int, int]]:
    """First and one-past-last place of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], present.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _across(seconds: float, last: float) -> float:
    """The x of a time, `last` at the right end."""
    return LEFT + seconds / last * (WIDTH - RIGHT - LEFT)


def _ticks(last: float) -> list[float]:
    """At most MAX_TICKS times from 0 to `last` seconds, 1, 2 or 5 times a power of ten apart."""
    raw = last / (MAX_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999999)
    return [index * step for index in range(math.floor(last / step + 1e-9) + 1)]


def _clock(seconds: float, last: float) -> str:
    """1:05 for 65 seconds; with tenths if the video is shorter than ten seconds."""
    if last < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _text(css: str, x: float, y: float, words: str, attributes: str = "") -> str:
    """A line of text with its baseline at y."""
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}"{attributes}>{escape(words)}</text>'
