"""The first thing a reader sees: PASS or FAIL, one paragraph with the numbers, and what to be careful about."""

from pipeline.reporting import words
from pipeline.reporting.blocks import Verdict, VerdictState
from pipeline.reporting.labels import UNSEEN, has_noise, training_labels, wrong_labels
from pipeline.reporting.naming import data_name, is_baseline, method_name, noise_phrase, unit_word
from pipeline.reporting.read import Run, number, sequence
from pipeline.reporting.summary import Comparison, Spread, compare, missing_seeds, spread
from pipeline.reporting.terms import is_multilabel, terms
from pipeline.reporting.undefined import NO_VALIDATION, undefined_reasons
from pipeline.reporting.verdict_device import device_sentences

OTHER_KERNELS = {"builtin": "The int8 file with builtin kernels", "int4": "The int4 file"}
ALL_POSITIVE = ("metrics", "f1_all_positive_mean")
NOTHING_WRONG = {
    "none": "The training labels were left clean, so there was nothing wrong to memorise.",
    "unknown": "No label was changed, so how many wrong ones it memorised is unknown.",
}
HEADLINES = {"pass": "PASS", "fail": "FAIL", "unverified": "NOT VERIFIED", "unfinished": "UNFINISHED"}


def judge(run: Run) -> Verdict:
    """The verdict on a run, whatever of it exists."""
    state, reason = _state(run)
    return Verdict(
        state=state,
        headline=f"{HEADLINES[state]}: {reason}",
        text=" ".join(_sentences(run)),
        failures=tuple(_failures(run)),
        warnings=tuple(_warnings(run)),
    )


def _failures(run: Run) -> list[str]:
    failures = []
    for seed in run.verified:
        listed = [f"{seed.name}: {failure}" for failure in sequence(seed.verification, "failures")]
        unnamed = seed.verification.get("passed") is False and not listed
        failures += [f"{seed.name}: verification failed without naming a limit"] if unnamed else listed
    return failures


def _state(run: Run) -> tuple[VerdictState, str]:
    total = len(run.seeds)
    if failed := [seed.name for seed in run.verified if seed.verification.get("passed") is False]:
        return "fail", f"{words.listing(failed)} missed the verification limits ({len(failed)} of {total})."
    if run.status.get("state") == "failed":
        return "fail", f"the run stopped. {run.status.get('message') or 'It left no message.'}"
    if not total:
        return "unfinished", "nothing has been trained in this folder yet."
    if missing := missing_seeds(run):
        return "unfinished", f"{words.listing(missing)} did not finish."
    passed = sum(seed.verification.get("passed") is True for seed in run.verified)
    if passed < total:
        return "unverified", f"{total - passed} of {unit_word(run, total)} still to be compared with LiteRT."
    return "pass", f"every verification limit is met ({unit_word(run, total)})."


def _warnings(run: Run) -> list[str]:
    warnings = []
    if len(run.finished) == 1:
        warnings.append("Only one seed: no spread is known. Differences of a few points may be chance.")
    if run.finished and (missing := missing_seeds(run)):
        warnings.append(f"The numbers are without {words.listing(missing)}, which did not finish.")
    if run.baseline_folder and not run.baseline:
        warnings.append(f"The baseline's folder {run.baseline_folder} is not there: nothing to compare with.")
    if run.baseline and (missing := missing_seeds(run.baseline)):
        warnings.append(f"The baseline has not finished {words.listing(missing)}.")
    warnings += [*_trivial(run), *_undefined(run), *_unfaithful_kernels(run)]
    return warnings + [f"Not read: {note}." for note in _notes(run)]


def _trivial(run: Run) -> list[str]:
    """A mean F1 that needs no network."""
    reached, trivial = (compare(run, *path).method for path in (terms(run).score, ALL_POSITIVE))
    if not is_multilabel(run) or not reached or not trivial or reached.mean > trivial.mean:
        return []
    return [
        f"The mean F1 at 0.5 ({words.percent(reached.mean)}) is no better than calling every unit present "
        f"({words.percent(trivial.mean)})."
    ]


def _undefined(run: Run) -> list[str]:
    """How many metrics of action units do not exist; the section on action units says why."""
    reasons = [reason for seed in run.finished for reason in undefined_reasons(seed.scores, run.config)]
    units = sorted({reason.partition(":")[0] for reason in reasons if reason != NO_VALIDATION})
    found = [NO_VALIDATION] if NO_VALIDATION in reasons else []
    return [*found, f"Some metrics are undefined for {words.listing(units)}: see action units."] if units else found


