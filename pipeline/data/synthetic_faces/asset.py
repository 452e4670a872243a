"""The head mesh and the shapes it can take, as `build_asset` wrote them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

ASSET = Path(__file__).with_name("head.npz")
BODY, LEFT_EYE, RIGHT_EYE, TEETH = range(4)


@dataclass(frozen=True)
class Head:
    """V vertices in decimetres, y up, z towards the viewer, x towards the left of the person (image right).

    `points` float32 (V, 3), `triangles` int32 (T, 3), `part` (V,) one of the codes above, `lips`, `eyelids`, `mouth` and
    `occlusion` float32 (V,) in 0..1; `units`, `macros` and `locals` are offsets float32 (V, 3) by name.
    """

    points: np.ndarray
    triangles: np.ndarray
    part: np.ndarray
    lips: np.ndarray
    eyelids: np.ndarray
    mouth: np.ndarray
    occlusion: np.ndarray
    units: dict[str, np.ndarray]
    macros: dict[str, np.ndarray]
    locals: dict[str, np.ndarray]


@cache
def head() -> Head:
    """The head in the package data."""
    with np.load(ASSET) as file:
        masks = {
            name: file[name].astype(np.float32) / np.float32(255) for name in ("lips", "eyelids", "mouth", "occlusion")
        }
        shapes = {f"{kind}s": _offsets(file, kind) for kind in ("unit", "macro", "local")}
        return Head(file["points"], file["triangles"].astype(np.int32), file["part"], **masks, **shapes)


def _offsets(file: np.lib.npyio.NpzFile, kind: str) -> dict[str, np.ndarray]:
    codes, scales = file[f"{kind}_codes"], file[f"{kind}_scales"]
    parts = zip(file[f"{kind}_names"].tolist(), codes, scales, strict=True)
    return {name: np.ascontiguousarray(code.T * scale, dtype=np.float32) for name, code, scale in parts}
