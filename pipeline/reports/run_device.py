"""What runs on the device: verification, files and kernels, layers, and histograms of weight codes."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from pipeline.reports import numbers as say
from pipeline.reports.load import Json, Run, column, mapping, number, sequence
from pipeline.reports.render import Figure, Section, Table, Text
from pipeline.reports.run_results import shipped
from pipeline.reports.run_verdict import compared_images
from pipeline.reports.style import COLOURS, METHOD, SOFT, bar_chart, drawing, figure_svg
from pipeline.reports.terms import terms

RUNTIMES = (
    # name, key of "metrics", of "kernels", of files; empty: has none
    ("Keras evaluation", "keras", "", ""),
    ("integer model", "integer_model", "", ""),
    ("int8 file, XNNPACK kernels", "int8", "xnnpack", "int8"),
    ("int8 file, builtin kernels", "", "builtin", ""),
    ("int4 file", "int4", "int4", "int4"),
    ("float32 file", "float32", "", "float32"),
)
SUMMED = {
    "parameters": "parameters", "MACs": "macs", "int8, bytes": "bytes_int8", "int4, bytes": "bytes_int4",
    "float, bytes": "bytes_float32",
}  # fmt: skip
DIFFERING = "codes that differ"
VERDICTS = {"PASS": True, "FAIL": False}


def device_sections(run: Run) -> Iterator[Section]:
    """All sections about the TFLite files; without a verification they say that there is none."""
    best = shipped(run)
    if not best:
        unverified = Text("No TFLite file has been verified: size, latency and exactness are unknown.", "note")
        yield Section("verification", "On the device", (unverified,))
        return
    record = best["verification"]
    yield Section("verification", "Verification", tuple(_verification(run)))
    yield Section("runtime", "Files and kernels", tuple(_files(run, best["training"], record)))
    yield Section("layers", "Layers", tuple(_layers(run, layers(record))))


def _verification(run: Run) -> Iterator[Table | Text]:
    rows = {}
    delta = f"{terms(run).metric}, Keras against LiteRT"
    for name, record in zip(run.own["training"], run.own["verification"], strict=True):
        passed = next((word for word, state in VERDICTS.items() if record.get("passed") is state), say.MISSING)
        difference = number(record, "metric_delta")
        rows[name] = {"examples": say.count(number(record, "examples")), **_compared(record)}
        rows[name][delta] = say.MISSING if difference is None else f"{say.plain(difference, 2)} points"
        rows[name]["verdict"] = passed if record else "not verified"
    limits = next((mapping(record, "limits") for record in run.verified["verification"]), {})
    mismatch, equal, most = (number(limits, key) for key in ("code_mismatch", "decision_agreement", "metric_delta"))
    known = {
        DIFFERING: None if mismatch is None else f"≤ {say.mismatch(mismatch)}",
        "decisions equal": None if equal is None else f"≥ {say.plain(100 * equal)} %",
        delta: None if most is None else f"≤ {say.plain(most, 2)} points",
    }
    frame = pd.DataFrame.from_dict({**rows, "limit": known}, "index")
    yield Table.of("Integer model and Keras evaluation against the int8 file in LiteRT", frame, foot=1)
    for name, record in zip(run.own["training"], run.own["verification"], strict=True):
        if tensors := sequence(record, "float_tensors"):
            yield Text(f"{name}: the int8 file holds float tensors: {say.listing(list(map(str, tensors)))}.", "warning")


def _compared(record: Json) -> dict[str, str]:
    return {
        DIFFERING: say.mismatch(number(record, "code_mismatch")),
        "largest difference": say.count(number(record, "max_code_difference")),
        "decisions equal": say.agreement(number(record, "decision_agreement")),
    }


def _files(run: Run, training: str, record: Json) -> Iterator[Figure | Text | Table]:
    yield Text(
        f"The files of {training}: the training with the best validation {terms(run).short}, or the first verified one "
        "if none has recorded it."
    )
    sizes = {kind: number(record, "size_bytes", kind) for kind in ("float32", "int8", "int4")}
    times = {kind: mapping(record, "latency_ms", kind) for kind in sizes}
    latency = pd.DataFrame(
        {key: {kind: number(time, key) for kind, time in times.items()} for key in ("median", "p10", "p90")}
    )
    latency = latency.set_axis(["value", "low", "high"], axis=1).astype(float)
    panels = (
        _bars("File size (kB)", pd.DataFrame({"value": pd.Series(sizes, dtype=float) / 1000})),
        _bars("Latency, one image (ms)", latency),
    )
    if drawn := tuple(panel for panel in panels if panel):
        yield Figure("Share of the float32 file's in brackets; whiskers: 10th to 90th percentile.", drawn)
    rows = {name: _runtime(run, record, *keys) for name, *keys in RUNTIMES}
    frame = pd.DataFrame.from_dict(rows, "index")
    yield Table.of(f"Against the integer model, on {compared_images(run)}", frame)
    calls = next((runs for time in times.values() if (runs := number(time, "runs"))), None)
    notes = [f"Latency: median of {say.count(calls)} calls with one image on one thread."] if calls else []
    if number(times["int4"], "median"):
        notes.append("XNNPACK has no int4 convolution: the int4 file is the small one, the int8 file the fast one.")
    yield Text(" ".join(notes), "note")


def _runtime(run: Run, record: Json, metric: str, kernel: str, file: str) -> dict[str, str]:
    kernels = mapping(record, "kernels", kernel)
    reached = number(record, "metrics", metric)
    median, low, high = (number(record, "latency_ms", file, key) for key in ("median", "p10", "p90"))
    spread = "" if None in (low, high) else f" ({say.plain(low)}–{say.plain(high)})"
    off = bool(file) and mapping(run.config, "convert").get(file) is False
    return {
        **_compared(kernels),
        terms(run).metric: say.percent(number(kernels, "metric") if reached is None else reached, 2),
        "file size": "switched off" if off else say.kilobytes(number(record, "size_bytes", file)),
        "latency, ms (10–90 %)": say.MISSING if median is None else say.plain(median) + spread,
    }


def _bars(title: str, bars: pd.DataFrame) -> str:
    """A bar a file with its value and that as a share of the float32 file's."""
    bars = bars[bars["value"] > 0]
    if bars.empty:
        return ""
    shares = bars["value"] / bars["value"].get("float32", np.nan)
    texts = [say.plain(value) + ("" if np.isnan(share) or kind == "float32" else f" ({say.percent(share, 0)})")
             for kind, value, share in zip(bars.index, bars["value"], shares, strict=True)]  # fmt: skip
    colours = [COLOURS["float"][0] if kind == "float32" else METHOD.colour for kind in bars.index]
    return bar_chart(title, bars.assign(text=texts, colour=colours))


