"""The report of a study: results.csv, timings.csv, report.html, report.md and figures, made from its folder alone."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import yaml

from pipeline.reports.numbers import MISSING, listing, p_value, percent, points
from pipeline.reports.render import Code, Figure, Page, Section, Text, Tile, Verdict, write_page
from pipeline.reports.study_figures import au_figures, cost_figures, epoch_figures, noise_figures, setting_figures
from pipeline.reports.study_load import (
    BEST,
    Results,
    arm_name,
    at,
    capitalized,
    condition_name,
    read_results,
    results_table,
    timings_table,
)
from pipeline.reports.study_numbers import Leader, StudyNumbers, leaders, study_numbers
from pipeline.reports.study_plots import combined
from pipeline.reports.study_settings import trial_table, tune
from pipeline.reports.study_tables import (
    OBJECTIVES,
    difference_blocks,
    gain_text,
    paired_by,
    run_blocks,
    score_blocks,
    setting_blocks,
    trial_blocks,
    tuned_blocks,
)
from pipeline.reports.style import svg_file
from pipeline.runs.files import write_text
from pipeline.runs.names import STUDY_TEXT

RESULTS, TIMINGS = "results.csv", "timings.csv"
FIGURE_FILE = re.compile(r"(table1|figure[123]|length|pareto|units)(-\d+)?\.svg")  # also those of earlier versions
MAX_TILES = 6
MAX_SUMMARY = 5  # conditions with a sentence each
MIN_PAIRS = 5


def write_study_report(folder: Path) -> None:
    """Write all of them from what the folder holds; missing runs are named as missing.

    Raises UserError if `folder` is not a study, RunFailed if the disk is full.
    """
    results = read_results(folder)
    for name, table in ((RESULTS, results_table(results)), (TIMINGS, timings_table(results))):
        write_text(folder / name, table.to_csv(index=False, lineterminator="\n"))
    page = study_page(results, (folder / STUDY_TEXT).read_text(encoding="utf-8"), (folder / BEST).is_file())
    figures = [block for section in page.sections for block in section.blocks if isinstance(block, Figure)]
    for figure in figures:
        write_text(folder / figure.file, svg_file(combined(figure.panels)))
    write_page(page, folder)
    written = {figure.file for figure in figures}
    for path in folder.glob("*.svg"):
        if FIGURE_FILE.fullmatch(path.name) and path.name not in written:
            path.unlink()


def study_page(results: Results, study_text: str, has_best: bool) -> Page:
    """The report, independent of its format; `has_best`: whether best.yaml is there."""
    numbers = study_numbers(results)
    found, tuned = leaders(numbers, numbers.standing, numbers.comparison), tune(numbers)
    tuned_found = leaders(numbers, tuned.rows, tuned.comparison) if tuned else []
    has_settings = results.is_grid and any(len(own) > 1 for own in results.settings.values())
    is_table1 = numbers.multilabel and len(results.conditions) == 1
    sections = {
        ("trials", "Trials"): () if results.is_grid else trial_blocks(numbers),
        ("tuned", "Each variant tuned on noisy validation labels"):
            tuned_blocks(numbers, tuned, tuned_found) if has_settings else (),
        ("table", "Table 1" if is_table1 else "Results"): score_blocks(numbers),
        ("differences", f"Differences to {results.reference}"): difference_blocks(numbers, found),
        ("figure2", "Gain, score and memorisation against noise (the paper's Figure 2)"): noise_figures(numbers),
        ("figure3", "Settings against their reference (the paper's Figure 3)"):
            (*setting_figures(numbers), *setting_blocks(numbers)) if has_settings else (),
        ("figure1", "Loss, memorisation and score by epoch (the paper's Figure 1)"): epoch_figures(numbers),
        ("pareto", "Score against size and latency"): cost_figures(numbers),
        ("units", "Differences by action unit"): au_figures(numbers),
        ("method", "How this was measured"): _method(numbers),
        ("runs", "Runs"): run_blocks(numbers),
        ("configuration", "Configuration"): _configuration(results, study_text, has_best),
    }  # fmt: skip
    made = [Section(anchor, title, _named(anchor, blocks)) for (anchor, title), blocks in sections.items()]
    is_tuned = tuned is not None and not tuned.is_reference
    told = (tuned.comparison, tuned_found) if is_tuned else (numbers.comparison, found)
    headline, is_clear, summary, tiles = _told(numbers, *told, is_tuned) if results.is_grid else _search_told(numbers)
    missing = [each for each in results.cells if not each.scores]
    warnings = []
    if missing:
        failed = sum(each.state == "failed" for each in missing)
        of_them = f", {failed} of them failed" if failed else ""
        warnings = [f"{len(missing)} of {len(results.cells)} runs are missing{of_them}: every number is without them."]
    done = Tile("runs done", f"{len(results.cells) - len(missing)} of {len(results.cells)}", "")
    state = "unfinished" if missing else "pass" if is_clear else "unverified"
    return Page(
        title=results.name,
        subtitle=_subtitle(results),
        verdict=Verdict(state, headline, tuple(summary), warnings=tuple(warnings)),
        tiles=(*tiles, done),
        sections=tuple(section for section in made if section.blocks),
    )


def _named(anchor: str, blocks: Iterable) -> tuple:
    """The figures among the blocks get the files figure2.svg, figure2-2.svg and so on."""
    named, count = [], 0
    for block in blocks:
        if isinstance(block, Figure):
            count += 1
            block = replace(block, file=anchor + (f"-{count}" if count > 1 else "") + ".svg")
        named.append(block)
    return tuple(named)


def _subtitle(results: Results) -> str:
    """Such as `7 variants, 5 conditions, 3 seeds`; a single condition by its name."""
    counts = {
        "variant": len(results.variants),
        "setting": sum(len(found) for found in results.settings.values() if len(found) > 1),
        "condition": len(results.conditions) if len(results.conditions) > 1 else 0,
        "seed": len(results.seeds),
        "fold": len(results.folds) if results.has_folds else 0,
    }
    parts = [f"{n} {name}{'' if n == 1 else 's'}" for name, n in counts.items() if n]
    return ", ".join(parts) + (at(results.conditions[0]) if len(results.conditions) == 1 else "")


Told = tuple[str, bool, list[str], list[Tile]]  # headline, whether it is significant, sentences, tiles


def _told(numbers: StudyNumbers, table: pd.DataFrame, found: Sequence[Leader], is_tuned: bool) -> Told:
    """Who leads at how many conditions, and by how much."""
    reference, known = numbers.results.reference, [each for each in found if each.best]
    led = Counter(each.leader for each in known if each.leader)
    none = f"no variant is significantly better than {reference}"
    if not known:
        headline = f"No comparison with {reference} yet"
    elif len(found) == 1 or not led:
        headline = f"{next(iter(led))} leads" if led else none
    else:
        parts = [f"{name} leads at {count} of {len(found)} conditions" for name, count in led.most_common()]
        rest = len(known) - led.total()
        headline = "; ".join([*parts, *([f"{none} at {rest}"] if rest else [])])
    if is_tuned and known:
        headline = f"Tuned on noisy validation labels: {headline}"
    told = [(place, each) for place, each in enumerate(found) if each.best] if len(found) <= MAX_SUMMARY else []
    summary = [_summary(numbers, table.loc[place, each.leader or each.best], place, each) for place, each in told]
    return capitalized(headline), bool(led), summary, _tiles(numbers, table, found)


def _summary(numbers: StudyNumbers, row: pd.Series, place: int, leader: Leader) -> str:
    """`Noise 40 %: quantization leads with 72.3 % accuracy, +12.3 (...) points ... Statistically tied: pruning.`"""
    condition = condition_name(numbers.results.conditions[place])
    who = f"{leader.leader} leads" if leader.leader else f"not significant: {leader.best} is best"
    text = f"{condition}: {who}" if condition else who
    text += f" with {percent(row['mean'])} {numbers.terms.short}, {_gain(row)} points over {numbers.results.reference}"
    if pd.notna(row["p_adjusted"]) and numbers.comparisons > 1:
        text += f", Bonferroni-adjusted p: {p_value(row['p_adjusted'])}"
    tied = f" Statistically tied: {listing(leader.tied) or 'none'}."
    return capitalized(f"{text}.{tied if leader.leader else ''}")


def _gain(row: pd.Series) -> str:
    return gain_text(row).replace("(", "(95 % CI ")


def _tiles(numbers: StudyNumbers, table: pd.DataFrame, found: Sequence[Leader]) -> list[Tile]:
    """The leader's gain at each condition; in a study without conditions the score of each variant."""
    results, tiles = numbers.results, []
    if len(found) == 1:
        for name, row in table.loc[0][lambda here: here["competes"]].iterrows():
            state = "good" if row["low"] > 0 else "bad" if row["high"] < 0 else "plain" if row["n"] else "missing"
            detail = "the reference" if name == results.reference else f"{gain_text(row)} points"
            tiles.append(Tile(name, percent(row["mean"]), detail, state))
        return tiles
    for place, each in list(enumerate(found))[:MAX_TILES]:
        condition, name = condition_name(results.conditions[place]), each.leader or each.best
        if name is None:
            tiles.append(Tile(condition, MISSING, "no comparison yet", "missing"))
        else:
            gain, detail = points(table.loc[(place, name), "difference"], ""), f"points, {name}"
            found_one = (detail, "good") if each.leader else (f"{detail}, not significant", "plain")
            tiles.append(Tile(condition, gain, *found_one))
    return tiles


