"""The comparison of threshold rules: what it compares, on subjects made up here."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import thresholds
from benchmarks.thresholds import RULES, Part, as_trained, at_random, drawn_in, markdown, shipped
from pipeline.runs.folder import Training


def part(first: int, subjects: int) -> Part:
    """20 examples a subject of 3 action units, called present too rarely."""
    rng = np.random.default_rng(first)
    labels = rng.choice([0, 1], (20 * subjects, 3)).astype(np.uint8)
    noisy = np.where(rng.random(labels.shape) < 0.1, 1 - labels, labels)
    people = np.repeat([f"F{first + k:03d}" for k in range(subjects)], 20)
    return Part(4.0 * labels - 3 + rng.normal(size=labels.shape) * 2, noisy, labels, people)


PARTS = {Training(seed, 1): (part(0, 4), part(4, 8)) for seed in (1, 2)}


def test_what_is_shipped_is_the_rule_of_ten_subjects():
    whole = part(0, 4)
    np.testing.assert_allclose(shipped(whole), drawn_in(10)(whole))


def test_every_rule_has_a_row_with_its_gain_over_a_half():
    table = as_trained(PARTS)
    assert set(table["rule"]) == {"0.5", *RULES} and len(table) == 2 * (1 + len(RULES))
    plain = table[table["rule"] == "0.5"]
    assert (plain["gain"] == 0).all() and (plain["low"] == 0.5).all()
    for _, own in table.groupby("rule"):
        np.testing.assert_allclose(own["f1"].to_numpy() - own["gain"].to_numpy(), plain["f1"])
    text = "\n".join(markdown(SimpleNamespace(name="faces"), table, at_random(PARTS, 1)))
    assert text.count("\n| ") == 2 + len(RULES) and "nan" not in text


def test_no_subject_chooses_and_judges(monkeypatch: pytest.MonkeyPatch):
    seen = []
    monkeypatch.setattr(thresholds, "RULES", {"spy": lambda chosen: seen.append(chosen) or np.full(3, 0.5)})
    monkeypatch.setattr(thresholds, "mean_f1", lambda judged, _: seen.append(judged) or 0.0)
    at_random(PARTS, 2)
    pairs = [
        (set(choosers.subjects), set(judges.subjects)) for choosers, judges in zip(seen[1::3], seen[2::3], strict=True)
    ]
    assert {len(choosers) for choosers, _ in pairs} == {4, 8} and len(pairs) == 8
    assert all(not choosers & judges and len(choosers | judges) == 12 for choosers, judges in pairs)
