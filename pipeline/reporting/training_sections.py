"""The sections about what was learnt: results by seed, loss, memorisation, accuracy or F1, label noise."""

from pipeline.reporting import words
from pipeline.reporting.blocks import Block, Figure, Paragraph, Section, Table
from pipeline.reporting.curves import loss_figure, memorisation_figure, metric_figure
from pipeline.reporting.labels import has_noise, noise_drawn, training_labels, wrong_labels
from pipeline.reporting.naming import is_baseline, noise_phrase, unit_noun
from pipeline.reporting.read import Run, SeedRun, mapping, number
from pipeline.reporting.summary import Comparison, Spread, compare
from pipeline.reporting.terms import Terms, terms

NOISE_HEAD = ("", "wrong labels", "share wrong", "wrong labels reproduced", "right labels reproduced",
              "validation, noisy", "validation, clean")  # fmt: skip
TRAIN_FIT, UNSEEN_FIT = "train_noisy_fit", "test_noisy_fit"
FITS = {TRAIN_FIT: "wrong labels memorised", UNSEEN_FIT: "wrong labels of unseen people"}
NOISE_FITS = ("train_noisy_fit", "train_clean_fit")
METRIC_WITH_ARTICLE = {"accuracy": "an accuracy", "F1": "an F1"}
ORACLE = (
    "The oracle picks its epoch with the test labels nobody has in practice: it shows what stopping at the right "
    "moment would have been worth, and is never a result. Brackets: range over the {unit}s; for the "
    "difference, the 95 % t interval of its mean over the pairs."
)


def training_sections(run: Run) -> tuple[Section, ...]:
    """All sections about training."""
    return (
        Section("results", "Results by seed", tuple(_results(run))),
        Section("loss", "Loss", (_or_words(loss_figure(run), "No epoch has recorded a loss yet."),)),
        Section("memorisation", "Memorisation", tuple(_memorisation(run))),
        Section("accuracy", words.capitalised(terms(run).metric), tuple(_metric(run))),
        Section("noise", "Label noise", tuple(_noise(run))),
    )


def _or_words(figure: Figure | None, otherwise: str) -> Block:
    return figure or Paragraph(otherwise, "note")


def _results(run: Run) -> list[Block]:
    if not run.seeds:
        return [Paragraph("No seed folder is there yet.", "note")]
    fits = _fits(run)
    rows, foot = _result_rows("", run, fits), [_mean_row("mean", run, fits)]
    if run.baseline:
        rows += _result_rows("baseline, ", run.baseline, fits)
        foot += [_mean_row("baseline, mean", run.baseline, fits), _difference_row(run, fits)]
    blocks: list[Block] = [Table(_result_head(run, fits), tuple(rows), tuple(foot) if run.finished else ())]
    if run.baseline is None:
        blocks.append(Paragraph(_no_baseline(run), "note"))
    return [*blocks, Paragraph(_selection(run))]


def _no_baseline(run: Run) -> str:
    if run.baseline_folder:
        return f"The baseline's folder {run.baseline_folder} is not there."
    if is_baseline(run):
        return "This run is a baseline itself: it applies no method."
    return "No baseline was trained beside this run (baseline: true trains one)."


def _fits(run: Run) -> tuple[str, ...]:
    """The keys of FITS that are columns: the share of unseen people's wrong labels where a run has recorded it."""
    seeds = (*run.seeds, *(run.baseline.seeds if run.baseline else ()))
    return tuple(FITS) if any(number(seed.scores, UNSEEN_FIT) is not None for seed in seeds) else (TRAIN_FIT,)


