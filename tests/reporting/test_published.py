from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from lm.did_you_mean import CONFIGS
from lm.reporting.published import part_of_corpus, published_figures, published_for
from lm.run_dir import RunDir
from lm.run_search import find_runs
from tests.run_folders import MakeRun

TABLE1 = [
    ("lstm", 0, (39.25, 119.84, 115.73)),
    ("lstm", 0.25, (43.80, 96.59, 92.67)),
    ("gru", 0, (34.40, 134.39, 129.95)),
    ("gru", 0.25, (42.22, 101.53, 97.45)),
]


def run_of(*overrides: str) -> RunDir:
    """A run with the config that the command line composes to, as it is saved."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", list(overrides))
    run = RunDir(Path("run"))
    run.config, run.overrides = OmegaConf.create(OmegaConf.to_yaml(config)), list(overrides)
    return run


@pytest.mark.parametrize(("cell", "dropout", "figures"), TABLE1)
def test_the_default_grid_is_the_published_one(cell: str, dropout: float, figures: tuple[float, ...]) -> None:
    found = published_for(run_of(f"cell={cell}", f"dropout={dropout}"))

    assert found is not None
    assert (found.train_ppl, found.valid_ppl, found.test_ppl) == figures


@pytest.mark.parametrize(
    ("size", "figures"), [("small", (120.7, 114.5)), ("medium", (86.2, 82.7)), ("large", (82.2, 78.4))]
)
def test_zarembas_presets_are_the_published_configurations(size: str, figures: tuple[float, float]) -> None:
    found = published_for(run_of(f"experiment=zaremba_{size}"))

    assert found is not None
    assert (found.train_ppl, found.valid_ppl, found.test_ppl) == (None, *figures)


@pytest.mark.parametrize(
    ("preset", "figures"),
    [
        ("awd_lstm", (None, 61.2, 58.8)),
        ("cs287", (None, 76.18, 73.27)),
        ("melis_10m", (None, 61.8, 59.6)),
        ("pytorch_example", (None, 90.69, 87.08)),
    ],
)
def test_presets_have_their_published_figures(preset: str, figures: tuple[float | None, ...]) -> None:
    found = published_for(run_of(f"experiment={preset}"))

    assert found is not None
    assert (found.train_ppl, found.valid_ppl, found.test_ppl) == figures
    assert found.differs
    assert published_for(run_of(f"experiment={preset}", "lr=0.5")) is None


@pytest.mark.parametrize(
    "difference",
    [
        "hidden_size=201",
        "lr=0.9",
        "epochs=24",
        "data=synthetic",
        "tie_weights=true",
        "dropout=0.3",
        "cell=rnn_tanh",
        "max_grad_norm=1",
        "init_range=0.05",
        "schedule=as_printed",
        "data.batching=sentences",
        "+new_regulariser=0.5",
        "+optimizer.momentum=0.9",
        "+trainer.accumulate_grad_batches=2",
        "+trainer.max_steps=100",
        "trainer.limit_train_batches=100",
        "trainer.limit_train_batches=1",
        "trainer.limit_val_batches=0.5",
    ],
)
def test_any_other_configuration_has_no_published_figures(difference: str) -> None:
    assert published_for(run_of("cell=lstm", "dropout=0.25", difference)) is None


@pytest.mark.parametrize(
    "option",
    [
        "seed=7",
        "data.dir=elsewhere",
        "precision=32-true",
        "num_threads=2",
        "checkpoint_every_minutes=1",
        "trainer.accelerator=cpu",
        "trainer.enable_progress_bar=false",
        "+trainer.profiler=simple",
        "schedule=as_printed epochs_at_full_rate=5 lr_decay_factor=1.2",
    ],
)
def test_options_that_do_not_decide_the_result_are_ignored(option: str) -> None:
    assert published_for(run_of("cell=lstm", "dropout=0.25", *option.split())) is not None


def test_the_options_that_a_source_does_not_state_are_named_and_compared() -> None:
    figures = published_figures()

    assert figures[0].unstated == ["epochs_at_full_rate", "lr_decay_factor", "init_range", "max_grad_norm"]
    assert {"max_grad_norm", "init_range", "epochs", "optimizer.name"} < figures[0].config.keys()
    assert figures[4].unstated == ()


@pytest.mark.parametrize(
    ("option", "part"),
    [
        ("seed=1", None),
        ("trainer.limit_train_batches=1.0", None),
        ("trainer.limit_train_batches=1", "limit_train_batches=1"),
        ("trainer.limit_val_batches=0.5", "limit_val_batches=0.5"),
        ("+trainer.max_steps=-1", None),
        ("+trainer.overfit_batches=3", "overfit_batches=3"),
    ],
)
def test_a_run_on_a_part_of_its_corpus_is_recognised(option: str, part: str | None) -> None:
    assert part_of_corpus(run_of(option)) == part


def test_a_config_that_cannot_be_resolved_has_no_published_figures(make_run: MakeRun, sweep: Path) -> None:
    make_run(config={"data": {"dir": "${oc.env:LM_NO_SUCH_VARIABLE}"}})

    assert published_for(find_runs(sweep)[0]) is None


def test_numbers_are_compared_as_numbers(make_run: MakeRun, sweep: Path) -> None:
    make_run(dropout=0, config={"hidden_size": 200.0})

    found = published_for(find_runs(sweep)[0])

    assert found is not None
    assert found.valid_ppl == 119.84


def test_a_number_is_not_a_truth_value(make_run: MakeRun, sweep: Path) -> None:
    make_run(dropout=0.25, config={"tie_weights": 0})

    assert published_for(find_runs(sweep)[0]) is None


def test_a_run_without_its_config_has_no_published_figures(make_run: MakeRun, sweep: Path) -> None:
    (make_run() / ".hydra" / "config.yaml").unlink()

    assert published_for(find_runs(sweep)[0]) is None


def test_no_two_published_rows_are_one_configuration() -> None:
    assert len({str(sorted(figures.config.items())) for figures in published_figures()}) == 11


def test_an_option_that_is_newer_than_the_run_had_its_default() -> None:
    run = run_of("cell=lstm", "dropout=0.25")
    del run.config["softmax"]
    assert published_for(run) is not None
    other = run_of("cell=lstm", "dropout=0.25")
    other.config["older_option"] = 1
    assert published_for(other) is None
