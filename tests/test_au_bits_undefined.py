"""Choosing bits where F1 is undefined, and what is said of choices from several folds."""

from pathlib import Path

import pytest

from pipeline.au_bits import choose_bits
from pipeline.au_bits_results import choose, config_text
from pipeline.au_bits_settings import SearchSettings
from pipeline.au_bits_words import in_words
from pipeline.config import load_config

FACES = str(Path(__file__).resolve().parents[1] / "qat_configs" / "synthetic_faces.yaml")
SIZES = {"AU1": 80, "AU12": 80}
TABLE = {"AU1": {2: 0.5, 3: 0.6, 8: 0.7}, "AU12": {2: None, 3: None, 8: None}}
WARNING = "one fold's validation subjects are another's test subjects"


def found(trainings: tuple[str, ...], candidates: tuple[int, ...] = (2, 3, 8), uniform: int = 4) -> dict:
    measured = {"f1": TABLE, "head_weights": SIZES, "other_bits": 1000}
    return choose(dict.fromkeys(trainings, measured), uniform, SearchSettings(0.01, 1.5, candidates))


def test_a_unit_without_f1_keeps_the_equal_bits():
    assert choose_bits(TABLE, SIZES, 0.01, uniform=4) == {"AU1": 8, "AU12": 4}
    assert choose_bits(TABLE, SIZES, 0.01) == {"AU1": 8, "AU12": 8}


@pytest.mark.parametrize(
    ("budget", "expected"), [(120, (8, 4)), (70, (3, 4)), (60, (2, 4)), (50, (2, 3)), (40, (2, 2))]
)
def test_it_is_the_last_to_step_down_one_width_at_a_time(budget: int, expected: tuple[int, int]):
    assert tuple(choose_bits(TABLE, SIZES, 0.01, budget, uniform=4).values()) == expected


def test_the_words_say_so_even_if_the_equal_bits_were_not_tried():
    text = in_words(found(("seed1-fold1",)))
    assert "F1 is undefined: AU12. Kept at 4 bits as far as the budget lets." in text
    assert "Mean F1 before any retraining: 0.700 with the chosen bits." in text


@pytest.mark.parametrize(
    ("trainings", "warned"),
    [(("seed1-fold1", "seed1-fold2"), True), (("seed1-fold2", "seed2-fold2"), False), (("seed1", "seed2"), False)],
)
def test_several_folds_are_warned_of_in_words_and_in_the_config(trainings: tuple[str, ...], warned: bool):
    result = found(trainings)
    header = config_text(load_config(FACES), result, Path("x.yaml")).partition("\ndata:")[0]
    comments = " ".join(line.removeprefix("# ") for line in header.splitlines() if line.startswith("# "))
    assert (WARNING in in_words(result), WARNING in comments) == (warned, warned)
