"""Latency of TFLite files, measured side by side on one thread."""

import numpy as np

from pipeline.litert import LiteRtModel

ROUNDS = 10


def measure_latency(contents: dict[str, bytes], image: np.ndarray, runs: int) -> dict[str, dict]:
    """{kind: {"median", "p10", "p90" in ms, "runs"}} of one invocation; after a warm-up the files take turns."""
    models = {kind: LiteRtModel(content) for kind, content in contents.items()}
    times = {kind: [] for kind in models}
    for model in models.values():
        model.latency_ms(image, 5)
    for _ in range(ROUNDS):
        for kind, model in models.items():
            times[kind].append(model.latency_ms(image, max(runs // ROUNDS, 1)))
    return {kind: _summary(np.concatenate(parts)) for kind, parts in times.items()}


def _summary(times: np.ndarray) -> dict:
    p10, median, p90 = np.percentile(times, [10, 50, 90])
    return {"median": float(median), "p10": float(p10), "p90": float(p90), "runs": len(times)}
