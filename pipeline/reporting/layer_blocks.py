"""The per-layer table with totals, and one histogram of weight codes a layer."""

from collections.abc import Mapping

from pipeline.reporting import words
from pipeline.reporting.bars import histogram
from pipeline.reporting.blocks import Figure, Table
from pipeline.reporting.read import Json, Run, SeedRun, mapping, number
from pipeline.reporting.summary import layers

HEAD = ("layer", "op", "W", "A", "parameters", "MACs", "int8, bytes", "int4, bytes", "float, bytes", "activation scale",
        "weight scales", "codes that differ")  # fmt: skip
SUMMED = ("parameters", "macs", "bytes_int8", "bytes_int4", "bytes_float32")


def layer_table(run: Run, seed: SeedRun) -> Table:
    """One row a layer of `seed`; the mismatch is the worst over all verified seeds of the run."""
    worst = _worst_mismatch(run)
    rows = tuple(_layer_row(layer, worst) for layer in layers(seed))
    totals = [_total(seed, key) for key in SUMMED]
    biggest = max(worst.values(), default=None)
    dash = words.NOT_APPLICABLE
    total = ("total", dash, dash, dash, *totals, dash, dash, words.or_dash(words.mismatch(biggest)))
    return Table(HEAD, rows, (total,))


def _worst_mismatch(run: Run) -> dict[str, float]:
    worst: dict[str, float] = {}
    for layer in (layer for seed in run.verified for layer in layers(seed)):
        share = number(layer, "code_mismatch")
        if share is not None:
            name = str(layer.get("name"))
            worst[name] = max(share, worst.get(name, 0.0))
    return worst


def _layer_row(layer: Json, worst: Mapping[str, float]) -> tuple[str, ...]:
    name = str(layer.get("name", words.MISSING))
    return (
        name,
        str(layer.get("op", words.NOT_APPLICABLE)),
        *(words.or_dash(words.count(number(layer, key))) for key in ("weight_bits", "activation_bits", *SUMMED)),
        words.or_dash(words.plain(number(layer, "activation_scale"))),
        _scale_range(number(layer, "weight_scale_min"), number(layer, "weight_scale_max")),
        words.or_dash(words.mismatch(worst.get(name))),
    )


def _scale_range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return words.NOT_APPLICABLE
    return words.plain(low, 2) if low == high else f"{words.plain(low, 2)}–{words.plain(high, 2)}"


def _total(seed: SeedRun, key: str) -> str:
    values = [number(layer, key) for layer in layers(seed)]
    known = [value for value in values if value is not None]
    return words.count(sum(known)) if known else words.NOT_APPLICABLE


def histogram_figure(seed: SeedRun) -> Figure | None:
    """Small multiples of the weight codes of every layer that has them, or None."""
    found = [(layer, _codes(layer)) for layer in layers(seed)]
    cells = [_histogram(layer, codes) for layer, codes in found if codes]
    caption = "How often each code is used, all output channels together; every layer is scaled to its own tallest bar."
    rows = tuple(_code_row(layer, codes) for layer, codes in found if codes)
    table = Table(("layer", "W", "weights", "code 0", "outermost codes"), rows)
    return Figure(caption, tuple(cells), numbers=table, size="small") if cells else None


def _codes(layer: Json) -> dict[int, int]:
    """Weight code -> how many weights have it; keys that are no integers are left out."""
    counts = mapping(layer, "weight_codes")
    pairs = [(key, number(counts, key)) for key in counts]
    return {int(key): int(n) for key, n in pairs if n is not None and key.removeprefix("-").isdecimal()}


def _top_code(layer: Json, codes: Mapping[int, int]) -> int:
    bits = number(layer, "weight_bits")
    furthest = max(abs(code) for code in codes)
    return max(furthest, 2 ** (int(bits) - 1) - 1) if bits else max(furthest, 1)


def _shares(layer: Json, codes: Mapping[int, int]) -> tuple[float, float]:
    """Share of zero codes and of the two outermost ones."""
    top, total = _top_code(layer, codes), sum(codes.values()) or 1
    return codes.get(0, 0) / total, (codes.get(top, 0) + codes.get(-top, 0)) / total


def _bits(layer: Json) -> str:
    bits = number(layer, "weight_bits")
    return words.NOT_APPLICABLE if bits is None else f"W{bits:.0f}"


def _histogram(layer: Json, codes: Mapping[int, int]) -> str:
    zero, _ = _shares(layer, codes)
    detail = f"{_bits(layer)}, {words.percent(zero, 0)} zeros"
    return histogram(str(layer.get("name", words.MISSING)), detail, codes, _top_code(layer, codes))


def _code_row(layer: Json, codes: Mapping[int, int]) -> tuple[str, ...]:
    zero, outermost = _shares(layer, codes)
    name = str(layer.get("name", words.MISSING))
    return (name, _bits(layer), words.count(sum(codes.values())), words.percent(zero), words.percent(outermost))
