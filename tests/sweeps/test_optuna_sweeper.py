import os
import signal
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

pytest.importorskip("optuna", reason="needs the extra search")

import optuna
from optuna.trial import TrialState

from lm.run_dir import RunDir
from lm.study import open_study
from lm.sweeps.optuna_sweeper import OptunaSweeper, check_space, launch_one, ray_workers, workers_of
from lm.sweeps.search_space import SearchSpace
from lm.sweeps.sweep_job import BASIC, LOCAL
from tests.interruptions import untimed
from tests.processes import start, wait_until

SEARCH = ("-m", "hydra/sweeper=optuna", "lr=tag(log,interval(0.3,2))", "dropout=interval(0,0.6)", "cell=lstm,gru")


def outcome(sweep):
    """Return what a search has found, without times."""
    trials = open_study(sweep).trials
    return [(trial.params, trial.state, trial.value, trial.intermediate_values) for trial in trials]


def epochs_of(sweep):
    """Return the epochs of each run by its name."""
    return {path.parent.name: untimed(RunDir(path.parent).epochs) for path in sweep.glob("*/epochs.csv")}


@pytest.mark.figures
def test_a_search_is_an_ordinary_sweep_with_what_it_found_in_the_report(run_command, small, tmp_path, capsys):
    words = (*SEARCH, *small, "num_threads=1", "hydra.sweep.dir=sweep")
    assert run_command("lm.train", *words, "hydra.sweeper.n_trials=3", "hydra/sweeper/pruner=none") == 0
    output, page = capsys.readouterr().out, (tmp_path / "sweep" / "report.md").read_text()
    assert "training 3 runs in" in output
    assert "3 trials: 3 finished." in output
    assert "3 trials: 3 finished. The best:" in page
    assert (tmp_path / "sweep" / "search.png").is_file()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("sweep/*/results.json")}
    assert run_command("lm.train", *words, "hydra.sweeper.n_trials=4", "hydra/sweeper/pruner=none") == 0
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert len(outcome(tmp_path / "sweep")) == len(list(tmp_path.glob("sweep/*/results.json"))) == 4
    assert run_command("lm.train", *words, "hydra.sweeper.n_trials=4", "seed=2") == 1
    assert "expected no seed=, with which" in capsys.readouterr().err
    assert run_command("lm.train", *words, "lr=interval(1,2)") == 1
    assert "expected lr= from FloatDistribution(high=2.0, log=True, low=0.3" in capsys.readouterr().err


def test_a_pruned_run_keeps_its_folder_and_resumes_by_itself(run_command, small, tmp_path, capsys):
    """The first trial finishes; the pruner allows no perplexity at all, so the others end after their first epoch."""
    pruner = ("hydra.sweeper.pruner._target_=optuna.pruners.ThresholdPruner", "~hydra.sweeper.pruner.n_startup_trials")
    words = (*SEARCH, *small, *pruner, "hydra.sweeper.pruner.n_warmup_steps=0", "+hydra.sweeper.pruner.upper=1")
    assert run_command("lm.train", *words, "hydra.sweeper.n_trials=2", "hydra.sweep.dir=sweep") == 0
    assert "2 trials: 2 pruned." in capsys.readouterr().out
    run = RunDir(next(tmp_path.glob("sweep/cell=*")))
    assert (run.status, len(run.epochs), run.has_checkpoint) == ("pruned", 1, True)
    assert run.error.startswith("validation perplexity ")
    assert list(run.folder.glob("events.out.tfevents.*"))
    assert [state for _, state, *_ in outcome(tmp_path / "sweep")] == [TrialState.PRUNED] * 2
    assert run_command("lm.train", f"resume={run.folder}") == 0
    assert (RunDir(run.folder).status, len(RunDir(run.folder).epochs)) == ("finished", 2)


def test_a_search_that_was_killed_and_typed_again_equals_one_that_was_not(corpus_folder, tmp_path):
    words = (
        *SEARCH, "data=text", f"data.dir={corpus_folder}", "hidden_size=16", "batch_size=4", "seq_len=5", "epochs=8",
        "precision=32-true", "num_threads=1", "trainer.accelerator=cpu", "hydra.sweeper.n_trials=5",
        "hydra.sweeper.sampler.n_startup_trials=2", "hydra.sweeper.pruner.n_startup_trials=2",
    )  # fmt: skip
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = start(*words, f"hydra.sweep.dir={whole}")
    output = process.communicate()
    assert process.returncode == 0, output
    process = start(*words, f"hydra.sweep.dir={killed}")
    wait_until(lambda: len(list(killed.glob("*/checkpoints/last.ckpt"))) == 3, process)
    finished = {path: path.stat().st_mtime_ns for path in killed.glob("*/results.json")}
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert len(finished) >= 2
    process = start(*words, f"hydra.sweep.dir={killed}")
    output = process.communicate()
    assert process.returncode == 0, output
    assert all(path.stat().st_mtime_ns == time for path, time in finished.items())
    assert outcome(killed) == outcome(whole)
    assert epochs_of(killed) == epochs_of(whole)


