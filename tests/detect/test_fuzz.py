"""Damaged models and images are refused or read; benchmarks/fuzz_loaders.py does the same at length."""

from pathlib import Path

import pytest

from benchmarks.fuzz_loaders import ATTEMPTS, attempt, fuzz
from benchmarks.samples.damage import KINDS, damaged
from tests.detect.detect_samples import MODEL
from tests.faces.portrait import PORTRAIT_FILE

ALLOWED = {"model": {"refused"}, "sidecar": {"refused", "read"}, "image": {"refused", "read"},
           "video": {"refused", "read", "read in part"}, "odd": {"refused", "read", "read in part"}}  # fmt: skip


def test_damage_is_the_same_for_the_same_seed_and_never_none():
    content = PORTRAIT_FILE.read_bytes()
    files = [damaged(content, seed) for seed in range(50)]
    assert files == [damaged(content, seed) for seed in range(50)]
    assert content not in files and len(set(files)) > 45 and len(KINDS) == 7


@pytest.mark.parametrize("kind", ALLOWED)
def test_damaged_files_neither_crash_nor_hang(kind: str):
    outcomes = fuzz(kind, 40)
    assert set(outcomes) <= ALLOWED[kind] and outcomes.total() == 40


def test_an_unexpected_exception_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(folder: Path, seed: int) -> str:
        raise RuntimeError("seed", seed)

    monkeypatch.setitem(ATTEMPTS, "image", broken)
    assert attempt("image", tmp_path, 3).startswith("unexpected RuntimeError")


def test_a_whole_model_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("benchmarks.fuzz_loaders.damaged", lambda content, seed: content)
    assert {kind: attempt(kind, tmp_path, 0) for kind in ATTEMPTS} == dict.fromkeys(ATTEMPTS, "read")
    assert (MODEL / "model.json").exists()
