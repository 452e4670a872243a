"""Marks of points that stay apart without colour."""

from typing import Literal

Marker = Literal["dot", "square", "triangle", "diamond", "down", "cross", "plus", "ring"]
MARKERS: tuple[Marker, ...] = ("dot", "square", "triangle", "diamond", "down", "cross", "plus", "ring")
OUTLINES = {
    "square": "m-{b} -{b}h{B}v{B}h-{B}Z",
    "triangle": "m0 -{c}l{c} {w}h-{C}Z",
    "diamond": "m0 -{c}l{c} {c}l-{c} {c}l-{c} -{c}Z",
    "down": "m0 {c}l{c} -{w}h-{C}Z",
    "cross": "m-{b} -{b}l{B} {B}m0 -{B}l-{B} {B}",
    "plus": "m-{c} 0h{C}m-{c} -{c}v{C}",
}
OPEN = ("cross", "plus", "ring")


def marker(shape: Marker, css: str, x: float, y: float, radius: float = 4.0) -> str:
    """One mark in the middle of (x, y), about twice `radius` pixels wide."""
    css = f"{'open' if shape in OPEN else 'mark'} {css}"
    if shape in ("dot", "ring"):
        return f'<circle class="{css}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>'
    half, whole, side = 0.88 * radius, 1.2 * radius, 2.04 * radius
    sizes = {"b": half, "B": 2 * half, "c": whole, "C": 2 * whole, "w": side}
    path = OUTLINES[shape].format(**{name: f"{size:.2f}" for name, size in sizes.items()})
    return f'<path class="{css}" d="M{x:.1f} {y:.1f}{path}"/>'
