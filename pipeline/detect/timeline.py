"""Action units over time, a plot a face: a strip an action unit, its probability as a curve, its presence as colour."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.detect.disk import replacing
from pipeline.detect.history import FaceHistory, Histories, keep_longest
from pipeline.detect.names import FACS_NAMES
from pipeline.detect.outputs import Observation, Output
from pipeline.errors import UserError
from pipeline.reporting.svg import Scale, text_at, ticks

WIDTH, LEFT, RIGHT, ROW, GAP, TOP, BOTTOM = 960, 190, 70, 26, 8, 54, 44
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
    """An .svg or .html file with a plot for every face, written when all is over; raises UserError for other endings."""

    def __init__(self, path: Path, thresholds: Mapping[str, float]):
        if path.suffix.lower() not in ENVELOPES:
            raise UserError(f"--timeline {path}: the ending must be .svg or .html")
        self._path, self._thresholds = path, dict(thresholds)
        self._videos: list[tuple[str, Histories]] = []
        self._open = False

    def write(self, seen: Observation) -> None:
        """Add the frame to the histories of its faces; single images have no time and no place here."""
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
        """The next frame is of another video."""
        self._open = False
        keep_longest([histories for _, histories in self._videos])

    def close(self) -> None:
        """Write the file."""
        self.end()
        svg = render(self._videos, self._thresholds)
        with replacing(self._path) as temporary:
            temporary.write_text(ENVELOPES[self._path.suffix.lower()](svg), encoding="utf-8")


def render(videos: list[tuple[str, Histories]], thresholds: Mapping[str, float]) -> str:
    """One svg with a plot for each face."""
    plots, y = [], 0.0
    for name, histories in videos:
        for number, history in sorted(histories.faces.items()):
            plot = _plot(f"{name}, face {number}", history, histories.seconds, thresholds)
            plots.append(f'<g transform="translate(0 {y:.0f})">\n{plot}\n</g>')
            y += TOP + len(thresholds) * (ROW + GAP) + BOTTOM
    if not plots:
        plots, y = [text_at("title", 16, 30, "No face was seen over time.")], 48
    frame = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:.0f}" role="img" aria-label="{TITLE}">'
    return "\n".join([frame, *plots, "</svg>"])


def _page(svg: str) -> str:
    return PAGE.format(title=TITLE, style=STYLE, svg=svg)


def _alone(svg: str) -> str:
    start = svg.index(">") + 1
    return f"{svg[:start]}\n<style>{STYLE}</style>{svg[start:]}\n"


ENVELOPES = {".svg": _alone, ".html": _page}


def _plot(title: str, history: FaceHistory, seconds: float, thresholds: Mapping[str, float]) -> str:
    last = max(seconds, history.width)
    across = Scale(0, last, LEFT, WIDTH - RIGHT)
    frames, shares = history.frames.sum(), history.present_share()
    parts = [
        text_at("title", 16, 24, title),
        text_at("soft", 16, 42, f"{frames} frames. {KEY}"),
    ]
    for row, (label, threshold) in enumerate(thresholds.items()):
        up = Scale(0, 1, TOP + row * (ROW + GAP) + ROW, TOP + row * (ROW + GAP))
        parts += _strip(label, threshold, row, history, across, up)
        parts.append(text_at("soft", WIDTH - RIGHT + 10, up(0) - 8, f"{shares[row]:.0%}"))
    base = TOP + len(thresholds) * (ROW + GAP) + 12
    parts += [text_at("soft", across(tick), base, _clock(tick, last), "middle") for tick in ticks(0, last, 8)]
    return "\n".join(parts)


def _strip(label: str, threshold: float, row: int, history: FaceHistory, across: Scale, up: Scale) -> list[str]:
    """The label and the curve of an action unit."""
    parts = [
        text_at("label", 16, up(0) - 8, label),
        text_at("soft", 62, up(0) - 8, FACS_NAMES.get(label, "")),
        f'<path class="base" d="M{LEFT} {up(0):.1f}H{WIDTH - RIGHT}"/>',
    ]
    middle = [f'<path class="threshold" d="M{LEFT} {up(threshold):.1f}H{WIDTH - RIGHT}"/>']
    for piece in _pieces(history):
        frames = history.frames[piece]
        x = [across(place * history.width) for place in (*piece, piece[-1] + 1)]
        there = 2 * history.presences[piece, row] >= frames
        for start, end in _runs(there):
            parts.append(
                f'<rect class="on" x="{x[start]:.1f}" y="{up(1):.1f}" width="{x[end] - x[start]:.1f}" height="{ROW}"/>'
            )
        means = history.probabilities[piece, row] / frames
        line = "L".join(f"{place:.1f} {up(mean):.1f}" for place, mean in zip(x, means, strict=False))
        middle.append(f'<path class="area" d="M{x[0]:.1f} {up(0):.1f}L{line}L{x[-2]:.1f} {up(0):.1f}Z"/>')
        middle.append(f'<path class="curve" d="M{line}"/>')
    return parts + middle


def _pieces(history: FaceHistory) -> list[np.ndarray]:
    """The bins in which the face was seen, parted where it was away for long."""
    bins = np.flatnonzero(history.frames)
    return (
        np.split(bins, np.flatnonzero(np.diff(bins) * history.width > _longest_gap(history)) + 1) if len(bins) else []
    )


def _longest_gap(history: FaceHistory) -> float:
    """Seconds without the face after which its curve is broken: well above the usual distance of frames."""
    bins = np.flatnonzero(history.frames)
    return 4 * history.width * float(np.median(np.diff(bins))) if len(bins) > 1 else history.width


def _runs(there: np.ndarray) -> list[tuple[int, int]]:
    """First and one-past-last place of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], there.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _clock(seconds: float, last: float) -> str:
    """1:05 for 65 seconds; with tenths below ten seconds of video."""
    if last < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
