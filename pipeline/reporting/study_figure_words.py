"""What captions, axes and number tables of a study's figures say."""

from collections.abc import Callable, Iterable, Mapping

from pipeline.au_intervals import Difference
from pipeline.reporting import words
from pipeline.reporting.blocks import Table
from pipeline.reporting.read import Json
from pipeline.reporting.series import Point, Series
from pipeline.reporting.study_curves import RATE
from pipeline.reporting.study_numbers import StudyNumbers
from pipeline.reporting.study_words import key_name, value_name
from pipeline.reporting.summary import Spread
from pipeline.study.results import Results
from pipeline.study.settings import shown

EPOCH_COLUMNS = 10
LONG_NAME = 14
AXIS_NAMES = {RATE: "training labels drawn again (%)", "noise.strength": "strength of the annotators' errors"}


def axis_name(axis: str) -> str:
    """What stands below a chart against an axis of the conditions."""
    return AXIS_NAMES.get(axis, key_name(axis))


def value_text(axis: str, shown: float) -> str:
    """A value of an axis as the head of a column."""
    return f"{shown:g} %" if axis == RATE else value_name(axis, shown)


def competing(results: Results) -> list[str]:
    """The variants that compete, the reference among them."""
    return [name for name in results.variants if results.competes(name)]


def not_done(names: Iterable[str]) -> str:
    """A sentence that names the variants without any run; empty if there is none."""
    names = list(names)
    return f" No run is done here of {words.listing(names)}." if names else ""


def of_settings(results: Results, numbers: StudyNumbers) -> str:
    """A sentence on which of its settings a variant is drawn at; empty for a study without settings."""
    if not any(numbers.chosen.values()):
        return ""
    return f" Every variant at {'its reference' if results.search.kind == 'grid' else 'the best'} setting."


def paired_by(results: Results) -> str:
    """By what runs are paired."""
    return "seed" if results.folds == (None,) else "seed and fold"


def counted(series: Iterable[Series]) -> str:
    """How many runs or pairs the points are of: `3`, or `2 to 3`."""
    found = sorted({point.n for each in series for point in each.known if point.n})
    return "?" if not found else str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def score_cell(values: Spread | None) -> str:
    """Mean and standard deviation in %, and n."""
    if values is None:
        return words.MISSING
    deviation = "" if values.deviation is None else f" ± {words.hundredths(values.deviation)}"
    return f"{words.hundredths(values.mean)}{deviation} (n = {values.n})"


def gain_cell(gain: Difference) -> str:
    """Mean and 95 % interval in points (or %), and n."""
    if gain.mean is None:
        return words.MISSING
    interval = "" if gain.low is None else f" [{signed(gain.low)} to {signed(gain.high)}]"
    return f"{signed(gain.mean)}{interval} (n = {gain.pairs})"


def signed(share: float) -> str:
    """A share times 100 with its sign."""
    return f"{100 * share:+.1f}".replace("-", "−")


def points_of(share: float | None) -> str:
    """A share of 1 in points with two decimals, for numbers far below one."""
    return words.NOT_APPLICABLE if share is None else f"{100 * share:.2f}"


def setting_label(setting: str, values: Json) -> str:
    """A setting's name, its values alone where that is long."""
    return ", ".join(map(shown, values.values())) if len(setting) > LONG_NAME and values else setting


def epoch_table(columns: Mapping[str, Series], text: Callable[[float], str] | None = None) -> Table:
    """Means of the series by epoch, one row a series, at most EPOCH_COLUMNS epochs; brackets: the interval.

    `text` writes a number, by default with three significant digits.
    """
    epochs = sorted({point.x for series in columns.values() for point in series.known})
    kept = sorted({epochs[round(i * (len(epochs) - 1) / (EPOCH_COLUMNS - 1))] for i in range(EPOCH_COLUMNS)})
    rows = []
    for name, series in columns.items():
        known = {point.x: point for point in series.known}
        rows.append((name, *(_point_cell(known.get(epoch), text or _plain) for epoch in kept)))
    return Table(("epoch", *(f"{epoch:g}" for epoch in kept)), tuple(rows))


def _point_cell(point: Point | None, text: Callable[[float], str]) -> str:
    if point is None:
        return words.NOT_APPLICABLE
    interval = "" if point.low is None else f" [{text(point.low)} to {text(point.high)}]"
    return f"{text(point.mean)}{interval}"


def one_decimal(value: float) -> str:
    """Points or per cent."""
    return f"{value:.1f}".replace("-", "−")


def _plain(value: float) -> str:
    return words.plain(value).replace("-", "−")
