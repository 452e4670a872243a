"""keras-tuner's oracles as the studies use them: nothing is lost, tried twice or forgotten after a kill."""

from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.study.config import Study, load_study
from pipeline.study.light_tuner import Trial
from pipeline.study.oracle import DurableOracle, cells_of, make_oracle
from tests.study.folder import SEARCH, grid, write_study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return grid(tmp_path)


def oracle_of(study: Study, folder: Path, reloaded: bool = False) -> DurableOracle:
    oracle = make_oracle(study, folder / "tuner")
    if reloaded:
        oracle.reload()
    return oracle


def end(oracle: DurableOracle, trial: Trial, status: str = "COMPLETED") -> None:
    """What a worker does at the end of a trial, over the wire."""
    sent = Trial.from_proto(trial.to_proto())
    if status == "COMPLETED":
        oracle.update_trial(sent.trial_id, {"score": 0.5})
    sent.status = status
    oracle.end_trial(sent)


def title(study: Study, trial: Trial) -> str:
    (cell,) = cells_of(study, trial.hyperparameters.values)
    return cell.title


def finish_all(oracle: DurableOracle, study: Study, worker: str = "w") -> list[str]:
    """Run what is left with one worker; the cells in order."""
    titles = []
    while (trial := oracle.create_trial(worker)).status != "STOPPED":
        titles.append(title(study, trial))
        end(oracle, trial)
    return titles


def test_a_grid_is_the_cells_of_the_study_in_their_order(study: Study, tmp_path: Path):
    assert finish_all(oracle_of(study, tmp_path), study) == [cell.title for cell in study.cells]
    assert len(study.cells) == 20


def test_workers_of_a_grid_do_not_wait_for_one_another(study: Study, tmp_path: Path):
    oracle = oracle_of(study, tmp_path)
    trials = [oracle.create_trial(f"w{number}") for number in range(len(study.cells))]
    assert [trial.status for trial in trials] == ["RUNNING"] * 20
    assert [title(study, trial) for trial in trials] == [cell.title for cell in study.cells]
    assert oracle.create_trial("one more").status == "IDLE"
    for trial in reversed(trials):
        end(oracle, trial)
    assert oracle.create_trial("one more").status == "STOPPED"


@pytest.mark.parametrize("kept", [True, False])
def test_a_chief_that_dies_comes_back_with_all_it_knew(study: Study, tmp_path: Path, kept: bool):
    oracle = oracle_of(study, tmp_path)
    first, second, third = (oracle.create_trial(name) for name in "abc")
    end(oracle, first)
    again = oracle_of(study, tmp_path, reloaded=True)
    if not kept:
        again.begin_again(lambda trial: True)
    assert [again.create_trial(name).trial_id for name in ("b", "c")] == [second.trial_id, third.trial_id]
    for trial in (second, third):
        end(again, trial)
    assert finish_all(again, study) == [cell.title for cell in study.cells[3:]]


def test_a_restart_of_the_study_hands_out_what_failed_or_lost_its_runs(study: Study, tmp_path: Path):
    oracle = oracle_of(study, tmp_path)
    first, second, third = (oracle.create_trial(name) for name in "abc")
    end(oracle, first)
    end(oracle, second, "FAILED")
    end(oracle, third)
    again = oracle_of(study, tmp_path, reloaded=True)
    again.begin_again(lambda trial: trial.trial_id != third.trial_id)
    expected = [study.cells[index].title for index in (1, 2, *range(3, 20))]
    assert finish_all(again, study) == expected
    assert again.trials[third.trial_id].score == 0.5
    assert oracle_of(study, tmp_path, reloaded=True).create_trial("x").status == "STOPPED"


def test_a_trial_that_ended_just_before_a_kill_is_not_run_again(study: Study, tmp_path: Path):
    oracle = oracle_of(study, tmp_path)
    first, _ = oracle.create_trial("a"), oracle.create_trial("b")
    oracle.save = lambda: None  # the kill comes after the trial's own file
    end(oracle, first)
    again = oracle_of(study, tmp_path, reloaded=True)
    assert title(study, again.create_trial("a")) == study.cells[2].title
    assert again.end_order == [first.trial_id]


def test_a_trial_that_began_just_before_a_kill_begins_again(tmp_path: Path):
    study = load_study(write_study(tmp_path, SEARCH))
    oracle = oracle_of(study, tmp_path)
    oracle.create_trial("a")
    oracle.save = lambda: None  # the kill comes after the trial's own file, before the oracle's
    lost = oracle.create_trial("b")
    again = oracle_of(study, tmp_path, reloaded=True)
    assert list(again.trials) == ["0"]
    found = again.create_trial("b")
    assert (found.trial_id, found.hyperparameters.values) == (lost.trial_id, lost.hyperparameters.values)


