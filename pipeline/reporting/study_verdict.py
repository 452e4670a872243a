"""The first line of a study's report: which variant won, and how sure that is."""

from pipeline.au_intervals import Difference
from pipeline.reporting import words
from pipeline.reporting.blocks import Tile, Verdict
from pipeline.reporting.study_numbers import StudyNumbers, VariantNumbers
from pipeline.study.results import Results


def judge_study(results: Results, numbers: StudyNumbers) -> Verdict:
    """The verdict on a study, whatever of it is done."""
    missing = [cell for cell in results.cells if not cell.scores]
    failed = sum(cell.state == "failed" for cell in missing)
    warnings = []
    if missing:
        of_them = f", {failed} of them failed" if failed else ""
        warnings.append(
            f"{len(missing)} of {len(results.cells)} runs are missing{of_them}: every number is without them."
        )
    return Verdict(
        state="unfinished" if missing else "pass",
        headline=_headline(numbers),
        text=_text(numbers),
        warnings=tuple(warnings),
    )


def ranking(numbers: StudyNumbers) -> list[VariantNumbers]:
    """The competing variants that share runs with the reference, by their mean difference to it, best first."""
    known = [row for row in numbers.competing if row.difference.mean is not None]
    return sorted(known, key=lambda row: -row.difference.mean)


def _headline(numbers: StudyNumbers) -> str:
    ranked = ranking(numbers)
    if not ranked:
        return f"No result yet: no run of {numbers.reference} is done, or none beside it."
    if len(ranked) == 1:
        return f"No comparison yet: only {ranked[0].name} is done."
    best = ranked[0]
    if best.name == numbers.reference:
        second = ranked[1]
        return f"No variant beats {best.name}; the next is {second.name}, {_change(second)}."
    return f"{best.name} is best: {_change(best)} over {numbers.reference}. {_sureness(best, numbers)}"


def _change(row: VariantNumbers) -> str:
    return words.points(row.difference.mean)


def _sureness(best: VariantNumbers, numbers: StudyNumbers) -> str:
    if best.difference.low is None:
        return "One pair of runs only: it may be chance."
    interval = f"95 % interval {in_points(best.difference)}, {best.difference.pairs} pairs"
    if best.difference.low <= 0:
        return f"It may be chance ({interval})."
    if best.adjusted.low <= 0:
        adjusted = f"{in_points(best.adjusted)} counting all {numbers.comparisons} comparisons"
        return f"Likely but not certain ({interval}; {adjusted})."
    also = f", also counting all {numbers.comparisons} comparisons" if numbers.comparisons > 1 else ""
    shared = "subjects" if numbers.multilabel else "images"
    return f"Hardly chance ({interval}{also}), were the pairs independent; but they share test {shared}."


def in_points(difference: Difference) -> str:
    """The interval as `+0.4 to +2.1`, a dash if there is none."""
    if difference.low is None:
        return words.NOT_APPLICABLE
    low, high = (words.points(end).removesuffix(" points") for end in (difference.low, difference.high))
    return f"{low} to {high}"


def _text(numbers: StudyNumbers) -> str:
    ranked = ranking(numbers)
    listed = [f"{row.name} {words.percent(row.score.mean)}" for row in ranked]
    sentences = [f"Mean {numbers.terms.test} in order: {', '.join(listed)}."] if listed else []
    worse = [row.name for row in ranked if row.difference.high is not None and row.difference.high < 0]
    if worse:
        sentences.append(f"Below {numbers.reference} with 95 % confidence: {words.listing(worse)}.")
    shares = [row for row in numbers.competing if row.memorised]
    if len(shares) > 1:
        least, most = (pick(shares, key=lambda row: row.memorised.mean) for pick in (min, max))
        sentences.append(
            f"Wrong training labels memorised: fewest by {least.name} ({words.percent(least.memorised.mean)}), "
            f"most by {most.name} ({words.percent(most.memorised.mean)})."
        )
    for row in numbers.apart:
        if row.score:
            sentences.append(f"For comparison, {row.name}: {words.percent(row.score.mean)}.")
    return " ".join(sentences) or "Nothing has finished yet."


def study_tiles(results: Results, numbers: StudyNumbers) -> tuple[Tile, ...]:
    """Each competing variant's score, and how many runs are done."""
    done = sum(bool(cell.scores) for cell in results.cells)
    return (
        *(_tile(row, numbers) for row in numbers.competing),
        Tile("runs done", f"{done} of {len(results.cells)}", ""),
    )


def _tile(row: VariantNumbers, numbers: StudyNumbers) -> Tile:
    if row.score is None:
        return Tile(row.name, words.MISSING, "no run is done", "missing")
    if row.name == numbers.reference:
        return Tile(row.name, words.percent(row.score.mean), "the reference")
    interval = in_points(row.difference)
    detail = f"{words.points(row.difference.mean)}" + (f" ({interval})" if interval != words.NOT_APPLICABLE else "")
    state = "plain"
    if row.difference.low is not None and not row.difference.low <= 0 <= row.difference.high:
        state = "good" if row.difference.mean > 0 else "bad"
    return Tile(row.name, words.percent(row.score.mean), detail, state)
