from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from lm.reporting.published import published_figures, published_for
from lm.run_dir import RunDir, find_runs
from tests.run_folders import MakeRun

CONF = Path(__file__).parents[2] / "conf"
TABLE1 = [
    ("lstm", 0, (39.25, 119.84, 115.73)),
    ("lstm", 0.25, (43.80, 96.59, 92.67)),
    ("gru", 0, (34.40, 134.39, 129.95)),
    ("gru", 0.25, (42.22, 101.53, 97.45)),
]


def run_of(*overrides: str) -> RunDir:
    """A run with the config that the command line composes to, as it is saved."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
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
    "difference",
    [
        "hidden_size=201",
        "lr=0.9",
        "epochs=24",
        "data=synthetic",
        "tie_weights=true",
        "dropout=0.3",
        "cell=rnn_tanh",
        "trainer.limit_train_batches=100",
    ],
)
def test_any_other_configuration_has_no_published_figures(difference: str) -> None:
    assert published_for(run_of("cell=lstm", "dropout=0.25", difference)) is None


def test_numbers_are_compared_as_numbers(make_run: MakeRun, sweep: Path) -> None:
    make_run(dropout=0, config={"hidden_size": 200.0, "trainer": {"limit_train_batches": 1.0}})

    found = published_for(find_runs(sweep)[0])

    assert found is not None
    assert found.valid_ppl == 119.84


def test_a_number_is_not_a_truth_value(make_run: MakeRun, sweep: Path) -> None:
    make_run(dropout=0.25, config={"tie_weights": 0, "trainer": {"limit_train_batches": True}})

    assert published_for(find_runs(sweep)[0]) is None


def test_a_run_without_its_config_has_no_published_figures(make_run: MakeRun, sweep: Path) -> None:
    (make_run() / ".hydra" / "config.yaml").unlink()

    assert published_for(find_runs(sweep)[0]) is None


def test_no_two_published_rows_are_one_configuration() -> None:
    assert len({str(sorted(figures.when.items())) for figures in published_figures()}) == 7


def test_a_run_on_sentences_has_no_published_figures_as_they_are_all_of_a_stream():
    assert published_for(run_of("cell=lstm", "dropout=0")) is not None
    assert published_for(run_of("cell=lstm", "dropout=0", "data.batching=sentences")) is None
