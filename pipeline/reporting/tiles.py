"""The row of headline numbers under the verdict."""

from typing import Literal

from pipeline.reporting import words
from pipeline.reporting.blocks import Tile
from pipeline.reporting.labels import untouched, wrong_labels
from pipeline.reporting.naming import is_baseline
from pipeline.reporting.read import Json, Run, mapping, number
from pipeline.reporting.summary import compare, shipped, worst
from pipeline.reporting.terms import terms
from pipeline.reporting.verdict_device import compared_images


def headline_tiles(run: Run) -> tuple[Tile, ...]:
    """Accuracy or F1, memorised labels, size, latency, exactness; each says so when it is missing."""
    return _metric(run), _memorised(run), _size(run), _latency(run), _codes(run), _decisions(run)


def _missing(label: str, why: str) -> Tile:
    return Tile(label, words.MISSING, why, "missing")


def _metric(run: Run) -> Tile:
    label, accuracy = terms(run).test, compare(run, *terms(run).score)
    if accuracy.method is None:
        return _missing(label, "no seed has finished")
    value = words.percent(accuracy.method.mean)
    if accuracy.baseline is None or accuracy.difference is None:
        return Tile(label, value, _alone(run))
    detail = f"{words.points(accuracy.difference.mean)} against the baseline's {words.percent(accuracy.baseline.mean)}"
    return Tile(label, value, detail, "good" if accuracy.difference.mean >= 0 else "bad")


def _memorised(run: Run) -> Tile:
    label, share = "wrong labels memorised", compare(run, "train_noisy_fit")
    known = wrong_labels(run)
    if known != "some":
        return Tile(label, known, untouched(run))
    if share.method is None:
        return _missing(label, "no seed has recorded it")
    value, unseen = words.percent(share.method.mean), compare(run, "test_noisy_fit").method
    floor = f"people never seen: {words.percent(unseen.mean)}; " if unseen else ""
    if share.baseline is None:
        return Tile(label, value, floor + _alone(run))
    state = "good" if share.method.mean <= share.baseline.mean else "bad"
    return Tile(label, value, f"{floor}baseline: {words.percent(share.baseline.mean)}", state)


def _alone(run: Run) -> str:
    return "a baseline itself" if is_baseline(run) else "no baseline to compare with"


def _size(run: Run) -> Tile:
    label, best = "int8 file", shipped(run)
    sizes = mapping(best.verification, "size_bytes") if best else {}
    int8, int4, whole = (number(sizes, kind) for kind in ("int8", "int4", "float32"))
    if int8 is None:
        return _missing(label, "no int8 file was verified")
    of_float = f"{words.ratio(int8, whole)} of float; " if whole else "no float file; "
    small = f"int4: {words.kilobytes(int4)}, {words.ratio(int4, whole)}" if int4 and whole else "no int4 file"
    return Tile(label, words.kilobytes(int8), of_float + small)


def _latency(run: Run) -> Tile:
    label, best = "int8 latency, one image", shipped(run)
    latencies = mapping(best.verification, "latency_ms") if best else {}
    int8, whole = (number(latencies, kind, "median") for kind in ("int8", "float32"))
    if int8 is None:
        return _missing(label, "no int8 file was timed")
    detail = f"{words.ratio(int8, whole)} of float, {words.milliseconds(whole)}" if whole else "no float file timed"
    return Tile(label, words.milliseconds(int8), detail)


def _codes(run: Run) -> Tile:
    label, share = "output codes that differ", worst(run, "code_mismatch", max)
    if share is None:
        return _missing(label, "not compared with LiteRT")
    return Tile(
        label,
        words.mismatch(share),
        f"integer model against LiteRT, {compared_images(run)}",
        _limit_state(run, "code_mismatch"),
    )


def _decisions(run: Run) -> Tile:
    label, equal = "decisions equal", worst(run, "decision_agreement", min)
    if equal is None:
        return _missing(label, "not compared with LiteRT")
    state = _limit_state(run, "decision_agreement")
    examples = worst(run, "examples", min)
    over = f", {words.count(examples)} test images" if examples else ""
    return Tile(label, words.agreement(equal), f"Keras evaluation against LiteRT{over}", state)


def _limit_state(run: Run, key: str) -> Literal["good", "bad"]:
    return "bad" if any(_beyond_limit(seed.verification, key) for seed in run.verified) else "good"


def _beyond_limit(verification: Json, key: str) -> bool:
    value, limit = number(verification, key), number(verification, "limits", key)
    if value is None or limit is None:
        return False
    return value < limit if key == "decision_agreement" else value > limit
