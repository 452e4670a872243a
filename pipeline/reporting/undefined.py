"""Why metrics of action units do not exist, as scores.json says it, in as few sentences as that takes."""

from pipeline.reporting.read import Json, mapping, number, sequence

NO_VALIDATION = "No validation part: thresholds stay 0.5, and the shipped model was not chosen by validation."
NO_LABEL = "no known label in the validation part"


def undefined_reasons(scores: Json, config: Json) -> list[str]:
    """The entries of `undefined`; where nobody was held out, `NO_VALIDATION` in place of those that follow from it."""
    reasons = [str(reason) for reason in sequence(scores, "undefined")]
    if number(mapping(config, "data"), "val_fraction") != 0:
        return reasons
    others = [reason for reason in reasons if NO_LABEL not in reason]
    return others if len(others) == len(reasons) else [NO_VALIDATION, *others]


def in_a_sentence(reason: str, where: list[str]) -> str:
    """A reason with the runs it is of."""
    return reason if reason == NO_VALIDATION else f"Undefined, {reason} ({', '.join(where)})."