def _search_told(numbers: StudyNumbers) -> Told:
    """The best trial of a search by validation, and its gain over the reference's."""
    results, table = numbers.results, trial_table(numbers)
    objective, done = OBJECTIVES[results.objective], int(table["objective"].notna().sum())
    tiles = [Tile("trials done", str(done), f"of at most {results.max_trials}")]
    best = table[table["competes"] & table["objective"].notna()]
    if best.empty:
        return "No result yet: no trial has all its runs", False, [], tiles
    row, test = best.iloc[0], numbers.terms.test
    is_clear = bool(row["low"] > 0 or row["high"] < 0)
    tiles = [
        Tile(f"best {objective}", percent(row["objective"]), f"trial {best.index[0]}"),
        Tile(f"its {test}", percent(row["mean"]), ""),
        Tile(f"over {results.reference}", points(row["difference"], ""), f"points, {row['pairs']:.0f} pairs of runs"),
        *tiles,
    ]
    name = arm_name(row["variant"], row["setting"])
    headline = f"Best of {done} {results.search} trials by {objective}: {name}"
    gain = f"{_gain(row)} points over {results.reference} in {test}."
    return headline, is_clear, [gain] if row["pairs"] and row["variant"] != results.reference else [], tiles


def _method(numbers: StudyNumbers) -> Iterator[Text]:
    """What the runs share, which epoch counts, and what the intervals are about."""
    results, many = numbers.results, numbers.comparisons
    yield Text(
        "All methods of a condition, seed and fold share training images, noisy labels, batch order and initial weights; so "
        "differences are taken run by run. A seed changes the noisy labels, the validation part, the order and the initial "
        "weights, not which examples there are. The validation part has noisy labels too; the test set keeps its labels."
    )
    early = {each.variant for each in results.cells if str(each.scores.get("selection", "")).startswith("early")}
    rule = f", or for {listing(sorted(early))} the best on noisy validation labels" if early else ""
    yield Text(f"The last epoch counts{rule}, never one chosen by the test set.")
    few = " With so few pairs they rest on normally distributed differences; widths vary much by chance."
    bonferroni = f" Bonferroni: p times {many}, the number of all comparisons with {results.reference}."
    yield Text(
        f"Intervals and p-values: paired t-test over runs of equal {paired_by(results)}, taken as independent. They share "
        f"their test {'subjects' if numbers.multilabel else 'images'}, so an interval is about new seeds on these data, not "
        f"about other data.{few if len(results.seeds) * len(results.folds) < MIN_PAIRS else ''}{bonferroni if many > 1 else ''}"
    )
    if not numbers.multilabel and numbers.comparison["memorised"].notna().any():
        yield Text("A network that memorises nothing predicts some of the wrong training labels by chance.")


def _configuration(results: Results, study_text: str, has_best: bool) -> Iterator[Text | Code]:
    yield Code(results.command)
    if has_best and results.objective:
        what = f", at the base experiment's own {listing(list(results.axes))}" if results.axes else ""
        yield Text(
            f"best.yaml in this folder is the variant and setting with the best mean {OBJECTIVES[results.objective]} over "
            f"all runs, as an experiment of its own: python -m pipeline.run --config best.yaml runs it{what}."
        )
    yield Code(study_text.rstrip("\n"), "study.yaml")
    first = next((each for each in results.cells if each.variant == results.reference and each.config), None)
    if first:
        where = ", ".join(filter(None, (condition_name(first.condition), f"seed {first.seed}")))
        text = yaml.safe_dump(first.config, sort_keys=False, allow_unicode=True, width=120)
        yield Code(text.rstrip("\n"), f"one run of {results.reference} in full ({where})")
