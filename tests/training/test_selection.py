"""Which epoch counts."""

from pipeline.methods import EarlyStopping, LabelSmoothing, Quantization
from pipeline.methods.pruning import Pruning
from pipeline.training.selection import oracle, selection_rule


def history(*val_losses: float | None) -> list[dict]:
    """Lines whose test accuracy grows while the validation loss does what it wants."""
    return [
        {"epoch": epoch, "val_loss": loss, "test_accuracy": None if loss is None else epoch / 100}
        for epoch, loss in enumerate(val_losses, start=1)
    ]


def test_the_last_epoch_counts():
    rule = selection_rule([LabelSmoothing()], 5)
    assert (rule.name(history(1.0, 3.0, 2.0)), rule.epoch(history(1.0, 3.0, 2.0))) == ("last epoch", 3)
    assert not rule.keeps_last(history(1.0)) and not rule.is_over(history(*[1.0] * 99))


def test_early_stopping_takes_the_best_on_validation_labels():
    rule = selection_rule([LabelSmoothing(), EarlyStopping(patience=2)], 5)
    lines = history(3.0, 1.0, 2.0, 2.0)
    assert (rule.name(lines), rule.epoch(lines)) == ("early stopping", 2)
    assert [rule.keeps_last(lines[:count]) for count in (1, 2, 3, 4)] == [True, True, False, False]
    assert [rule.is_over(lines[:count]) for count in (0, 1, 2, 3, 4)] == [False, False, False, False, True]


def test_epochs_without_evaluation_are_no_candidates():
    rule = selection_rule([EarlyStopping(patience=2)], 5)
    assert rule.epoch(history(None, 2.0, None, 1.0, None)) == 4
    assert rule.epoch(history(None)) == 1 and not rule.is_over(history(None))


def test_epochs_of_the_float_warm_up_are_no_candidates():
    rule = selection_rule([EarlyStopping(patience=2), Quantization(warmup_epochs=2)], 5)
    lines = history(1.0, 1.0, 3.0, 2.0, 2.5)
    assert rule.epoch(lines) == 4
    assert not any(rule.is_over(lines[:count]) for count in range(6))


def test_epochs_before_pruning_is_complete_are_no_candidates():
    rule = selection_rule([EarlyStopping(patience=2), Pruning(begin=0.2, end=0.6)], 5)
    assert rule.epoch(history(1.0, 1.0, 1.0, 3.0, 2.0)) == 5


def test_oracle_is_the_first_best_epoch_on_the_test_set():
    lines = [
        {"epoch": epoch, "test_accuracy": value} for epoch, value in enumerate((None, 0.5, 0.7, 0.7, 0.6), start=1)
    ]
    assert oracle(lines, "test_accuracy") == {"test_accuracy": 0.7, "epoch": 3}


def test_the_oracle_leaves_out_epochs_of_another_network():
    lines = [{"epoch": epoch, "test_accuracy": value} for epoch, value in enumerate((0.9, 0.8, 0.6, 0.7), start=1)]
    assert oracle(lines, "test_accuracy", unsettled=2) == {"test_accuracy": 0.7, "epoch": 4}
    assert oracle(lines, "test_accuracy", unsettled=4) == {"test_accuracy": None, "epoch": None}


def test_an_oracle_without_a_defined_test_metric_names_no_epoch():
    assert oracle([{"epoch": 1, "test_f1": None}], "test_f1") == {"test_f1": None, "epoch": None}


def test_early_stopping_does_not_look_at_the_test_set():
    rule = selection_rule([EarlyStopping(patience=2)], 5)
    lines = [{**line, "test_accuracy": None} for line in history(1.0, 0.5, 0.9, 1.2)]
    assert rule.epoch(lines) == 2 and rule.is_over(lines)


def test_without_a_validation_metric_the_last_epoch_counts_and_says_so():
    rule = selection_rule([EarlyStopping(patience=2)], 5)
    lines = history(None, None, None, None)
    assert rule.epoch(lines) == 4 and not rule.is_over(lines)
    assert rule.name(lines).startswith("last epoch (early stopping had no")
