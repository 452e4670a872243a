"""The figures of a study: against noise, over settings and epochs, against cost, and by action unit."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from pipeline.reports.load import Json, mapping, number
from pipeline.reports.numbers import DASH, cell, hundredths, kilobytes, listing, milliseconds, plain
from pipeline.reports.render import Figure, Table, Text
from pipeline.reports.study_load import (
    RATE,
    Condition,
    Results,
    arm_name,
    at,
    axis_name,
    capitalized,
    condition_name,
    method_names,
    numeric_axis,
    setting_label,
    usual_condition,
)
from pipeline.reports.study_numbers import (
    StudyNumbers,
    by_epoch,
    by_pair,
    cost_table,
    gains_by_epoch,
    paired_difference,
)
from pipeline.reports.study_plots import (
    Line,
    cost_panel,
    emphasised,
    front,
    gain_line,
    line_panel,
    looks,
    spread_line,
    value_range,
)
from pipeline.reports.study_settings import setting_table
from pipeline.reports.study_tables import gain_text, mean_text, paired_by
from pipeline.reports.style import SERIES

MIN_T_PAIRS = 3  # two pairs have an interval 13 times as wide as their standard error
MAX_LABELLED = 12  # arms with bars and labels in a chart of costs
MEMORISED = "Noisy labels memorised (%)"
# Figure 2 of https://arxiv.org/abs/2303.11803, read off the plot: ResNet-20 on CIFAR-10, 200 epochs.
PAPER_NOISE = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90)  # % of the training labels resampled uniformly
PAPER_ACCURACY = (90.4, 86.9, 83.2, 80.8, 76.5, 70.3, 62.6, 50.6, 38.1, 22.3)  # % of the baseline; error about 1
PAPER_GAINS = {  # points over the baseline, by the method of a configuration; error about 0.3
    "quantization": (0.4, 2.1, 3.1, 3.8, 5.5, 7.4, 10.9, 18.2, 19.6, 12.4),
    "dropout": (0.0, 0.1, 2.2, 3.6, 5.2, 9.9, 13.8, 18.4, 20.8, 13.3),
    "pruning": (-2.0, -0.5, 0.7, 0.6, 2.3, 4.7, 10.2, 14.0, 17.1, 16.1),
    "early_stopping": (0.0, 0.4, 0.4, 0.1, 1.1, 0.3, 0.4, 0.1, 2.3, 0.6),
    "weight_decay": (0.0, 0.9, 0.3, -0.8, 0.7, -0.1, -1.3, -0.5, 0.0, 0.2),
}
CIFAR10_TRAIN = 50_000  # examples
Block = Figure | Table | Text


def noise_figures(numbers: StudyNumbers) -> Iterator[Block]:
    """The paper's Figure 2 for every point of the other axes: gain over the reference, and score, against noise."""
    for rest, axis, places in _along(numbers.results):
        if (numbers.comparison.loc[[*places.values()], "n"] > 0).any():
            yield _noise_figure(numbers, axis, rest, places)


def _along(results: Results) -> Iterator[tuple[Condition, str, dict[float, int]]]:
    """For each point of the other axes: it, the numeric axis, and by its rising values (rates in %) the condition's place."""
    axis = numeric_axis(results)
    others = {key: values for key, values in results.axes.items() if key != axis}
    for point in itertools.product(*others.values()) if axis else ():
        rest, places = dict(zip(others, point, strict=True)), {}
        for value in sorted(results.axes[axis]):
            condition = {key: {**rest, axis: value}[key] for key in results.axes}
            places[round(100 * value, 6) if axis == RATE else value] = results.conditions.index(condition)
        yield rest, axis, places


def _noise_figure(numbers: StudyNumbers, axis: str, rest: Condition, places: Mapping[float, int]) -> Figure:
    results, look = numbers.results, looks(numbers.results)
    own = {
        name: numbers.comparison.xs(name, level="variant").loc[[*places.values()]].set_axis([*places])
        for name in results.variants
    }
    gain, score = f"Gain over {results.reference} (points)", f"{capitalized(numbers.terms.test)} (%)"
    known = {gain: [], score: [], MEMORISED: []}
    for name, table in own.items():
        lines = {
            gain: gain_line(name, look[name], table, "bars"),
            score: spread_line(name, look[name], 100 * table["mean"], 100 * table["sd"], "bars"),
            MEMORISED: spread_line(name, look[name], 100 * table["memorised"], np.nan, "none"),
        }
        rival = name != results.reference and results.competes(name)
        for title, line in lines.items():
            if line.is_known and (rival or title != gain):
                known[title].append(line)
    where = f" ({condition_name(rest)})" if rest else ""
    x_name, ticks = axis_name(results, axis), {x: f"{x:g}" for x in places}
    panels = [
        line_panel(title, x_name, own, value_range(own, 0.0) if title == gain else value_range(own, is_share=True), ticks)
        for title, own in known.items() if own
    ]  # fmt: skip
    caption = (
        f"Gain{where}: mean difference to {results.reference}, paired by {paired_by(results)}, with 95 % confidence "
        "intervals, not corrected for their number. Score: mean with standard deviation. Memorised: the share of the wrong "
        "training labels that the network predicts, mean. Points of equal x are drawn side by side; bars that leave the "
        "chart are cut off."
    )
    return Figure(caption, tuple(panels), numbers=_paper_table(numbers, axis, own))


