"""Why metrics of action units do not exist, as scores.json says it, in as few sentences as that takes."""

from pipeline.reporting.read import Json, mapping, sequence

NO_VALIDATION = "No validation part: thresholds stay 0.5, and the shipped model was not chosen by validation."
NO_LABEL = "no known label in the validation part"


def undefined_reasons(scores: Json) -> list[str]:
    """The entries of `undefined`; `NO_VALIDATION` in place of those that say it of every action unit."""
    reasons = [str(reason) for reason in sequence(scores, "undefined")]
    without = [reason for reason in reasons if NO_LABEL in reason]
    if not without or len(without) < len(mapping(scores, "metrics", "f1")):
        return reasons
    return [NO_VALIDATION, *(reason for reason in reasons if reason not in without)]


def in_a_sentence(reason: str, where: list[str]) -> str:
    """A reason with the runs it is of."""
    return reason if reason == NO_VALIDATION else f"Undefined, {reason} ({', '.join(where)})."
