"""What a reader sees first: PASS or FAIL, a short summary, what to be careful about, and the headline numbers."""

from collections.abc import Iterator

from pipeline.reports import numbers as say
from pipeline.reports.load import Run, column, number, sequence
from pipeline.reports.render import Tile, Verdict, VerdictState
from pipeline.reports.run_results import compare, difference_text, mean_text, missing_trainings, shipped, worst
from pipeline.reports.statistics import Estimate
from pipeline.reports.terms import counted, is_baseline, is_multilabel, method_names, terms, wrong_labels

HEADLINES = {
    "pass": "PASS",
    "fail": "FAIL",
    "chance": "NO BETTER THAN CHANCE",
    "unverified": "NOT VERIFIED",
    "unfinished": "UNFINISHED",
}
KERNELS = {"builtin": "The int8 file with builtin kernels", "int4": "The int4 file"}
NO_WRONG_LABELS = {"none": "the training labels are clean", "unknown": "the true labels are unknown"}
NO_THRESHOLD = "no known label in the validation part"  # in every reason for it in scores.json


def judge(run: Run) -> Verdict:
    """The verdict on a run, whatever of it exists."""
    state, reason = _state(run)
    failures = []
    for name, record in zip(run.verified["training"], run.verified["verification"], strict=True):
        unnamed = ["verification failed without naming a limit"] if record.get("passed") is False else []
        failures += [f"{name}: {failure}" for failure in sequence(record, "failures") or unnamed]
    if state == "chance":
        failures += _at_chance(run)
    return Verdict(state, f"{HEADLINES[state]}: {reason}", tuple(_summary(run)), tuple(failures), tuple(_warnings(run)))


def _state(run: Run) -> tuple[VerdictState, str]:
    total, passed = len(run.own), [record.get("passed") for record in run.verified["verification"]]
    failed = [name for name, each in zip(run.verified["training"], passed, strict=True) if each is False]
    if failed:
        return "fail", f"{say.listing(failed)} missed the verification limits ({len(failed)} of {total})."
    useless = total and not missing_trainings(run) and passed.count(True) == total and _learned_nothing(run)
    if run.status.get("state") == "failed" and not useless:
        return "fail", f"the run stopped. {run.status.get('message') or 'It left no message.'}"
    if not total:
        return "unfinished", "nothing has been trained in this folder yet."
    if missing := missing_trainings(run):
        return "unfinished", f"{say.listing(missing)} did not finish."
    if unverified := total - passed.count(True):
        return "unverified", f"{counted(run, unverified)} of {total} not yet compared with LiteRT."
    if useless:
        shipped_or_not = "" if run.status.get("state") == "done" else ", and the files were not shipped"
        return "chance", f"the network has learned nothing{shipped_or_not}. Every verification limit is met."
    return "pass", f"every verification limit is met ({counted(run, total)})."


def _learned_nothing(run: Run) -> bool:
    """Whether all finished trainings are no better than chance."""
    return len(run.finished) > 0 and all(sequence(each, "no_better_than_chance") for each in run.finished["scores"])


def _at_chance(run: Run) -> list[str]:
    """What scores.json says of trainings that are no better than chance."""
    named = zip(run.finished["training"], run.finished["scores"], strict=True)
    return [f"{name}: {finding}" for name, scores in named for finding in sequence(scores, "no_better_than_chance")]


def _summary(run: Run) -> Iterator[str]:
    if not len(run.finished):
        yield "No training has finished, so there is no result yet."
        return
    named, found = terms(run), compare(run, *terms(run).score)
    who = method_names(run) or "The network without any method (a baseline)"
    yield f"{say.capitalised(who)}: {named.test} {mean_text(found.own)}."
    if found.difference:
        difference = difference_text(found.difference)
        yield f"The baseline, on the same labels: {mean_text(found.baseline)}. Difference from it: {difference}."
    elif run.baseline:
        yield "The baseline has no finished training of the same seed yet."
    if not len(run.verified):
        yield "No TFLite file has been compared with LiteRT: size, latency and exactness are unknown."
    elif (share := worst(run, "code_mismatch", max)) is not None:
        exact = "computes exactly what training evaluated: no output code differs"
        differing = f"differs from what training evaluated in {say.mismatch(share)} of the output codes"
        yield f"The int8 file {differing if share else exact} on {compared_images(run)}."


def compared_images(run: Run) -> str:
    """`1,000 test images`: on how many the integer model was compared with LiteRT; the training with the fewest."""
    images = worst(run, "integer_model_examples", min) or worst(run, "examples", min)
    return f"{say.count(images)} test images" if images else "test images"