def _paper_table(numbers: StudyNumbers, axis: str, own: Mapping[str, pd.DataFrame]) -> Table | None:
    """Ours (rows of the comparison by rate, of each variant) beside the paper's Figure 2, where a study has its setting."""
    results, rows = numbers.results, []
    config = next((each.config for each in results.select(results.reference) if each.config), {})
    if not is_figure2_setting(config, axis):
        return None
    for name, table in own.items():
        methods = method_names(results, name)
        if name == results.reference and not methods:
            what, theirs, ours = "accuracy", PAPER_ACCURACY, table["mean"].map(hundredths).map(cell)
        elif len(methods) == 1 and methods[0] in PAPER_GAINS and results.competes(name):
            what, theirs, ours = "gain", PAPER_GAINS[methods[0]], table.apply(gain_text, axis=1)
        else:
            continue
        paper = dict(zip(PAPER_NOISE, (f"{value:.1f}".replace("-", "−") for value in theirs), strict=True))
        rows += [(f"{name}, {what}", *ours), (f"{name}, {what}, paper", *(paper.get(x, DASH) for x in table.index))]
    caption = (
        "Beside the paper's Figure 2 as read off its plot (error about 0.3 points on gains, 1 point on accuracies). The paper "
        f"trains 200 epochs, this study {plain(number(config, 'train', 'epochs'))}; the paper's dropout and pruning are the "
        "best of several settings."
    )
    return Table(caption, (axis_name(results, axis), *(f"{x:g}" for x in next(iter(own.values())).index)), tuple(rows))


def is_figure2_setting(config: Json, axis: str) -> bool:
    """Whether a run's setting is that of the paper's Figure 2, so that the curves can be compared."""
    data, model = mapping(config, "data"), mapping(config, "model")
    network = (model.get("name"), model.get("depth", 20), model.get("width", 16))
    return (
        (axis, data.get("name"), *network) == (RATE, "cifar10", "resnet20", 20, 16)
        and (number(data, "train_examples") or CIFAR10_TRAIN) >= CIFAR10_TRAIN
        and mapping(config, "noise").get("kind") in ("uniform", "none")
    )


def setting_figures(numbers: StudyNumbers) -> Iterator[Block]:
    """The paper's Figure 3: gains of settings relative to their variant's reference setting, a panel a variant."""
    results = numbers.results
    for rest, axis, places in _along(results):
        lines = {name: _setting_lines(numbers, name, places) for name in results.variants}
        lines = {name: own for name, own in lines.items() if own}
        if not lines:
            continue
        limits = value_range(itertools.chain.from_iterable(lines.values()), 0.0)
        x_name, ticks = axis_name(results, axis), {x: f"{x:g}" for x in places}
        panels = [
            line_panel(
                f"{capitalized(name)} against {results.reference_settings[name]} (%)", x_name, own, limits, ticks
            )
            for name, own in lines.items()
        ]
        yield Figure(
            "Change of the score relative to the variant's reference setting, in % of its score"
            f"{f' ({condition_name(rest)})' if rest else ''}: mean over runs paired by {paired_by(results)}, with 95 % "
            f"confidence intervals from {MIN_T_PAIRS} pairs on; one scale for all.",
            tuple(panels),
        )


def _setting_lines(numbers: StudyNumbers, variant: str, places: Mapping[float, int]) -> list[Line]:
    results, table, lines = numbers.results, setting_table(numbers, variant), []
    for setting, values in results.settings[variant].items():
        if setting != results.reference_settings[variant]:
            own = table.loc[setting].loc[[*places.values()]].set_axis([*places])
            spread = "bars" if (own["pairs"] >= MIN_T_PAIRS).any() else "none"
            lines.append(gain_line(setting_label(setting, values), SERIES[len(lines) % len(SERIES)], own, spread))
    return [line for line in lines if line.is_known]