@pytest.mark.parametrize("launcher", ["local", "gpus", "submitit_local"])
def test_a_search_uses_the_workers_of_every_launcher(corpus_folder, tmp_path, launcher):
    pytest.importorskip({"gpus": "ray", "submitit_local": "submitit"}.get(launcher, "lm"))
    words = (
        *SEARCH, "data=text", f"data.dir={corpus_folder}", "hidden_size=16", "batch_size=4", "seq_len=5", "epochs=2",
        "num_threads=1", "trainer.accelerator=cpu", "hydra.sweeper.n_trials=2", "hydra/sweeper/pruner=none",
    )  # fmt: skip
    process = start(*words, f"hydra/launcher={launcher}", f"hydra.sweep.dir={tmp_path}/sweep")
    output = process.communicate()
    assert process.returncode == 0, output
    assert {state for _, state, *_ in outcome(tmp_path / "sweep")} == {TrialState.COMPLETE}
    assert len(list(tmp_path.glob("sweep/*/results.json"))) == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["hidden_size=16"], "expected an option to search over, found none"),
        (["lr=interval(2,1)"], "expected lr= to be an interval or a range that Optuna can draw from"),
        (["lr=interval(0.3,2)", "hydra.sweeper.n_trials=0"], "error: expected hydra.sweeper.n_trials to be a whole"),
        (["lr=interval(0.3,2)", "+hydra.sweeper.sampler.sed=2"], "unexpected keyword argument 'sed'"),
        (["dropout=interval(1,2)"], "expected dropout to be a number of at least 0 and below 1"),
    ],
)
def test_a_search_that_cannot_begin_ends_in_one_sentence_and_leaves_nothing(
    run_command, small, tmp_path, capsys, words, sentence
):
    options = [word for word in small if not word.startswith("hidden_size")]
    assert run_command("lm.train", "-m", "hydra/sweeper=optuna", *options, *words) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert sentence in error
    assert "\n" not in error
    assert not list(tmp_path.iterdir())


def test_an_interval_needs_this_sweeper(run_command, small, tmp_path, capsys):
    assert run_command("lm.train", "-m", *small, "lr=interval(0.3,2)") == 1
    assert capsys.readouterr().err == (
        "error: expected values of lr to sweep over, found an interval: add hydra/sweeper=optuna\n"
    )
    assert not list(tmp_path.iterdir())


def test_a_search_without_optuna_is_refused(run_command, small, capsys, monkeypatch):
    monkeypatch.setattr("lm.checks.find_spec", lambda name: None)
    assert run_command("lm.train", *SEARCH, *small) == 1
    assert "expected the package optuna for a search, found none: type pip install -e '.[search]'" in (
        capsys.readouterr().err
    )


def test_each_trial_has_a_seed_of_its_own_unless_there_is_none():
    def drawn(seed, number):
        sampler = OmegaConf.create({"_target_": "optuna.samplers.RandomSampler", "seed": seed})
        sweeper = OptunaSweeper(1, sampler, OmegaConf.create())
        study = optuna.create_study(sampler=sweeper.sampler_of(number))
        return study.ask({"lr": optuna.distributions.FloatDistribution(0, 1)}).params["lr"]

    assert drawn(1, 0) == drawn(1, 0)
    assert len({drawn(seed, number) for seed in (1, 2) for number in range(3)}) == 6
    assert drawn(None, 0) != drawn(None, 0)


@pytest.mark.parametrize("n_trials", [0, 1.5, "ten"])
def test_a_number_of_trials_that_is_none_is_refused(n_trials):
    with pytest.raises(ValueError, match=r"expected hydra\.sweeper\.n_trials to be a whole number of at least 1"):
        OptunaSweeper(n_trials, OmegaConf.create(), OmegaConf.create())


def test_every_sampler_and_pruner_of_the_config_can_be_made():
    from lm.did_you_mean import CONFIGS

    for path in (CONFIGS / "hydra" / "sweeper").glob("*/*.yaml"):
        assert type(instantiate(OmegaConf.load(path))).__module__.startswith("optuna.")


@pytest.mark.parametrize(
    ("target", "options", "expected"),
    [
        (BASIC, {}, None),
        (LOCAL, {}, None),
        ("hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher", {"array_parallelism": 8}, 8),
    ],
)
def test_a_launcher_says_how_many_runs_it_trains_at_a_time(target, options, expected):
    found = workers_of(OmegaConf.create({"_target_": target, **options}))
    assert (None if found is None else found()) == expected


def test_a_launcher_that_takes_all_runs_at_once_is_refused():
    with pytest.raises(ValueError, match=r"^expected a launcher that can search, found .*: type hydra/launcher=local$"):
        workers_of(OmegaConf.create({"_target_": "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"}))


@pytest.mark.parametrize(
    ("remote", "expected"),
    [({"num_cpus": 2}, 4), ({"num_cpus": 1, "num_gpus": 0.25}, 8), ({"num_gpus": 4}, 1), ({}, 1)],
)
def test_ray_trains_as_many_runs_as_its_resources_are_enough_for(monkeypatch, remote, expected):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 8.0, "GPU": 2.0})
    assert ray_workers(OmegaConf.create(remote)) == expected


def test_a_study_is_continued_with_what_it_searches_alone(tmp_path):
    study = open_study(tmp_path)
    space = SearchSpace.parse(["lr=interval(0,1)"])
    check_space(study, space, tmp_path)
    check_space(study, space, tmp_path)
    with pytest.raises(ValueError, match=r"^expected cell= from one value as in the search in .*'lstm', 'gru'"):
        check_space(study, SearchSpace.parse(["lr=interval(0,1)", "cell=lstm,gru"]), tmp_path)


def test_an_error_of_the_cluster_fails_one_run():
    trials, launcher = Mock(), SimpleNamespace(launch=Mock(side_effect=RuntimeError("node failure")))
    launch_one(launcher, trials, 3, ["lr=0.5"])
    launcher.launch.assert_called_once_with([["lr=0.5"]], initial_job_idx=3)
    trials.fail.assert_called_once_with(["lr=0.5"], "RuntimeError: node failure")
