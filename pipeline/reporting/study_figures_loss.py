"""The paper's Figure 1: training and test loss by epoch at one condition, and the memorised share of the wrong labels."""

from collections.abc import Iterator, Mapping

from pipeline.reporting import words
from pipeline.reporting.blocks import Block, Figure, Paragraph
from pipeline.reporting.series import Series, common_range
from pipeline.reporting.series_style import method_names, styles
from pipeline.reporting.study_curves import by_epoch, done_histories, raw_point, usual_condition
from pipeline.reporting.study_figure_words import competing, counted, epoch_table, not_done, of_settings
from pipeline.reporting.study_numbers import StudyNumbers
from pipeline.reporting.study_words import at
from pipeline.reporting.xy_chart import Axes, frame_for, xy_chart
from pipeline.study.results import Pair, Results

TRAIN, OBJECTIVE, TEST, FIT = "train_eval_loss", "train_loss", "test_loss", "train_noisy_fit"
MEANING = {
    TRAIN: "Training loss: of the training labels as given, evaluated without a method's penalty or smoothing.",
    OBJECTIVE: "Training loss: the method's own objective, penalty and smoothing included, so not of one kind for all.",
}


def loss_blocks(results: Results, numbers: StudyNumbers) -> Iterator[Block]:
    """Reference and quantization with bands, other variants as faint lines."""
    condition = usual_condition(results)
    lines = {name: done_histories(results, numbers, name, condition) for name in competing(results)}
    train = TRAIN if any(by_epoch(found, TRAIN) for found in lines.values()) else OBJECTIVE
    unit = numbers.terms.unit
    titles = {
        train: ("Training loss", unit, 1.0),
        TEST: (f"Test loss, {numbers.terms.right} labels", unit, 1.0),
        FIT: ("Wrong training labels reproduced", "% of them", 100.0),
    }
    series = {key: _series(results, lines, key, factor) for key, (_, _, factor) in titles.items()}
    series = {key: found for key, found in series.items() if found}
    if not series:
        yield Paragraph(f"No run that is done{at(condition)} has recorded a loss.", "note")
        return
    frame = frame_for(series.values(), height=280)
    losses = [found for key, found in series.items() if key != FIT]
    panels = []
    for key, found in series.items():
        title, unit, _ = titles[key]
        limits = common_range([found], within=(0.0, 100.0)) if key == FIT else common_range(losses)
        panels.append(xy_chart(Axes(title, f"{unit}{at(condition)}", "epoch"), found, limits, frame=frame))
    every = [each for found in series.values() for each in found]
    caption = (
        f"Mean over n = {counted(every)} runs that are done{at(condition)}; band of "
        f"{words.listing(emphasised(results))}, and brackets in the numbers: standard deviation. "
        f"{MEANING[train]} A training loss that falls while the test loss rises is memorisation."
    )
    absent = [titles[key][0] for key in titles if key not in series]
    caption += f" Not recorded: {', '.join(absent)}." if absent else ""
    caption += of_settings(results, numbers) + not_done(name for name, found in lines.items() if not found)
    columns = {f"{titles[key][0]}: {each.label}": each for key, found in series.items() for each in found}
    yield Figure(caption, tuple(panels), numbers=epoch_table(columns))


def _series(results: Results, lines: Mapping[str, Mapping[Pair, list]], key: str, factor: float) -> list[Series]:
    look, loud = styles(results), emphasised(results)
    found = []
    for name, histories in lines.items():
        values = by_epoch(histories, key, whole=True)
        points = tuple(raw_point(epoch, each, factor) for epoch, each in values.items())
        css = look[name].css if name in loud else f"{look[name].css} pale"
        if points:
            found.append(Series(name, css, points, look[name].marker, "band" if name in loud else "none"))
    return sorted(found, key=lambda each: each.label in loud)


def emphasised(results: Results) -> tuple[str, ...]:
    """The reference and the first variant that quantizes, without one the first other that competes."""
    others = [name for name in competing(results) if name != results.reference]
    quantized = [name for name in others if "quantization" in method_names(results, name)]
    return (results.reference, *(quantized or others)[:1])