def _warnings(run: Run) -> Iterator[str]:
    missing = missing_trainings(run)
    if len(run.finished) == 1:
        yield "Only one training: its spread is unknown, and differences of a few points may be chance."
    if len(run.finished) and missing:
        yield f"The numbers do not include {say.listing(missing)}, which did not finish."
    if not _learned_nothing(run):
        yield from (f"No better than chance: {finding}." for finding in _at_chance(run))
    if run.baseline:
        yield from (f"The baseline is no better than chance: {finding}." for finding in _at_chance(run.baseline))
    if run.baseline_folder and not run.baseline:
        yield f"The baseline's folder {run.baseline_folder} is not there: nothing to compare with."
    if run.baseline and (theirs := missing_trainings(run.baseline)):
        yield f"The baseline has not finished {say.listing(theirs)}."
    for change in sequence(run.environment, "resumed"):
        numbers = "the numbers may differ from those of a run without interruption"
        yield f"Resumed under other conditions ({change}): {numbers}."
    if number(run.config, "data", "val_fraction") == 0:
        stay = ", and thresholds stay 0.5" if is_multilabel(run) else ""
        yield f"No validation part (data.val_fraction: 0): the shipped model was not chosen by validation{stay}."
    reached, trivial = (compare(run, *path).own for path in (terms(run).score, ("metrics", "f1_all_positive_mean")))
    if reached and trivial and reached.mean <= trivial.mean:
        means = f"The mean F1 at 0.5 ({say.percent(reached.mean)}) is no better than"
        yield f"{means} predicting every action unit as present ({say.percent(trivial.mean)})."
    if undefined := sorted({reason.partition(":")[0] for reason in undefined_metrics(run)}):
        yield f"Some metrics are undefined for {say.listing(undefined)}: see action units."
    limit = worst(run, "limits.decision_agreement", max) or 0.0
    for kernel, name in KERNELS.items():
        lowest = column(run.own, f"verification.kernels.{kernel}.decision_agreement").min()
        if lowest < limit:
            decisions = f"agrees with the integer model on only {say.agreement(lowest)} of the decisions"
            yield f"{name} {decisions}; the limit of {say.plain(100 * limit)} % applies to XNNPACK kernels only."
    notes = [*run.notes, *(f"baseline, {note}" for note in (run.baseline.notes if run.baseline else ()))]
    yield from (f"Not read: {note}." for note in notes)


def undefined_metrics(run: Run) -> dict[str, list[str]]:
    """Why metrics do not exist, as scores.json says, with the trainings each reason is of.

    Without a validation part the reasons that follow from it are left out: a warning says so once.
    """
    reasons: dict[str, list[str]] = {}
    for name, scores in zip(run.finished["training"], run.finished["scores"], strict=True):
        for reason in dict.fromkeys(map(str, sequence(scores, "undefined"))):
            if NO_THRESHOLD not in reason or number(run.config, "data", "val_fraction") != 0:
                reasons.setdefault(reason, []).append(name)
    return reasons


def tiles(run: Run) -> tuple[Tile, ...]:
    """Metric, memorised labels, size, latency, exactness; each says so when it is missing."""
    return _metric(run), _memorised(run), *_files(run), *_exactness(run)


def _tile(label: str, value: str, detail: str, absent: str, good: bool | None = None) -> Tile:
    """A headline number; `absent` says why it is missing, `good` colours it."""
    if value == say.MISSING:
        return Tile(label, value, absent, "missing")
    return Tile(label, value, detail, {True: "good", False: "bad", None: "plain"}[good])


def _mean(found: Estimate | None) -> float | None:
    return found.mean if found else None


def _alone(run: Run) -> str:
    return "this run is a baseline" if is_baseline(run) else "no baseline to compare with"


def _metric(run: Run) -> Tile:
    found = compare(run, *terms(run).score)
    detail, good = _alone(run), None
    if found.difference:
        gain = found.difference.mean
        detail, good = f"{say.points(gain)}, baseline {say.percent(found.baseline.mean)}", gain >= 0
    return _tile(terms(run).test, say.percent(_mean(found.own)), detail, "no training has finished", good)


def _memorised(run: Run) -> Tile:
    label, known, found = "wrong labels memorised", wrong_labels(run), compare(run, "train_noisy_fit")
    if known != "some":
        return Tile(label, known, NO_WRONG_LABELS[known])
    detail, good = _alone(run), None
    if found.own and found.baseline:
        detail, good = f"baseline: {say.percent(found.baseline.mean)}", found.own.mean <= found.baseline.mean
    if unseen := compare(run, "test_noisy_fit").own:
        detail = f"unseen subjects: {say.percent(unseen.mean)}; {detail}"
    return _tile(label, say.percent(_mean(found.own)), detail, "no training has recorded it", good)


def _files(run: Run) -> tuple[Tile, Tile]:
    record = shipped(run).get("verification", {})
    size, whole, small = (number(record, "size_bytes", kind) for kind in ("int8", "float32", "int4"))
    time, slow = (number(record, "latency_ms", kind, "median") for kind in ("int8", "float32"))
    sizes = f"{say.percent(size / whole, 0)} of float32; " if size and whole else "no float32 file; "
    sizes += f"int4: {say.kilobytes(small)}" if small else "no int4 file"
    times = (
        f"{say.percent(time / slow, 0)} of float32, {say.milliseconds(slow)}" if time and slow else "float32 not timed"
    )
    return (
        _tile("int8 file", say.kilobytes(size), sizes, "none was verified"),
        _tile("int8 latency, one image", say.milliseconds(time), times, "none was timed"),
    )


def _exactness(run: Run) -> tuple[Tile, Tile]:
    share, equal = worst(run, "code_mismatch", max), worst(run, "decision_agreement", min)
    most, least = worst(run, "limits.code_mismatch", min), worst(run, "limits.decision_agreement", max)
    codes, decisions = f"integer model and LiteRT, {compared_images(run)}", "Keras evaluation and LiteRT"
    if examples := worst(run, "examples", min):
        decisions += f", {say.count(examples)} test images"
    is_exact, is_equal = None in (share, most) or share <= most, None in (equal, least) or equal >= least
    return (
        _tile("output codes that differ", say.mismatch(share), codes, "not compared with LiteRT", is_exact),
        _tile("decisions equal", say.agreement(equal), decisions, "not compared with LiteRT", is_equal),
    )
