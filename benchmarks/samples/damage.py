"""Random damage to files, reproducible by seed."""

import numpy as np


def damaged(content: bytes, seed: int) -> bytes:
    """The content cut, flipped, overwritten, shortened, repeated or scrambled somewhere; never unchanged."""
    rng = np.random.default_rng(seed)
    while True:
        changed = KINDS[rng.integers(len(KINDS))](bytearray(content), rng)
        if changed != content:
            return bytes(changed)


def _cut(content: bytearray, rng: np.random.Generator) -> bytearray:
    return content[: rng.integers(len(content))]


def _flip(content: bytearray, rng: np.random.Generator) -> bytearray:
    for place in rng.integers(len(content), size=rng.integers(1, 30)):
        content[place] ^= 1 << int(rng.integers(8))
    return content


def _flip_header(content: bytearray, rng: np.random.Generator) -> bytearray:
    for place in rng.integers(min(len(content), 400), size=rng.integers(1, 8)):
        content[place] = int(rng.integers(256))
    return content


def _overwrite(content: bytearray, rng: np.random.Generator) -> bytearray:
    start, end = _range(content, rng)
    content[start:end] = rng.bytes(end - start) if rng.integers(2) else bytes(end - start)
    return content


def _remove(content: bytearray, rng: np.random.Generator) -> bytearray:
    start, end = _range(content, rng)
    del content[start:end]
    return content


def _repeat(content: bytearray, rng: np.random.Generator) -> bytearray:
    start, end = _range(content, rng)
    content[start:start] = content[start:end]
    return content


def _extreme_numbers(content: bytearray, rng: np.random.Generator) -> bytearray:
    """Set lengths and offsets in headers to extreme values."""
    for place in rng.integers(max(1, min(len(content), 2000) - 4), size=rng.integers(1, 4)):
        content[place : place + 4] = (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", bytes(4))[rng.integers(3)]
    return content


def _range(content: bytearray, rng: np.random.Generator) -> tuple[int, int]:
    start = int(rng.integers(len(content)))
    return start, min(len(content), start + int(rng.integers(1, 2000)))


KINDS = (_cut, _flip, _flip_header, _overwrite, _remove, _repeat, _extreme_numbers)
