"""What is in the SVG of a chart: shapes, where its text lies (estimated from its letters), what of it collides."""

import itertools
import re
from dataclasses import dataclass
from xml.etree import ElementTree

SIZES = {"title": 14, "tick": 12, "axis": 12, "end": 12}
LETTER = 0.56  # of the font's size: the mean width of a letter
ANCHORS = {"start": 0.0, "middle": 0.5, "end": 1.0}


@dataclass(frozen=True)
class Box:
    """A line of text and its rectangle in pixels."""

    words: str
    left: float
    top: float
    right: float
    bottom: float

    def hits(self, other: "Box") -> bool:
        """Whether two lines of text cover one another by more than a pixel."""
        across = min(self.right, other.right) - max(self.left, other.left)
        return across > 1 and min(self.bottom, other.bottom) - max(self.top, other.top) > 1


def boxes(svg: str) -> list[Box]:
    """All lines of text of one chart."""
    found = []
    for element in ElementTree.fromstring(svg).iter():
        if element.tag.rpartition("}")[2] == "text" and element.text:
            size = SIZES.get(element.get("class"), 12.5)
            width = LETTER * size * len(element.text)
            left = float(element.get("x")) - ANCHORS[element.get("text-anchor", "start")] * width
            base = float(element.get("y"))
            found.append(Box(element.text, left, base - 0.72 * size, left + width, base + 0.2 * size))
    return found


def collisions(svg: str) -> list[tuple[str, str]]:
    """Pairs of texts that cover one another."""
    return [(one.words, other.words) for one, other in itertools.combinations(boxes(svg), 2) if one.hits(other)]


def outside(svg: str) -> list[str]:
    """Texts that leave the canvas by more than two pixels."""
    width, height = map(float, re.match(r'<svg viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups())
    return [
        box.words
        for box in boxes(svg)
        if box.left < -2 or box.right > width + 2 or box.top < -2 or box.bottom > height + 2
    ]


def shapes(svg: str, css: str) -> list[dict]:
    """The attributes of every shape of exactly this class."""
    return [shape.attrib for shape in ElementTree.fromstring(svg).iter() if css == shape.attrib.get("class")]


def points(path: str) -> list[tuple[float, ...]]:
    """The corners of a path of straight lines."""
    return [tuple(map(float, pair)) for pair in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path)]
