import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from lm.cli import CONFIGS
from lm.sweeps.config_check import (
    ConfigCheck,
    check_vocabulary_size,
    overrides_of_runs,
    unread_options,
)


@pytest.mark.parametrize(
    ("overrides", "params", "expected"),
    [
        ([], None, [[]]),
        (["cell=lstm,gru", "seed=1"], None, [["cell=lstm", "seed=1"], ["cell=gru", "seed=1"]]),
        (["seed=5"], {"seed": "1,2", "cell": "gru"}, [["seed=5", "cell=gru"]]),
        (["lr=interval(0,1)", "seed=1"], None, [["lr=0.0", "seed=1"], ["lr=1.0", "seed=1"]]),
        (["seed=range(1,4)"], None, [["seed=1"], ["seed=2"], ["seed=3"]]),
    ],
)
def test_a_sweep_has_the_overrides_of_each_run(overrides, params, expected):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        assert list(overrides_of_runs(overrides, params)) == expected


class Recorder(ConfigCheck):
    """Records the runs that are checked, and refuses the seeds of `wrong`."""

    def __init__(self, wrong):
        self.wrong, self.checked = wrong, []

    def check_run(self, config_name, config, overrides, hydra):
        self.checked += overrides
        if int(overrides[0].partition("=")[2]) in self.wrong:
            raise ValueError(f"expected another seed, found {overrides[0]}")
        return {}


def check_sweep(check, *overrides, sweeper="basic"):
    choices = {"runtime": {"choices": {"hydra/sweeper": sweeper}}}
    hydra = {"overrides": {"task": list(overrides)}, "sweeper": {"params": None}, **choices}
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        check.on_multirun_start(OmegaConf.create({"hydra": hydra}))


def test_a_sweep_with_a_run_that_can_be_trained_is_not_refused():
    check = Recorder(wrong={1, 2})
    check_sweep(check, "seed=1,2,3,4")
    assert check.checked == ["seed=1", "seed=2", "seed=3"]


def test_a_sweep_without_a_run_that_can_be_trained_ends_with_the_first_error(monkeypatch):
    monkeypatch.setattr("lm.sweeps.config_check.MAX_COMPOSED", 3)
    check = Recorder(wrong=range(1000))
    with pytest.raises(SystemExit) as end:
        check_sweep(check, "seed=range(0,1000)")
    assert end.value.code == "error: expected another seed, found seed=0"
    assert check.checked == ["seed=0", "seed=1", "seed=2"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["seed=1", "cell=lstm,gruu"], "found gruu"),
        (["seed=1", "schedule=cosine,table1", "schedule.warmup_epochs=interval(0.1,2)"], "schedule.warmup_epochs"),
    ],
)
def test_a_search_is_refused_if_one_of_its_configs_cannot_be_composed(overrides, message):
    """A grid is checked by Hydra's own sweeper."""
    with pytest.raises(SystemExit, match=rf"^error: expected .*{message}"):
        check_sweep(Recorder(wrong=()), *overrides, sweeper="optuna")


def test_a_sweep_is_refused_if_none_of_its_runs_reads_an_option():
    class Unread(ConfigCheck):
        def check_run(self, config_name, config, overrides, hydra):
            [override] = overrides
            return {"a": "no run reads a", override: f"no other run reads {override}"}

    with pytest.raises(SystemExit, match=r"^error: no run reads a$"):
        check_sweep(Unread(), "seed=1,2,3")


def unread(*overrides, mode="RUN", launcher="basic", batching="streams", schedule="decay", optimizer="sgd"):
    """Return the sentences about the overrides that a run with these values does not read."""
    choices = {"hydra/launcher": launcher}
    hydra = SimpleNamespace(mode=SimpleNamespace(name=mode), runtime=SimpleNamespace(choices=choices))
    groups = {"data": {"batching": batching}, "schedule": {"name": schedule}, "optimizer": {"name": optimizer}}
    config = OmegaConf.create(groups)
    return list(unread_options(config, hydra, overrides).values())


@pytest.mark.parametrize(
    ("override", "values", "found"),
    [
        *(
            (f"data.{name}=3", {}, f"data.{name}= with data.batching=streams: add data.batching=sentences")
            for name in ("max_length", "truncation_side", "padding_side", "bucket_width")
        ),
        *(
            (f"{name}=x", {}, f"{name}=: add -m")
            for name in (
                "hydra/launcher",
                "hydra.launcher.n_jobs",
                "hydra/sweeper",
                "hydra.sweeper.n",
                "hydra.sweep.dir",
            )
        ),
        ("hydra.run.dir=x", {"mode": "MULTIRUN"}, "hydra.run.dir=: type hydra.sweep.dir= instead"),
        *(
            ("gpus_per_run=2", {"launcher": name}, f"gpus_per_run= with hydra/launcher={name}: add -m hydra/launcher=")
            for name in ("basic", "local", "joblib")
        ),
        *(
            (f"{name}=2", {"schedule": "cosine"}, f"{name}= with schedule.name=cosine: add schedule=table1")
            for name in ("epochs_at_full_rate", "lr_decay_factor")
        ),
        *(
            ("cell.lr=2", {"optimizer": name}, f"cell.lr= with optimizer.name={name}: type lr= instead")
            for name in ("adamw", "adam", "rmsprop")
        ),
        ("seq_len=5", {"batching": "sentences"}, "seq_len= with data.batching=sentences: add data.batching=streams"),
    ],
)
def test_an_option_that_nothing_reads_is_refused(override, values, found):
    [sentence] = unread(override, **values)
    assert re.match(r"expected an option that is used, found .*, or leave it out$", sentence)
    assert found in sentence


def test_options_that_are_read_are_accepted():
    assert not unread("data.max_length=5", "data.padding_side=left", batching="sentences")
    assert not unread("hydra/launcher=gpus", "gpus_per_run=2", "hydra.sweep.dir=x", mode="MULTIRUN", launcher="gpus")
    assert not unread("hydra.run.dir=x", "lr_decay_factor=2")
    assert not unread("cell.lr=2", optimizer="asgd")


def test_sizes_are_matched_for_one_vocabulary():
    corpus = SimpleNamespace(vocabulary=range(13), name="text")
    for size in (None, 13):
        check_vocabulary_size(size, corpus)
    with pytest.raises(ValueError, match=r"expected a vocabulary of 10000 words, .* found 13 in text: type .*size=13$"):
        check_vocabulary_size(10_000, corpus)


def test_checking_a_config_needs_no_pytorch():
    code = "import sys, lm.sweeps.config_check; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