def layers(verification: Json) -> pd.DataFrame:
    """The layers of a verified network, in order: their records, `name` as text."""
    found = [layer for layer in sequence(verification, "layers") if isinstance(layer, dict)]
    return pd.DataFrame([{**layer, "name": str(layer.get("name", say.MISSING))} for layer in found], dtype=object)


def _layers(run: Run, found: pd.DataFrame) -> Iterator[Table | Text | Figure]:
    if found.empty:
        yield Text("The verification lists no layers.", "note")
        return
    every = pd.concat([layers(record) for record in run.verified["verification"]], ignore_index=True)
    worst = column(every, "code_mismatch").groupby(every["name"]).max()
    frame = pd.DataFrame({"op": found.get("op")}, found.index)
    frame["W"], frame["A"] = (column(found, f"{kind}_bits").map(say.count) for kind in ("weight", "activation"))
    frame[list(SUMMED)] = pd.DataFrame({head: column(found, key).map(say.count) for head, key in SUMMED.items()})
    frame["activation scale"] = column(found, "activation_scale").map(say.plain)
    ends = [column(found, f"weight_scale_{end}").map(lambda scale: say.plain(scale, 2)) for end in ("min", "max")]
    frame["weight scales"] = ["–".join(dict.fromkeys(pair)) for pair in zip(*ends, strict=True)]
    codes = [_codes(record) for record in found.to_dict("records")]
    frame["code 0"] = [say.percent(_zeros(counts)) for counts in codes]
    frame[DIFFERING] = found["name"].map(worst).map(say.mismatch)
    total = {head: say.count(column(found, key).sum(min_count=1)) for head, key in SUMMED.items()}
    total[DIFFERING] = say.mismatch(worst.max())
    rows = pd.concat([frame.set_axis(found["name"]), pd.DataFrame([total], ["total"])]).rename_axis("layer")
    yield Table.of("Layers of the network on the device", rows, foot=1)
    yield Text(
        "W and A: bits of weights and activations. Bytes count weights and biases only; the files add the graph. Code 0: "
        "share of the weights that are zero. Codes that differ: the worst of all verified trainings.",
        "note",
    )
    yield _histograms(found, codes)


def _codes(layer: Json) -> dict[int, int]:
    """Weight code -> how many weights have it; keys that are no integers are left out."""
    counts = mapping(layer, "weight_codes")
    pairs = [(key, number(counts, key)) for key in counts]
    return {int(key): int(n) for key, n in pairs if n is not None and key.removeprefix("-").isdecimal()}


def _zeros(codes: Mapping[int, int]) -> float | None:
    total = sum(codes.values())
    return codes.get(0, 0) / total if total else None


def _histograms(found: pd.DataFrame, codes: list[dict[int, int]]) -> Figure | Text:
    bits = column(found, "weight_bits")
    panels = [
        _histogram(name, each, width) for name, width, each in zip(found["name"], bits, codes, strict=True) if each
    ]
    if not panels:
        return Text("No weight codes were recorded: no layer has low-bit weights.", "note")
    caption = (
        "How often each weight code occurs, all output channels together; each layer is scaled to its highest bar."
    )
    return Figure(caption, tuple(panels), size="small")


@drawing()
def _histogram(name: str, codes: Mapping[int, int], bits: float) -> str:
    """One bar a code from the lowest to the highest, drawn without axes: there may be a hundred of them."""
    from matplotlib.figure import Figure as Drawing
    from matplotlib.patches import StepPatch
    from matplotlib.transforms import Affine2D

    top = max(1, *map(abs, codes), 0 if np.isnan(bits) else 2 ** (int(bits) - 1) - 1)
    heights = np.array([codes.get(code, 0) for code in range(-top, top + 1)], float)
    detail = ("" if np.isnan(bits) else f"W{bits:.0f}, ") + f"{say.percent(_zeros(codes), 0)} zeros"
    drawing = Drawing(figsize=(190 / 72, 112 / 72))
    place = Affine2D().scale(0.96, 0.5 / max(heights.max(), 1)).translate(0.02, 0.16) + drawing.transFigure
    edges = np.linspace(0, 1, len(heights) + 1)
    drawing.add_artist(StepPatch(heights, edges, fill=True, color=METHOD.colour, transform=place))
    drawing.text(0.02, 0.88, name, fontsize=12, fontweight="bold")
    drawing.text(0.02, 0.74, detail, color=SOFT)
    for x, label, align in ((0.02, f"−{top}", "left"), (0.5, "0", "center"), (0.98, f"{top}", "right")):
        drawing.text(x, 0.02, label, color=SOFT, ha=align, fontsize=11)
    return figure_svg(drawing, f"Weight codes of {name}, {detail}")
