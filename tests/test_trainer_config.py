import math

import pytest

from lm.trainer_config import TrainerConfig

DEFAULTS = {
    "accelerator": "cpu", "devices": 1, "strategy": "auto", "limit_train_batches": 1.0, "limit_val_batches": 1.0,
    "log_every_n_steps": 50, "enable_progress_bar": True, "max_time": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "values"),
    {
        "accelerator": [None, "", 0, "abacus", "mps", ["cpu"]],
        "profiler": ["", 0, True, ["simple"]],
        "devices": [None, 0, -1, 1.5, True, "", "abc", [], [0.5], ["a"]],
        "limit_train_batches": [None, 0, 0.0, -1, -0.5, 1.5, math.nan, math.inf, True, "abc", []],
        "limit_val_batches": [None, 0, 0.0, -1, -0.5, 1.5, math.nan, math.inf, True, "abc", []],
        "log_every_n_steps": [None, 0, -1, 1.5, True, "abc", []],
        "enable_progress_bar": [None, 0, 1, "abc", []],
        "max_time": [0, 5, 1.5, True, "", "abc", "5", "00:00:05", [], {"minutes": 1}],
        "check_val_every_n_epoch": [None, 0, -1, 0.5, True, "abc"],
        "deterministic": [0, 1, "abc"],
        "benchmark": [0, 1, "abc"],
        "detect_anomaly": [None, 0, "abc"],
        "inference_mode": [None, 0, "abc"],
    }.items(),
)
def test_a_value_of_the_wrong_kind_is_refused_with_the_name_of_the_option(name, values):
    for value in values:
        with pytest.raises(ValueError, match=rf"^expected trainer\.{name} to be .*, found .*: type trainer\.{name}="):
            TrainerConfig.from_dict(DEFAULTS | {name: value})


@pytest.mark.parametrize(
    ("name", "values"),
    {
        "accelerator": ["auto", "cpu", "gpu", "cuda"],
        "devices": [1, 2, "auto", [0], [0, 3]],
        "limit_train_batches": [1, 10, 1.0, 0.5],
        "max_time": [None, "00:00:00:05", "10:00:00:00"],
        "profiler": [None, "simple"],
    }.items(),
)
def test_a_value_of_the_right_kind_is_taken(name, values):
    for value in values:
        assert getattr(TrainerConfig.from_dict(DEFAULTS | {name: value}), name) == value


@pytest.mark.parametrize("name", ["accelerator", "devices", "limit_val_batches", "log_every_n_steps"])
def test_a_deleted_argument_is_refused(name):
    values = {key: value for key, value in DEFAULTS.items() if key != name}
    with pytest.raises(ValueError, match=f"expected trainer.{name} to be .*, found null"):
        TrainerConfig.from_dict(values)


@pytest.mark.parametrize(
    ("name", "advice"),
    {
        "val_check_interval": r"type \+trainer.check_val_every_n_epoch= instead",
        "max_epochs": "type epochs= instead",
        "max_steps": "type epochs= instead",
        "min_epochs": "type epochs= instead",
        "min_steps": "type epochs= instead",
        "fast_dev_run": "type trainer.limit_train_batches=1 instead",
        "overfit_batches": "type trainer.limit_train_batches= instead",
        "accumulate_grad_batches": "type batch_size= instead",
        "num_nodes": "type trainer.devices= instead",
        "precision": "type precision= instead",
        "gradient_clip_val": "type max_grad_norm= instead",
        "enable_checkpointing": "leave it out",
        "barebones": "leave it out",
        "callbacks": "leave it out",
        "logger": "leave it out",
        "plugins": "leave it out",
        "profilr": r"type \+trainer.profiler=",
        "max_tme": "type trainer.max_time=",
    }.items(),
)
def test_an_argument_that_is_unknown_or_not_the_users_is_refused(name, advice):
    with pytest.raises(ValueError, match=rf"found trainer.{name}=: {advice}$"):
        TrainerConfig.from_dict(DEFAULTS | {name: 1})


def test_a_time_is_days_hours_minutes_and_seconds():
    assert TrainerConfig(**DEFAULTS | {"max_time": "01:02:03:04"}).seconds == 93784
    assert TrainerConfig(**DEFAULTS).seconds == math.inf
