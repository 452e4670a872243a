"""The sections about what was learnt: results by seed, loss, memorisation, accuracy or F1, label noise."""

from pipeline.reporting import words
from pipeline.reporting.blocks import Block, Figure, Paragraph, Section, Table
from pipeline.reporting.curves import loss_figure, memorisation_figure, metric_figure
from pipeline.reporting.naming import has_noise, noise_phrase
from pipeline.reporting.read import Run, SeedRun, mapping, number
from pipeline.reporting.summary import Comparison, Spread, compare
from pipeline.reporting.terms import Terms, terms

NOISE_HEAD = ("", "wrong labels", "share wrong", "wrong labels reproduced", "right labels reproduced",
              "validation, noisy", "validation, clean")  # fmt: skip
NOISE_FITS = ("train_noisy_fit", "train_clean_fit")
METRIC_WITH_ARTICLE = {"accuracy": "an accuracy", "F1": "an F1"}
ORACLE = (
    "The oracle picks its epoch with the test labels nobody has in practice: it shows what stopping at the right "
    "moment would have been worth, and is never a result. Brackets: range over the seeds; for the "
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
    rows, foot = _result_rows("", run), [_mean_row("mean", run)]
    if run.baseline:
        rows += _result_rows("baseline, ", run.baseline)
        foot += [_mean_row("baseline, mean", run.baseline), _difference_row(run)]
    blocks: list[Block] = [Table(_result_head(run), tuple(rows), tuple(foot) if run.finished else ())]
    if run.baseline is None:
        blocks.append(Paragraph(_no_baseline(run), "note"))
    return [*blocks, Paragraph(_selection(run))]


def _no_baseline(run: Run) -> str:
    if run.baseline_folder:
        return f"The baseline's folder {run.baseline_folder} is not there."
    return "No baseline was trained beside this run (baseline: true trains one)."


def _result_rows(prefix: str, run: Run) -> list[tuple[str, ...]]:
    return [(prefix + seed.name, *_result_cells(seed, terms(run))) for seed in run.seeds]


def _result_head(run: Run) -> tuple[str, ...]:
    named = terms(run)
    validation = f"{'noisy' if has_noise(run) else named.right} validation {named.short}"
    return (
        "", named.test, "oracle (best test epoch)", "wrong labels memorised", validation, "epoch used", "time"
    )  # fmt: skip


def _result_cells(seed: SeedRun, named: Terms) -> tuple[str, ...]:
    if not seed.scores:
        reached = f"unfinished after {int(seed.epochs[-1]['epoch'])} epochs" if seed.epochs else "not begun"
        return (reached, *(words.NOT_APPLICABLE,) * 5)
    scores, oracle = seed.scores, number(seed.scores, "oracle", "epoch")
    best = words.percent(number(scores, "oracle", named.test_key))
    used, ran = number(scores, "epoch_selected"), number(scores, "epochs_run")
    return (
        words.percent(number(scores, *named.score)),
        words.or_dash(best) if oracle is None else f"{best}, epoch {oracle:.0f}",
        *(words.or_dash(words.percent(number(scores, key))) for key in ("train_noisy_fit", named.val_key)),
        words.NOT_APPLICABLE if used is None else f"{used:.0f} of {words.count(ran)}",
        words.or_dash(words.duration(number(scores, "seconds"))),
    )


def _mean_paths(run: Run) -> tuple[tuple[str, ...], ...]:
    named = terms(run)
    return named.score, ("oracle", named.test_key), ("train_noisy_fit",), (named.val_key,)


def _mean_row(name: str, run: Run) -> tuple[str, ...]:
    spreads = [compare(run, *path).method for path in _mean_paths(run)]
    n = f", n = {len(run.finished)}"
    return (name + n, *(_mean_cell(spread) for spread in spreads), *_no_epoch_no_time())


def _mean_cell(spread: Spread | None) -> str:
    if spread is None:
        return words.NOT_APPLICABLE
    if spread.n == 1:
        return words.percent(spread.mean)
    return f"{words.percent(spread.mean)} ({100 * spread.low:.1f} to {100 * spread.high:.1f})"


def _difference_row(run: Run) -> tuple[str, ...]:
    cells = [_difference_cell(compare(run, *path)) for path in _mean_paths(run)]
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
    return f"Selection rule: {rule}. {ORACLE}"


def _memorisation(run: Run) -> list[Block]:
    figure = memorisation_figure(run)
    blocks = [_or_words(figure, "No epoch has recorded how many training labels are reproduced.")]
    if not has_noise(run):
        blocks.insert(0, Paragraph(_nothing_wrong(run), "note"))
    elif figure and len(figure.panels) == 1:
        blocks.append(Paragraph("Only one of wrong and right labels was recorded.", "note"))
    return blocks


def _nothing_wrong(run: Run) -> str:
    if terms(run).right == "clean":
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
    used, best = (compare(run, *path).method for path in _mean_paths(run)[:2])
    return f"{100 * (best.mean - used.mean):.1f} points" if used and best else ""


def _noise(run: Run) -> list[Block]:
    config = mapping(run.config, "noise")
    described = f"Configured: {noise_phrase(run)}."
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