def _unfaithful_kernels(run: Run) -> list[str]:
    """Kernels that decide otherwise than the integer model more often than the int8 file on XNNPACK may."""
    agreements = {
        name: spread(number(seed.verification, "kernels", kernel, "decision_agreement") for seed in run.verified)
        for kernel, name in OTHER_KERNELS.items()
    }
    limit = max(
        (number(seed.verification, "limits", "decision_agreement") or 0.0 for seed in run.verified), default=0.0
    )
    return [
        f"{name} makes only {words.agreement(equal.low)} of the integer model's decisions; the limit of "
        f"{words.plain(100 * limit)} % was checked for the int8 file with XNNPACK kernels only."
        for name, equal in agreements.items()
        if equal and equal.low < limit
    ]


def _notes(run: Run) -> list[str]:
    theirs = run.baseline.notes if run.baseline else ()
    return [*run.notes, *(f"baseline, {note}" for note in theirs)]


def _sentences(run: Run) -> list[str]:
    if not run.finished:
        return [f"No seed of this run on {data_name(run)} has finished, so there is no result yet."]
    reached = compare(run, *terms(run).score)
    return [_reached(run, reached), *_against_noisy(run), _gain(run, reached), *_memorised(run), *device_sentences(run)]


def mean_and_range(spread: Spread | None, run: Run) -> str:
    """`81.2 % (mean of 3 seeds, 80.4 to 82.0 %)`."""
    if spread is None:
        return words.MISSING
    if spread.n == 1:
        return f"{words.percent(spread.mean)} (one seed)"
    low, high = words.percent(spread.low).removesuffix(" %"), words.percent(spread.high)
    return f"{words.percent(spread.mean)} (mean of {unit_word(run, spread.n)}, {low} to {high})"


def _reached(run: Run, reached: Comparison) -> str:
    method = method_name(run)
    network = f"the network with {method}" if method else "the network (no method: a baseline)"
    start = f"Trained on {data_name(run)} with {noise_phrase(run)}, {network}"
    if reached.method is None:
        return f"{start} has finished, but its {terms(run).test} is missing."
    value = mean_and_range(reached.method, run)
    if not is_multilabel(run):
        return f"{start} classifies {value} of the clean test images correctly."
    return f"{start} reaches a mean F1 of {value} on subjects it never saw, against the {terms(run).right} labels."


def _against_noisy(run: Run) -> list[str]:
    """What action units add: F1 against noisy labels, and what saying yes to everything would reach."""
    if not is_multilabel(run):
        return []
    noisy, trivial = compare(run, "metrics_noisy", "f1_mean").method, compare(run, *ALL_POSITIVE).method
    against = f"Against the {training_labels(run)} labels of the same images it is"
    sentences = [f"{against} {mean_and_range(noisy, run)}."] if noisy and has_noise(run) else []
    return sentences + ([f"Calling every unit present would reach {words.percent(trivial.mean)}."] if trivial else [])


def _gain(run: Run, reached: Comparison) -> str:
    if run.baseline is None and is_baseline(run):
        return "It is a baseline itself: methods are compared with it."
    if run.baseline is None:
        return "No baseline is there to compare with, so what the method gains is unknown."
    if reached.baseline is None:
        return "The baseline has no finished seed yet, so what the method gains is unknown."
    theirs = mean_and_range(reached.baseline, run)
    return f"The baseline, trained on the same labels in the same order, reaches {theirs}{_difference(reached)}."


def _difference(reached: Comparison) -> str:
    difference = reached.difference
    if difference is None:
        return "; no seed of both has finished, so the difference is unknown"
    size = words.points(abs(difference.mean)).lstrip("+")
    change = f"the method {'gains' if difference.mean >= 0 else 'LOSES'} {size}"
    interval = difference.interval()
    if interval is None:
        return f": {change} (one pair, no interval)"
    low, high = (words.points(end).removesuffix(" points") for end in interval)
    doubt = ", so not clearly different from zero" if interval[0] <= 0 <= interval[1] else ""
    return f": {change} (95 % t interval {low} to {high}, n = {difference.n}{doubt})"


def _memorised(run: Run) -> list[str]:
    if not has_noise(run):
        return [NOTHING_WRONG[wrong_labels(run)]]
    share, unseen = compare(run, "train_noisy_fit"), compare(run, "test_noisy_fit")
    if share.method is None:
        return ["How many of the wrong training labels it memorised is missing."]
    ours = f"It {'reproduces' if unseen.method else 'memorised'} {words.percent(share.method.mean)} of the wrong training labels"
    if unseen.method:
        ours += f" ({words.percent(unseen.method.mean)} {UNSEEN})"
    if not share.baseline:
        return [f"{ours}."]
    floor = f" ({words.percent(unseen.baseline.mean)})" if unseen.baseline else ""
    return [f"{ours}; the baseline {words.percent(share.baseline.mean)}{floor}."]