def test_an_end_that_is_reported_twice_counts_once(study: Study, tmp_path: Path):
    oracle = oracle_of(study, tmp_path)
    trial = oracle.create_trial("a")
    end(oracle, trial, "FAILED")
    end(oracle, trial)
    assert oracle.end_order == [trial.trial_id]
    assert oracle.trials[trial.trial_id].status == "FAILED"


def test_the_trial_of_a_forgotten_worker_goes_to_the_next(study: Study, tmp_path: Path):
    oracle = oracle_of(study, tmp_path)
    lost = oracle.create_trial("gone")
    oracle.forget("gone")
    assert oracle.create_trial("here").trial_id == lost.trial_id
    assert oracle.tuner_ids == {"here"}


def test_three_failures_without_a_success(study: Study, tmp_path: Path):
    oracle = oracle_of(study, tmp_path)
    told = []
    for status in ("FAILED", "FAILED", "FAILED", "COMPLETED"):
        end(oracle, oracle.create_trial("a"), status)
        told.append(oracle.all_failed)
    assert told == [False, False, True, False]


def test_three_failures_of_one_variant_alone_stop_nothing(study: Study, tmp_path: Path):
    oracle = oracle_of(study, tmp_path)
    for _ in range(3):
        end(oracle, oracle.create_trial("a"), "FAILED")
    assert oracle.all_failed
    for trial in oracle.trials.values():
        trial.hyperparameters.values["variant"] = "one"
    assert not oracle.all_failed


def test_damaged_state_is_named(study: Study, tmp_path: Path):
    oracle = oracle_of(study, tmp_path)
    oracle.create_trial("a")
    (tmp_path / "tuner" / "oracle.json").write_text("{")
    with pytest.raises(UserError, match=r"oracle.json: damaged. Delete .*tuner"):
        oracle_of(study, tmp_path, reloaded=True)


@pytest.mark.parametrize("kind", ["random", "bayesian"])
def test_a_search_keeps_to_its_budget_and_its_space(tmp_path: Path, kind: str):
    study = load_study(write_study(tmp_path, SEARCH.replace("random", kind)))
    oracle, seen = oracle_of(study, tmp_path), set()
    fitted = []
    if kind == "bayesian":
        oracle.gpr.fit, fit = lambda x, y: fitted.append(len(y)) or fit(x, y), oracle.gpr.fit
    while (trial := oracle.create_trial("w")).status != "STOPPED":
        values = Trial.from_proto(trial.to_proto()).hyperparameters.values
        cells = cells_of(study, values)
        assert [cell.seed for cell in cells] == [1, 2]
        assert 0.05 <= cells[0].arm.values["dropout.rate"] <= 0.6
        seen.add(tuple(values.items()))
        end(oracle, trial)
    assert len(seen) == 5
    assert fitted == ([3, 4] if kind == "bayesian" else [])


@pytest.mark.parametrize("kind", ["random", "bayesian"])
def test_a_search_begins_with_the_reference(tmp_path: Path, kind: str):
    text = (
        SEARCH.replace("random", kind).replace("variants:\n", "variants:\n  baseline: []\n") + "reference: baseline\n"
    )
    study = load_study(write_study(tmp_path, text))
    first = oracle_of(study, tmp_path).create_trial("w").hyperparameters.values
    assert cells_of(study, first)[0].arm.name == "baseline"
    oracle = oracle_of(study, tmp_path, reloaded=True)
    assert oracle._duplicate(dict(first)), "it would be tried again"
    oracle.start_order.append("0")
    assert oracle.populate_space("1")["values"] != first


TYPES = """\
base: base.yaml
variants:
  baseline: []
  dropout:
    methods: [{name: dropout}]
    axes: {dropout.rate: RATES, train.batch_size: [32, 64], data.augment: [true, false], train.learning_rate: [1, 0.5]}
seeds: [1]
"""


@pytest.mark.parametrize("search", [False, True])
def test_values_come_back_from_the_wire_as_they_were(tmp_path: Path, search: bool):
    text = TYPES.replace("RATES", "{min: 1.0e-4, max: 0.5, scale: log}" if search else "[0.1, 0.3333333333333333]")
    text += "search: {kind: random, trials: 30}\n" if search else ""
    study = load_study(write_study(tmp_path, text))
    oracle, seen = oracle_of(study, tmp_path), 0
    while (trial := oracle.create_trial("w")).status != "STOPPED":
        here, there = (each.hyperparameters.values for each in (trial, Trial.from_proto(trial.to_proto())))
        assert cells_of(study, here) == cells_of(study, there)
        (cell,) = cells_of(study, there)
        if cell.arm.values:
            experiment = cell.experiment
            assert experiment.data.augment is cell.arm.values["data.augment"]
            assert (type(cell.arm.values["train.batch_size"]), experiment.methods[0].rate) == (
                int,
                cell.arm.values["dropout.rate"],
            )
            seen += 1
        end(oracle, trial)
    assert seen
