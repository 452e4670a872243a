"""How a study was measured, from what its runs recorded: what all methods share, and what a number means."""

from collections.abc import Iterable, Mapping

from pipeline.reporting import words
from pipeline.reporting.blocks import Block, Paragraph
from pipeline.reporting.read import Json, mapping
from pipeline.reporting.study_contest import shared
from pipeline.reporting.study_numbers import LEVEL, StudyNumbers
from pipeline.reporting.study_words import arm_name
from pipeline.study.results import Result, Results

SHARED = (
    "All methods of a condition, seed and fold share the training images, the wrong labels, the order of the batches "
    "and the initial weights; only the method differs. So differences are taken run by run, between equal seeds and "
    "folds. A seed changes the wrong labels, what is held out for validation, the order and the initial weights, not "
    "which examples there are."
)
MEMORISED = (
    "Wrong labels memorised: the share of the wrong training labels looked at that the network gives back. One that "
    "memorises nothing gives back some too: what it gets wrong, it spreads over all wrong answers."
)
FEW_PAIRS = 5
FEW = (
    " With so few pairs they rest on the differences being normally distributed, and their widths differ much by chance: "
    "a narrow one is not a better measured one."
)
NOISE = {
    "uniform": "exactly the stated share of them, drawn by the seed, is drawn anew over all classes, the true one included",
    "pair_flip": "exactly the stated share of them, drawn by the seed, moves to the next class",
    "matrix": "each follows the transition matrix of the configuration",
    "per_label": "each action unit's are turned round at its own rate",
    "annotators": "as annotators err: onsets and offsets shifted, bouts missed and invented",
}
STATISTICS = {
    "reestimate": "Before every evaluation the statistics of batch norm and activations are estimated anew on {batches} "
    "training batches, for all methods alike: moving averages lag behind the weights and would measure that lag.",
    "moving": "Batch norm and activations are evaluated with their moving averages, which lag behind the weights.",
}
COMPARED = ("data", "noise", "model", "loss", "train")
NOT_COMPARED = ("data.folds",)


def method_blocks(results: Results, numbers: StudyNumbers) -> Iterable[Block]:
    """What is shared, the corruption, the statistics, the epoch that counts, the intervals."""
    configs = [cell.config for cell in results.cells if cell.config]
    yield Paragraph(SHARED + _exceptions(results, numbers))
    if noise := _noise(configs):
        yield Paragraph(noise)
    statistics = {
        (train.get("statistics"), train.get("statistics_batches")) for train in (mapping(c, "train") for c in configs)
    }
    for kind, batches in sorted(statistics, key=str):
        if kind in STATISTICS:
            yield Paragraph(STATISTICS[kind].format(batches=batches))
    yield Paragraph(_epochs(results))
    yield Paragraph(_intervals(results, numbers))
    if not numbers.multilabel and any(row.memorised for table in numbers.conditions for row in table.rows):
        yield Paragraph(MEMORISED)


def _noise(configs: list[Json]) -> str:
    kinds = dict.fromkeys(mapping(config, "noise").get("kind", "none") for config in configs)
    known = [f"{kind.replace('_', '-')}: {NOISE[kind]}" for kind in kinds if kind in NOISE]
    if not known:
        return ""
    return (
        f"Wrong labels, of the training and the validation part ({'; '.join(known)}): training does not know which they "
        "are. The test set keeps its labels."
    )


def _epochs(results: Results) -> str:
    selected: dict[str, dict[str, None]] = {}
    for cell in results.cells:
        if name := cell.scores.get("selection"):
            selected.setdefault(str(name), {})[cell.variant] = None
    early = [variant for name, found in selected.items() if name.startswith("early") for variant in found]
    rule = f"; for {words.listing(early)} the best by noisy validation labels" if early else ""
    return (
        f"The epoch that counts is the last one{rule}, never one chosen by the test set. Below best epoch: how much "
        "higher the test score was at the epoch best on the test set, of those evaluated after any warm-up and after "
        "pruning was complete. That is what not knowing when to stop costs, and a little more: the best of several "
        "looks at the test set is never below zero."
    )


def _intervals(results: Results, numbers: StudyNumbers) -> str:
    adjusted = (
        f" The adjusted intervals (Bonferroni) hold for all {numbers.comparisons} comparisons with {numbers.reference} "
        "together; no other interval is adjusted."
    )
    return (
        f"Intervals: Student's t at {words.percent(LEVEL, 0)} over the pairs, taking them as independent. They share "
        f"their test {shared(numbers)}, so an interval speaks of new seeds on these data, not of other data."
        + FEW * (len(results.seeds) * len(results.folds) < FEW_PAIRS)
        + adjusted * (numbers.comparisons > 1)
    )


def _exceptions(results: Results, numbers: StudyNumbers) -> str:
    """What else than its methods distinguishes a variant from the reference, by the configurations of its runs."""
    found: dict[str, list[str]] = {}
    for variant, setting in results.arms:
        pairs = _pairs(results, numbers, variant, setting)
        keys = dict.fromkeys(key for both in pairs for key in _differing(*both))
        if keys:
            found.setdefault(", ".join(keys), []).append(arm_name(variant, setting))
    listed = [f"{words.listing(arms)} (by {keys})" for keys, arms in found.items()]
    return f" Other than by its methods, {words.listing(listed)} differs from {results.reference}." if listed else ""


def _pairs(results: Results, numbers: StudyNumbers, variant: str, setting: str) -> Iterable[tuple[Result, Result]]:
    """Its cells, each with the one of the reference at the setting that stands for it."""
    chosen = numbers.chosen[results.reference]
    if chosen is None:
        return
    reference = {
        (tuple(cell.condition.values()), cell.pair): cell
        for cell in results.select(results.reference, chosen)
        if cell.config
    }
    for cell in results.select(variant, setting):
        other = reference.get((tuple(cell.condition.values()), cell.pair))
        if cell.config and other:
            yield cell, other


def _differing(cell: Result, other: Result) -> list[str]:
    """Dotted keys outside the methods, and outside the settings of the variant, whose values differ."""
    mine, theirs = _flat(cell.config), _flat(other.config)
    return [key for key in mine | theirs if mine.get(key) != theirs.get(key) and key not in cell.values]


def _flat(config: Json) -> dict[str, object]:
    found: dict[str, object] = {}
    for section in COMPARED:
        found |= _leaves(section, config.get(section))
    return {key: value for key, value in found.items() if key not in NOT_COMPARED}


def _leaves(key: str, value: object) -> dict[str, object]:
    if not isinstance(value, Mapping):
        return {key: value}
    return {name: leaf for part, inner in value.items() for name, leaf in _leaves(f"{key}.{part}", inner).items()}
