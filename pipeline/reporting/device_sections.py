"""The sections about what runs on the device: verification, files and kernels, layers, weight codes."""

from pipeline.reporting import words
from pipeline.reporting.bars import Bar, bar_chart
from pipeline.reporting.blocks import Block, Figure, Paragraph, Section, Table
from pipeline.reporting.layer_blocks import histogram_figure, layer_table
from pipeline.reporting.read import Json, Run, SeedRun, mapping, number, sequence
from pipeline.reporting.summary import layers, shipped
from pipeline.reporting.terms import terms
from pipeline.reporting.verdict_device import compared_images

KINDS = (("float32", "float"), ("int8", "method"), ("int4", "method"))
UNVERIFIED = "No TFLite file has been verified: nothing is known about size, latency and exactness."
VERIFICATION_HEAD = ("", "examples", "codes that differ", "largest difference", "decisions equal")
RUNTIME_HEAD = ("", "codes that differ", "largest difference", "decisions equal")
RUNTIME_ROWS = (
    # name, key of "metrics", key of "kernels", file; empty: has none
    ("Keras evaluation", "keras", "", ""),
    ("integer model", "integer_model", "", ""),
    ("int8 file, XNNPACK kernels", "int8", "xnnpack", "int8"),
    ("int8 file, builtin kernels", "", "builtin", ""),
    ("int4 file", "int4", "int4", "int4"),
    ("float32 file", "float32", "", "float32"),
)


def device_sections(run: Run) -> tuple[Section, ...]:
    """All sections about the TFLite files; without a verification they say that there is none."""
    seed = shipped(run)
    if seed is None:
        return (Section("verification", "On the device", (Paragraph(UNVERIFIED, "note"),)),)
    which = Paragraph(_which(run, seed))
    return (
        Section("verification", "Verification", tuple(_verification(run))),
        Section("runtime", "Files and kernels", (which, *_files(run, seed))),
        Section("layers", "Layers", tuple(_layers(run, seed))),
        Section("codes", "Weight codes", (_histograms(seed),)),
    )


def _which(run: Run, seed: SeedRun) -> str:
    if len(run.verified) == 1:
        return f"The files of {seed.name}."
    if number(seed.scores, terms(run).val_key) is None:
        return f"The files of {seed.name}, the first that was verified."
    return f"The files of {seed.name}, the one with the best validation {terms(run).short}."


def _verification(run: Run) -> list[Block]:
    head = (*VERIFICATION_HEAD, f"{terms(run).metric}, Keras against LiteRT", "verdict")
    rows = tuple(_verification_row(seed) for seed in run.seeds)
    limits = next((mapping(seed.verification, "limits") for seed in run.verified), {})
    blocks: list[Block] = [Table(head, rows, (_limit_row(limits),))]
    for seed in run.verified:
        if tensors := sequence(seed.verification, "float_tensors"):
            names = words.listing([str(tensor) for tensor in tensors])
            blocks.append(Paragraph(f"{seed.name}: the int8 file holds float tensors: {names}.", "warning"))
    return blocks


def _verification_row(seed: SeedRun) -> tuple[str, ...]:
    record = seed.verification
    if not record:
        return (seed.name, "not verified", *(words.NOT_APPLICABLE,) * 5)
    delta = number(record, "metric_delta")
    return (
        seed.name,
        words.or_dash(words.count(number(record, "examples"))),
        words.or_dash(words.mismatch(number(record, "code_mismatch"))),
        words.or_dash(words.count(number(record, "max_code_difference"))),
        words.or_dash(words.agreement(number(record, "decision_agreement"))),
        words.NOT_APPLICABLE if delta is None else f"{words.plain(delta, 2)} points",
        _passed(record.get("passed")),
    )


def _passed(passed: object) -> str:
    if isinstance(passed, bool):
        return "PASS" if passed else "FAIL"
    return words.MISSING


def _limit_row(limits: Json) -> tuple[str, ...]:
    mismatch, equal, delta = (number(limits, key) for key in ("code_mismatch", "decision_agreement", "metric_delta"))
    dash = words.NOT_APPLICABLE
    return (
        "limit",
        dash,
        dash if mismatch is None else f"≤ {words.mismatch(mismatch)}",
        dash,
        dash if equal is None else f"≥ {words.plain(100 * equal)} %",
        dash if delta is None else f"≤ {words.plain(delta, 2)} points",
        dash,
    )