def _result_rows(prefix: str, run: Run, fits: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [(prefix + seed.name, *_result_cells(seed, terms(run), fits)) for seed in run.seeds]


def _result_head(run: Run, fits: tuple[str, ...]) -> tuple[str, ...]:
    named, reproduced = terms(run), (FITS[key] for key in fits)
    validation = f"{training_labels(run)} validation {named.short}"
    return ("", named.test, "oracle (best test epoch)", *reproduced, validation, "epoch used", "time")


def _result_cells(seed: SeedRun, named: Terms, fits: tuple[str, ...]) -> tuple[str, ...]:
    if not seed.scores:
        reached = f"unfinished after {int(seed.epochs[-1]['epoch'])} epochs" if seed.epochs else "not begun"
        return (reached, *(words.NOT_APPLICABLE,) * (4 + len(fits)))
    scores, oracle = seed.scores, number(seed.scores, "oracle", "epoch")
    best = words.percent(number(scores, "oracle", named.test_key))
    used, ran = number(scores, "epoch_selected"), number(scores, "epochs_run")
    return (
        words.percent(number(scores, *named.score)),
        words.or_dash(best) if oracle is None else f"{best}, epoch {oracle:.0f}",
        *(words.or_dash(words.percent(number(scores, key))) for key in (*fits, named.val_key)),
        words.NOT_APPLICABLE if used is None else f"{used:.0f} of {words.count(ran)}",
        words.or_dash(words.duration(number(scores, "seconds"))),
    )


def _mean_paths(run: Run, fits: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    named = terms(run)
    return named.score, ("oracle", named.test_key), *((key,) for key in fits), (named.val_key,)


def _mean_row(name: str, run: Run, fits: tuple[str, ...]) -> tuple[str, ...]:
    spreads = [compare(run, *path).method for path in _mean_paths(run, fits)]
    n = f", n = {len(run.finished)}"
    return (name + n, *(_mean_cell(spread) for spread in spreads), *_no_epoch_no_time())


def _mean_cell(spread: Spread | None) -> str:
    if spread is None:
        return words.NOT_APPLICABLE
    if spread.n == 1:
        return words.percent(spread.mean)
    return f"{words.percent(spread.mean)} ({100 * spread.low:.1f} to {100 * spread.high:.1f})"


def _difference_row(run: Run, fits: tuple[str, ...]) -> tuple[str, ...]:
    cells = [_difference_cell(compare(run, *path)) for path in _mean_paths(run, fits)]
    return ("difference, paired", *cells, *_no_epoch_no_time())


def _difference_cell(comparison: Comparison) -> str:
    difference = comparison.difference
    if difference is None:
        return words.NOT_APPLICABLE
    interval = difference.interval()
    if interval is None:
        return f"{words.points(difference.mean)} (one pair)"
    low, high = (words.points(end).removesuffix(" points") for end in interval)
    return f"{words.points(difference.mean)} ({low} to {high})"


def _no_epoch_no_time() -> tuple[str, str]:
    return words.NOT_APPLICABLE, words.NOT_APPLICABLE


def _selection(run: Run) -> str:
    rules = sorted({str(seed.scores["selection"]) for seed in run.finished if "selection" in seed.scores})
    rule = words.listing(rules) if rules else "not recorded"
    return f"Selection rule: {rule}. {ORACLE.format(unit=unit_noun(run))}"


def _memorisation(run: Run) -> list[Block]:
    figure = memorisation_figure(run)
    blocks = [_or_words(figure, "No epoch has recorded how many training labels are reproduced.")]
    if not has_noise(run):
        blocks.insert(0, Paragraph(_nothing_wrong(run), "note"))
    elif figure and len(figure.panels) == 1:
        blocks.append(Paragraph("Only one of wrong and right labels was recorded.", "note"))
    return blocks


def _nothing_wrong(run: Run) -> str:
    if wrong_labels(run) == "none":
        return "The labels were left clean: there are no wrong labels to memorise."
    return "No label was changed. Which of the annotators' labels are wrong is unknown, so nothing can be counted."


def _metric(run: Run) -> list[Block]:
    blocks = [_or_words(metric_figure(run), f"No epoch has recorded {METRIC_WITH_ARTICLE[terms(run).short]} yet.")]
    if number(mapping(run.config, "data"), "val_fraction") == 0:
        blocks.append(Paragraph("There is no validation split (data.val_fraction: 0), so no validation curve.", "note"))
    if gap := _gap_to_oracle(run):
        blocks.append(Paragraph(gap))
    return blocks


def _gap_to_oracle(run: Run) -> str:
    """What not knowing when to stop costs, for the run and its baseline; empty if the oracle is unknown."""
    gaps = [(name, _gap(each)) for name, each in (("this run", run), ("the baseline", run.baseline)) if each]
    known = [f"{gap} for {name}" for name, gap in gaps if gap]
    return f"Between the best test epoch and the epoch used lie {words.listing(known)}." if known else ""


def _gap(run: Run) -> str:
    used, best = (compare(run, *path).method for path in _mean_paths(run, ())[:2])
    return f"{100 * (best.mean - used.mean):.1f} points" if used and best else ""


def _noise(run: Run) -> list[Block]:
    config = mapping(run.config, "noise")
    described = f"Configured: {noise_phrase(run)}."
    if has_noise(run) and not noise_drawn(run):
        described = (
            "No label was changed. Beside the given labels the data hold clean ones, which tell where they are wrong."
        )
    counted = [seed for seed in run.seeds if seed.wrong_labels is not None]
    if not has_noise(run):
        return [Paragraph(described)]
    if config.get("kind") == "uniform":
        described += " Redrawn labels can hit the true class again, so fewer labels are wrong than were redrawn."
    if not counted:
        return [Paragraph(described), Paragraph("Which labels were corrupted is not recorded in this folder.", "note")]
    return [Paragraph(described), Table(NOISE_HEAD, tuple(_noise_row(seed, terms(run)) for seed in counted))]


def _noise_row(seed: SeedRun, named: Terms) -> tuple[str, ...]:
    return (
        seed.name,
        f"{words.count(seed.wrong_labels)} of {words.count(seed.all_labels)}",
        words.percent(seed.wrong_labels / seed.all_labels) if seed.all_labels else words.NOT_APPLICABLE,
        *(words.or_dash(words.percent(number(seed.scores, key))) for key in NOISE_FITS),
        *(words.or_dash(words.percent(number(seed.scores, key))) for key in (named.val_key, named.val_clean_key)),
    )
