"""Table 1 of the paper: F1 in % on BP4D, three subject-exclusive folds, mean of five runs.

Tallec, Yvinec, Dapogny, Bailly, "Fighting over-fitting with quantization for learning deep neural networks on noisy
labels", ICIP 2023, https://arxiv.org/abs/2303.11803
"""

from pipeline.reporting.blocks import Table

UNITS = ("AU1", "AU2", "AU4", "AU6", "AU7", "AU10", "AU12", "AU14", "AU15", "AU17", "AU23", "AU24")
ROWS = {
    "baseline": (49.6, 45.8, 55.1, 74.8, 75.5, 83.7, 87.1, 62.7, 47.0, 56.4, 44.8, 41.2, 60.3),
    "weight decay": (52.6, 46.8, 54.3, 75.3, 76.4, 83.1, 87.2, 58.6, 44.6, 58.5, 44.1, 43.1, 60.4),
    "dropout": (50.2, 46.1, 57.5, 75.3, 75.8, 83.1, 87.1, 60.5, 47.9, 58.4, 46.9, 47.9, 61.4),
    "label smoothing": (48.8, 45.7, 56.0, 75.3, 74.8, 82.7, 87.3, 60.1, 44.0, 57.1, 43.8, 41.5, 59.8),
    "pruning": (51.0, 45.0, 56.2, 76.1, 76.4, 82.5, 86.8, 61.3, 47.1, 58.0, 44.2, 42.8, 60.6),
    "quantization": (51.7, 48.2, 57.6, 75.4, 76.9, 83.9, 87.8, 59.7, 48.4, 59.0, 47.8, 53.4, 62.5),
}
ALL_PRESENT = (34.8, 29.1, 33.7, 63.1, 70.9, 74.5, 71.9, 63.6, 29.0, 51.2, 28.4, 26.3, 48.0)  # from BP4D's base rates


def paper_table() -> Table:
    """The paper's rows, and below them what calling every unit present reaches on BP4D."""
    rows = tuple((name, *(f"{value:.1f}" for value in values)) for name, values in ROWS.items())
    foot = (("all present", *(f"{value:.1f}" for value in ALL_PRESENT)),)
    return Table(("method", *(unit.removeprefix("AU") for unit in UNITS), "avg"), rows, foot)
