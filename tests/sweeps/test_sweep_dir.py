import json
import os

import pytest
from omegaconf import OmegaConf

from lm.sweeps.sweep_dir import check_folder, name_in_sweep, names_by_options, unfinished_sweep
from lm.sweeps.sweep_options import SweepOptions


@pytest.fixture(autouse=True)
def forget_sweeps():
    names_by_options.cache_clear()


def leave_run(sweep, *overrides, status="finished", name=None):
    """Leave what a run leaves, as far as it matters here."""
    folder = sweep / (name or ",".join(overrides).replace("/", "-"))
    (folder / ".hydra").mkdir(parents=True)
    OmegaConf.save(list(overrides), folder / ".hydra" / "overrides.yaml")
    (folder / "results.json").write_text(json.dumps({"status": status, "best": {"valid_ppl": 100.0}}))
    return folder


def leave_sweep(folder, overrides, params=None, age=0):
    folder.mkdir(parents=True)
    hydra = {"overrides": {"task": overrides}, "sweeper": {"params": params}}
    OmegaConf.save(OmegaConf.create({"hydra": hydra}), folder / "multirun.yaml")
    os.utime(folder / "multirun.yaml", (1e9 - age, 1e9 - age))
    return folder


def check(sweep, overrides, params=None):
    check_folder(sweep, SweepOptions.parse(overrides, params))


@pytest.fixture
def sweep(tmp_path):
    for cell in ("lstm", "gru"):
        leave_run(tmp_path / "sweep", f"cell={cell}", "dropout=0.250", "epochs=3", "data.dir=/here")
    return tmp_path / "sweep"


@pytest.mark.parametrize(
    "overrides",
    [
        ["cell=lstm,gru", "dropout=0.25", "epochs=3"],
        ["epochs=3", "dropout=0,0.25", "cell=lstm,gru"],
        ["cell=gru", "dropout=0.25", "epochs=3", "data.dir=/there"],
        ["cell=rnn_tanh", "dropout=0.25", "epochs=3"],
        ["cell=lstm,gru", "dropout=0.25", "epochs=3", "seed=1,2"],
        ["cell=lstm,gru", "dropout=0.25", "epochs=3,4", "+trainer.profiler=null,simple"],
    ],
)
def test_a_sweep_resumes_if_only_what_is_or_was_swept_differs(sweep, overrides):
    check(sweep, overrides)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["cell=lstm,gru", "dropout=0.25", "epochs=4"], "expected epochs=3, with which"),
        (["cell=lstm,gru", "dropout=0", "epochs=3"], "type dropout=0.25, or another hydra.sweep.dir="),
        (["cell=lstm,gru", "dropout=0.25"], "was trained, found none: type epochs=3, or another"),
        (["cell=lstm,gru", "dropout=0.25", "epochs=3", "lr=2"], "expected no lr=, with which"),
        (["cell=lstm,gru", "dropout=0.25", "epochs=3", "+trainer.max_steps=2"], "found 2: leave it out, or"),
    ],
)
def test_the_folder_of_another_sweep_is_refused(sweep, overrides, sentence):
    with pytest.raises(ValueError, match=r"expected .*, with which .* was trained, found ") as refusal:
        check(sweep, overrides)
    assert sentence in str(refusal.value)


def test_runs_are_found_in_nested_folders_too(tmp_path):
    leave_run(tmp_path, "epochs=3", name="gru/0")
    with pytest.raises(ValueError, match=r"expected epochs=3, with which '.*gru/0' was trained, found 4"):
        check(tmp_path, ["epochs=4"])


def test_what_the_config_sweeps_may_differ(tmp_path):
    leave_run(tmp_path, "dropout=0.25", "experiment=demo")
    check(tmp_path, ["experiment=demo"], params={"dropout": "0,0.25"})
    with pytest.raises(ValueError, match=r"expected experiment=demo"):
        check(tmp_path, ["experiment=table1"], params={"dropout": "0,0.25"})


@pytest.mark.parametrize("status", ["failed", "diverged", "interrupted"])
def test_runs_that_are_not_finished_may_get_other_options(tmp_path, status):
    leave_run(tmp_path, "cell=gru", "batch_size=4000", status=status)
    check(tmp_path, ["cell=gru", "batch_size=40"])


def test_a_new_folder_suits_every_sweep(tmp_path):
    check(tmp_path / "new", ["cell=gru"])


def test_a_run_keeps_its_folder_whatever_is_swept_and_in_whatever_order_it_is_typed(tmp_path):
    leave_run(tmp_path, "seed=1", "cell=gru", "lr=1.0", name="cell=gru")
    assert name_in_sweep(["lr=1", "cell=gru", "seed=1"], ["cell", "seed"], str(tmp_path)) == "cell=gru"
    assert name_in_sweep(["lr=1", "cell=gru", "seed=2"], ["cell", "seed"], str(tmp_path)) == "cell=gru,seed=2"


@pytest.fixture
def multirun(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "multirun"


def test_the_newest_unfinished_sweep_of_the_same_options_resumes_in_any_order(multirun):
    leave_sweep(multirun / "older", ["cell=lstm,gru", "epochs=3"], age=2)
    unfinished = leave_sweep(multirun / "newer", ["cell=lstm,gru", "epochs=3"], age=1)
    leave_run(unfinished, "cell=lstm", "epochs=3")
    leave_sweep(multirun / "other", ["cell=lstm,gru", "epochs=4"])
    (leave_sweep(multirun / "damaged", []) / "multirun.yaml").write_text("\0{")
    assert unfinished_sweep(["epochs=3", "cell=gru,lstm"], {}) == "multirun/newer"


def test_a_sweep_whose_runs_have_finished_or_diverged_does_not_resume(multirun):
    sweep = leave_sweep(multirun / "finished", [], params={"cell": "lstm,gru"})
    for cell, status in (("lstm", "finished"), ("gru", "diverged")):
        leave_run(sweep, f"cell={cell}", status=status)
    with pytest.raises(FileNotFoundError, match=r"with unfinished runs, found none: type make sweep without RESUME=1"):
        unfinished_sweep([], {"cell": "lstm,gru"})