def epoch_figures(numbers: StudyNumbers) -> Iterator[Block]:
    """The paper's Figure 1: losses by epoch and the memorised share; and the score and its gain had training ended there."""
    results, look, test = numbers.results, looks(numbers.results), numbers.terms.test_key
    condition, loud = usual_condition(results), emphasised(results)
    cells = {
        name: [each for each in results.select(name, numbers.chosen[name], condition) if each.scores]
        for name in results.variants if results.competes(name) and numbers.chosen[name] is not None
    }  # fmt: skip
    titles = {
        "train_eval_loss": "Training loss",
        "train_loss": "Training loss, own objective",
        "test_loss": f"Test loss, {numbers.terms.right} labels",
        "train_noisy_fit": MEMORISED,
        test: f"{capitalized(numbers.terms.test)} (%)",
    }
    curves = {
        key: {name: table for name, own in cells.items() if not (table := by_epoch(own, key)).empty} for key in titles
    }
    curves.pop("train_loss" if curves["train_eval_loss"] else "train_eval_loss")
    lines: dict[str, list[Line]] = {}
    for key, tables in curves.items():
        for name in sorted(tables, key=loud.__contains__):
            table = tables[name] * (1 if "loss" in key else 100)
            spread = "band" if name in loud else "none"
            line = spread_line(name, look[name], table.mean(axis=1), table.std(axis=1), spread)
            lines.setdefault(key, []).append(replace(line, is_pale=name not in loud))
    losses = [line for key, own in lines.items() if "loss" in key for line in own]
    panels = [
        line_panel(titles[key], "epoch", own, value_range(losses) if "loss" in key else value_range(own, is_share=True))
        for key, own in lines.items()
    ]
    gains = gains_by_epoch(curves[test], results.reference)
    if drawn := [gain_line(name, look[name], gain, "band" if name in loud else "none") for name, gain in gains.items()]:
        panels.append(line_panel(f"Gain over {results.reference} (points)", "epoch", drawn, value_range(drawn, 0.0)))
    if not panels:
        yield Text(f"No finished run{at(condition)} has recorded a loss or a score by epoch.", "note")
        return
    yield Figure(
        f"Mean over the finished runs{at(condition)}. Falling training loss with rising test loss is memorisation. Losses are "
        f"{numbers.terms.unit}. Gain: had training ended at the epoch, paired by {paired_by(results)}. Bands, of "
        f"{listing(loud)}: standard deviation, of the gain 95 % confidence interval.",
        tuple(panels),
    )


def cost_figures(numbers: StudyNumbers) -> Iterator[Block]:
    """Score against the size and the latency of the file that computes what was scored, one point an arm."""
    results, condition = numbers.results, usual_condition(numbers.results)
    arms = cost_table(numbers, results.conditions.index(condition))
    few, panels = len(arms) <= MAX_LABELLED, []
    for what, cost_name, factor in (("size", "file (kB)", 1e-3), ("latency", "one image (ms)", 1.0)):
        drawn = arms.assign(cost=factor * arms[what]).dropna(subset="cost")
        if len(drawn):
            named = drawn if few else front(drawn)
            drawn = drawn.assign(label=named["label"]) if few else drawn.assign(label=named["label"], deviation=np.nan)
            title = f"{capitalized(numbers.terms.test)} (%) against {what}"
            panels.append(cost_panel(title, cost_name, drawn, looks(results)))
    if not panels:
        yield Text(f"No finished run{at(condition)} was verified, so sizes and latencies are unknown.", "note")
        return
    rows = [
        (arm_name(arm.variant, arm.setting), mean_text(arm.score, arm.deviation), str(arm.n), arm.file,
         cell(kilobytes(arm.size)), cell(milliseconds(arm.latency)))
        for arm in arms.itertuples(index=False)
    ]  # fmt: skip
    table = Table("Medians over runs.", ("arm", "score (%)", "n", "file", "size", "latency"), tuple(rows))
    caption = (
        f"One point an arm{at(condition)}: mean score{' with standard deviation' if few else ''}; size and latency of the file "
        "that computes what was scored (int8 for a quantized network, float32 for any other), medians over runs on the machine "
        "of the study, where other runs may have trained meanwhile. Joined: arms that no other beats in both."
    )
    yield Figure(caption, tuple(panels), numbers=table)


def au_figures(numbers: StudyNumbers) -> Iterator[Block]:
    """What each variant changes at every action unit, at the usual condition; nothing for a study on classes."""
    results, condition = numbers.results, usual_condition(numbers.results)
    if not numbers.multilabel:
        return
    here = numbers.standing[numbers.standing["place"] == results.conditions.index(condition)]
    columns, gains = {**{au: f"f1_{au}" for au in numbers.aus}, "mean": "score"}, {}
    for name in filter(results.competes, results.variants):
        own, reference = (here[here["variant"] == each] for each in (name, results.reference))
        found = [paired_difference(by_pair(own, key), by_pair(reference, key)) for key in columns.values()]
        if name != results.reference and any(gain["pairs"] for gain in found):
            gains[name] = pd.DataFrame(found, [*columns])
    if not gains:
        return
    look, ticks = looks(results), dict(enumerate(au.removeprefix("AU") for au in columns))
    lines = {name: gain_line("", look[name], table.set_axis([*ticks]), "dots") for name, table in gains.items()}
    limits = value_range(lines.values(), 0.0)
    panels = [
        line_panel(f"{capitalized(name)} (F1 points)", "action unit", [line], limits, ticks)
        for name, line in lines.items()
    ]
    texts = pd.DataFrame({name: table.apply(gain_text, axis=1) for name, table in gains.items()})
    caption = (
        f"Difference in F1 to {results.reference}{at(condition)}: mean over runs paired by {paired_by(results)}, with 95 % "
        "confidence intervals, not corrected: about one in twenty excludes zero by chance."
    )
    yield Figure(caption, tuple(panels), numbers=Table("In points.", ("", *texts), tuple(texts.itertuples(name=None))))
