"""What the verdict says of the device: size, latency, and how exactly the files compute what was evaluated."""

from pipeline.reporting import words
from pipeline.reporting.naming import unit_word
from pipeline.reporting.read import Json, Run, mapping, number
from pipeline.reporting.summary import shipped, worst
from pipeline.reporting.terms import is_multilabel

UNVERIFIED = "Nothing has been compared with LiteRT yet: size, latency and exactness are unknown."


def device_sentences(run: Run) -> list[str]:
    """What is known of the files of a verified run, or that nothing is."""
    if not run.verified:
        return [UNVERIFIED]
    record = shipped(run).verification
    return [_size(mapping(record, "size_bytes")), _latency(mapping(record, "latency_ms")), _exactness(run)]


def _size(sizes: Json) -> str:
    whole, int8, int4 = (number(sizes, kind) for kind in ("float32", "int8", "int4"))
    if int8 is None and int4 is None:
        return "No int8 and no int4 file was made."
    of_float = f" ({words.ratio(int8, whole)} of the float file's {words.kilobytes(whole)})" if whole else ""
    first = "No int8 file was made" if int8 is None else f"The int8 file has {words.kilobytes(int8)}{of_float}"
    of_float = f" ({words.ratio(int4, whole)})" if whole else ""
    second = "no int4 file was made" if int4 is None else f"the int4 file {words.kilobytes(int4)}{of_float}"
    return f"{first}, {second}." if whole else f"{first}, {second}; there is no float file to compare with."


def _latency(latencies: Json) -> str:
    whole, int8, int4 = (number(latencies, kind, "median") for kind in ("float32", "int8", "int4"))
    if int8 is None:
        return "The int8 latency is missing."
    of_float = f", {words.ratio(int8, whole)} of the float file's {words.milliseconds(whole)}" if whole else ""
    slow = f"; the int4 file takes {words.milliseconds(int4)}" if int4 is not None else ""
    return f"One image takes {words.milliseconds(int8)} in int8 (median){of_float}{slow}."


def _exactness(run: Run) -> str:
    """Codes are compared on the integer model's images, decisions on all."""
    parts = [part for part in (_codes(run), _decisions(run)) if part]
    if not parts:
        return "How exactly LiteRT computes what training evaluated is missing."
    of_seeds = f" (worst of {unit_word(run, len(run.verified))})" if len(run.verified) > 1 else ""
    sentence = ", and ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}{of_seeds}."


def _codes(run: Run) -> str:
    share, images = worst(run, "code_mismatch", max), compared_images(run)
    if share is None:
        return ""
    codes = "no output code differs" if share == 0 else f"{words.mismatch(share)} of the output codes differ"
    return f"over {images} {codes} between the integer model and LiteRT"


def _decisions(run: Run) -> str:
    equal, examples = worst(run, "decision_agreement", min), worst(run, "examples", min)
    if equal is None:
        return ""
    decisions = "decisions"
    if examples:
        count = words.count(examples)
        decisions = f"decisions on {count} images" if is_multilabel(run) else f"{count} decisions"
    return f"{words.agreement(equal)} of the {decisions} equal those of the Keras evaluation"


def compared_images(run: Run) -> str:
    """`1,000 test images`: those on which the integer model was compared with LiteRT, of the seed with the fewest."""
    images = worst(run, "integer_model_examples", min) or worst(run, "examples", min)
    return f"{words.count(images)} test images" if images else "test images"
