"""What a search for bits found, as text for a terminal."""

from statistics import mean

from pipeline.au_bits_results import FOLDS, of_several_folds
from pipeline.reporting import words

NAME_WIDTH, COLUMN_WIDTH = 8, 9


def in_words(found: dict) -> str:
    """A table of F1 by action unit and bits with the choice, and what it saves and costs; `found`: au_bits.json."""
    trainings = len(found["trainings"])
    over = "one training" if trainings == 1 else f"the mean of {trainings} trainings"
    lines = [f"F1 on the {found['labels']}, {over}, weights as trained:", *_table(found), _sizes(found), _cost(found)]
    if found["undefined"]:
        names, equal = words.listing(found["undefined"]), _bits(found["uniform_bits"])
        lines.append(
            f"No positive validation label, so F1 is undefined: {names}. Kept at {equal} as far as the budget lets."
        )
    if of_several_folds(found):
        lines.append(" ".join(FOLDS))
    return "\n".join(lines)


def _table(found: dict) -> list[str]:
    heads = [_bits(bits) for bits in found["candidates"]]
    rows = [_row("", [*heads, "chosen"])]
    for name, scores in found["f1"].items():
        rows.append(_row(name, [*(_score(scores[bits]) for bits in found["candidates"]), str(found["choice"][name])]))
    means = [_mean_score(found, dict.fromkeys(found["f1"], bits)) for bits in found["candidates"]]
    average = mean(found["choice"].values())
    return [*rows, _row("mean", [*map(_score, means), f"{average:.2f}"])]


def _row(name: str, cells: list[str]) -> str:
    return f"  {name:<{NAME_WIDTH}}" + "".join(f"{cell:>{COLUMN_WIDTH}}" for cell in cells)


def _sizes(found: dict) -> str:
    heads, network = found["size_bits"]["heads"], found["size_bits"]["network"]
    share = words.percent(heads["chosen"] / heads["uniform"], 0)
    return (
        f"Hidden weights of the heads: {words.count(heads['chosen'])} packed bits instead of "
        f"{words.count(heads['uniform'])} with {_bits(found['uniform_bits'])} everywhere ({share}; the budget is "
        f"{words.percent(found['size_budget'], 0)}). All weights of the network: {words.count(network['chosen'])} instead "
        f"of {words.count(network['uniform'])}."
    )


def _cost(found: dict) -> str:
    chosen = _mean_score(found, found["choice"])
    if chosen is None:
        return "No action unit has an F1 to go by."
    sentence = f"Mean F1 before any retraining: {_score(chosen)} with the chosen bits"
    if found["uniform_bits"] in found["candidates"]:
        equal = _mean_score(found, dict.fromkeys(found["f1"], found["uniform_bits"]))
        sentence += f", {_score(equal)} with {_bits(found['uniform_bits'])} everywhere"
    return sentence + ". The choice was made by these numbers, so only a training with it tells."


def _mean_score(found: dict, bits: dict[str, int]) -> float | None:
    scores = [row.get(bits[name]) for name, row in found["f1"].items()]
    scores = [score for score in scores if score is not None]
    return mean(scores) if scores else None


def _bits(number: int) -> str:
    return f"{number} bits"


def _score(score: float | None) -> str:
    return words.NOT_APPLICABLE if score is None else f"{score:.3f}"