def _files(run: Run, seed: SeedRun) -> list[Block]:
    sizes, latencies = mapping(seed.verification, "size_bytes"), mapping(seed.verification, "latency_ms")
    charts = [chart for chart in (_size_chart(sizes), _latency_chart(latencies)) if chart]
    caption = "Bars start at zero; whiskers span the 10th to the 90th percentile."
    figure = [Figure(caption, tuple(charts))] if charts else []
    absent = [Paragraph(_absent(run, kind), "note") for kind, _ in KINDS if number(sizes, kind) is None]
    return [*figure, *absent, _runtime_table(run, seed), *_runtime_notes(run, latencies)]


def _absent(run: Run, kind: str) -> str:
    if mapping(run.config, "convert").get(kind) is False:
        return f"No {kind} file: switched off (convert.{kind}: false)."
    return f"No {kind} file: missing in the verification."


def _runtime_notes(run: Run, latencies: Json) -> list[Block]:
    notes = [
        f"Codes and decisions: against the integer model, on {compared_images(run)}; its {terms(run).short} is on these too."
    ]
    if runs := next(filter(None, (number(latencies, kind, "runs") for kind, _ in KINDS)), None):
        notes.append(f"Latency: median of {words.count(runs)} calls with one image, on one thread.")
    if number(latencies, "int4", "median") is not None:
        notes.append("XNNPACK has no int4 convolution: the int4 file is the small one, the int8 file the fast one.")
    return [Paragraph(" ".join(notes), "note")]


def _size_chart(sizes: Json) -> str | None:
    whole, bars = number(sizes, "float32"), []
    for kind, css in KINDS:
        if size := number(sizes, kind):
            bars.append(Bar(kind, size, _with_ratio(words.kilobytes(size), size, whole, kind), css))
    return bar_chart("File size", bars) if bars else None


def _latency_chart(latencies: Json) -> str | None:
    whole, bars = number(latencies, "float32", "median"), []
    for kind, css in KINDS:
        median, low, high = (number(latencies, kind, key) for key in ("median", "p10", "p90"))
        if median:
            bars.append(Bar(kind, median, _with_ratio(words.milliseconds(median), median, whole, kind), css, low, high))
    return bar_chart("Latency, one image", bars) if bars else None


def _with_ratio(text: str, value: float, whole: float | None, kind: str) -> str:
    return text if whole is None or kind == "float32" else f"{text}, {words.ratio(value, whole)}"


def _runtime_table(run: Run, seed: SeedRun) -> Table:
    head = (*RUNTIME_HEAD, terms(run).metric, "file size", "latency, ms (10–90 %)")
    return Table(head, tuple(_runtime_row(seed.verification, *row) for row in RUNTIME_ROWS))


def _runtime_row(record: Json, name: str, metric: str, kernel: str, file: str) -> tuple[str, ...]:
    kernels = mapping(record, "kernels", kernel)
    reached = number(record, "metrics", metric)
    return (
        name,
        words.or_dash(words.mismatch(number(kernels, "code_mismatch"))),
        words.or_dash(words.count(number(kernels, "max_code_difference"))),
        words.or_dash(words.agreement(number(kernels, "decision_agreement"))),
        words.or_dash(words.percent(number(kernels, "metric") if reached is None else reached, 2)),
        words.or_dash(words.kilobytes(number(record, "size_bytes", file))),
        _latency_cell(mapping(record, "latency_ms", file)),
    )


def _latency_cell(latency: Json) -> str:
    median, low, high = (number(latency, key) for key in ("median", "p10", "p90"))
    if median is None:
        return words.NOT_APPLICABLE
    whole_range = f" ({words.plain(low)}–{words.plain(high)})" if low is not None and high is not None else ""
    return words.plain(median) + whole_range


def _layers(run: Run, seed: SeedRun) -> list[Block]:
    if not layers(seed):
        return [Paragraph("The verification lists no layers.", "note")]
    explanation = (
        "W and A: bits of weights and activations. Bytes count the weights and biases only; the files add the graph. "
        "Codes that differ: the worst of all verified seeds. –: does not apply."
    )
    return [layer_table(run, seed), Paragraph(explanation, "note")]


def _histograms(seed: SeedRun) -> Block:
    return histogram_figure(seed) or Paragraph("No weight codes were recorded: no layer has low-bit weights.", "note")
