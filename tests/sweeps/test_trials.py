import json
from types import SimpleNamespace

import pytest

pytest.importorskip("optuna", reason="needs the extra search")

from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from lm.folders import FolderInUse, locked
from lm.study import OVERRIDES, open_study
from lm.sweeps import trials as module
from lm.sweeps.search_space import SearchSpace
from lm.sweeps.stop_file import StopFile
from lm.sweeps.trials import Trials, wait_until_unlocked


@pytest.fixture
def search(tmp_path):
    """Return a function that opens the search in `tmp_path`, as a command does."""

    def open_search(n_trials=4, searched="lr=interval(0,1)", **options):
        space = SearchSpace.parse([searched, "seed=1"])
        return Trials(open_study(tmp_path), space, RandomSampler, n_trials, tmp_path, **options)

    return open_search


def end(sweep, overrides, status="finished", **results):
    """Write the folder of a run that has ended."""
    folder = sweep / ",".join(overrides)
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    (folder / ".hydra" / "overrides.yaml").write_text(json.dumps(list(overrides)))
    if status == "finished":
        results = {"best": {"valid_ppl": 90.0}}
    (folder / "results.json").write_text(json.dumps({"status": status, **results}))
    return folder


def test_each_trial_is_drawn_when_the_one_before_has_ended(search, tmp_path):
    trials = search(n_trials=3)
    assert len(trials) == 3
    for number, overrides in enumerate(trials):
        assert len(trials.study.trials) == number + 1
        end(tmp_path, overrides)
    trials.tell_ended()
    assert [trial.value for trial in trials.study.trials] == [90.0] * 3
    assert len(trials) == 0


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("finished", TrialState.COMPLETE),
        ("pruned", TrialState.PRUNED),
        ("diverged", TrialState.PRUNED),
        ("failed", TrialState.FAIL),
        ("interrupted", TrialState.RUNNING),
        ("not started", TrialState.RUNNING),
    ],
)
def test_a_trial_has_the_state_of_its_run(search, tmp_path, status, state):
    trials = search()
    end(tmp_path, next(iter(trials)), status)
    trials.tell_ended()
    assert trials.study.trials[0].state == state


def test_a_search_that_was_killed_yields_its_unfinished_runs_first_and_keeps_the_finished_ones(search, tmp_path):
    killed = search()
    loop = iter(killed)
    first, second, third = next(loop), next(loop), next(loop)
    end(tmp_path, second)  # ended after the last look of the process that was killed
    end(tmp_path, third, "interrupted")
    resumed = search()
    assert resumed.first_number() == 1
    loop = iter(resumed)
    assert [next(loop), next(loop)] == [first, third]
    assert [trial.state.name for trial in resumed.study.trials] == ["RUNNING", "COMPLETE", "RUNNING"]
    assert len(list(loop)) == 1
    assert search(n_trials=4).first_number() == 1


def test_equal_trials_are_one_run(search, tmp_path):
    trials = search(n_trials=6, searched="cell=lstm,gru")
    for overrides in trials:
        end(tmp_path, overrides)
    trials.tell_ended()
    assert len(trials.study.trials) == 6
    assert len(list(tmp_path.glob("cell=*"))) == 2
    assert {trial.value for trial in trials.study.trials} == {90.0}


def test_no_more_runs_start_than_there_are_workers(search, tmp_path, monkeypatch):
    """The next one starts when any run has ended, whichever that is."""
    trials = search(num_workers=lambda: 2)
    loop = iter(trials)
    first, second = next(loop), next(loop)
    waits = []

    def sleep(seconds):
        waits.append(len(trials.study.trials))
        if len(waits) == 3:
            end(tmp_path, second)

    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=sleep))
    next(loop)
    assert waits == [2, 2, 2]
    assert first in trials.running().values()


def test_a_search_that_is_stopping_draws_nothing(search, tmp_path):
    trials = search()
    loop = iter(trials)
    next(loop)
    StopFile(tmp_path).write("SIGINT")
    assert list(loop) == []
    assert list(search()) == []
    assert len(trials.study.trials) == 1


def test_a_run_that_failed_outside_of_its_process_is_recorded(search, tmp_path):
    trials = search()
    loop = iter(trials)
    first, second = next(loop), next(loop)
    folder = end(tmp_path, second, "interrupted")
    trials.fail(first, "no such partition")  # it has no folder
    trials.fail(second, "node failure")
    trials.tell_ended()
    assert [trial.state.name for trial in trials.study.trials] == ["FAIL", "FAIL"]
    assert json.loads((folder / "results.json").read_text()) == {"status": "failed", "error": "node failure"}


def test_a_resumed_search_draws_what_it_would_have_drawn(tmp_path, search):
    whole, parts = tmp_path / "whole", tmp_path / "parts"

    def draw(folder, n_trials):
        folder.mkdir(exist_ok=True)
        space = SearchSpace.parse(["lr=interval(0,1)", "dropout=interval(0,0.6)", "cell=lstm,gru"])
        trials = Trials(open_study(folder), space, lambda number: RandomSampler(number), n_trials, folder)
        for overrides in trials:
            end(folder, overrides)
        return [trial.user_attrs[OVERRIDES] for trial in trials.study.trials]

    draw(parts, 2)
    assert draw(parts, 5) == draw(whole, 5)


def test_the_number_of_a_trial_does_not_name_its_overrides(search):
    with pytest.raises(TypeError):
        search()[0]


def test_a_run_that_still_writes_its_checkpoint_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LOCK_SECONDS", 0)
    wait_until_unlocked(tmp_path)
    calls = []

    def in_use(folder):
        calls.append(folder)
        if len(calls) < 3:
            raise FolderInUse
        return locked(folder)

    monkeypatch.setattr(module, "locked", in_use)
    monkeypatch.setattr(module, "POLL_SECONDS", 0)
    monkeypatch.setattr(module, "LOCK_SECONDS", 60)
    wait_until_unlocked(tmp_path)
    assert len(calls) == 3
    calls.clear()
    monkeypatch.setattr(module, "LOCK_SECONDS", -1)
    with pytest.raises(FolderInUse):
        wait_until_unlocked(tmp_path)
