"""The configs compose, and hold what the papers state."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

import lm.train  # noqa: F401  # registers the resolvers
from lm.cli import CONFIGS
from lm.config import Config
from lm.data.sources import SOURCES
from lm.models.cells import CELLS
from lm.models.language_model import LanguageModel


def composed(*overrides):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", list(overrides))


def names(group):
    return {path.stem for path in (CONFIGS / group).glob("*.yaml")}


@pytest.mark.parametrize("experiment", [None, *sorted(names("experiment"))])
@pytest.mark.parametrize("command", ["train", "benchmark"])
def test_hydra_can_make_the_callbacks_of_every_experiment(command, experiment):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        overrides = [] if experiment is None else [f"experiment={experiment}"]
        config = compose(command, overrides, return_hydra_config=True)
    assert len(instantiate(config.hydra.callbacks)) >= 2


def test_every_cell_and_every_corpus_has_its_file():
    assert names("cell") == set(CELLS)
    assert names("data") == set(SOURCES)


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_the_learning_rate_is_that_of_the_cell_by_default(cell):
    assert composed(f"cell={cell}").lr == composed(f"cell={cell}").cell.lr
    assert composed(f"cell={cell}", "lr=0.123").lr == 0.123


@pytest.mark.parametrize(
    ("schedule", "dropout", "expected"),
    [
        ("table1", 0.25, (7, 1.2)),
        ("table1", 0, (4, 1.8)),
        ("table1", 0.0, (4, 1.8)),
        ("as_printed", 0.25, (7, 1.8)),
        ("as_printed", 0, (4, 1.2)),
    ],
)
def test_the_schedule_depends_on_whether_there_is_dropout(schedule, dropout, expected):
    config = composed(f"schedule={schedule}", f"dropout={dropout}")
    assert (config.epochs_at_full_rate, config.lr_decay_factor) == expected


def test_the_schedule_can_be_overridden():
    config = composed("lr_decay_factor=1.5", "epochs_at_full_rate=3")
    assert (config.epochs_at_full_rate, config.lr_decay_factor) == (3, 1.5)


ZAREMBA = {  # section 4.1 and table 1 of arXiv:1409.2329, and the sizes of models that follow from them
    "zaremba_small": dict(dropout=0, hidden_size=200, seq_len=20, epochs=13, epochs_at_full_rate=4, lr_decay_factor=2.0,
                          init_range=0.1, max_grad_norm=5),
    "zaremba_medium": dict(dropout=0.5, hidden_size=650, seq_len=35, epochs=39, epochs_at_full_rate=6,
                           lr_decay_factor=1.2, init_range=0.05, max_grad_norm=5),
    "zaremba_large": dict(dropout=0.65, hidden_size=1500, seq_len=35, epochs=55, epochs_at_full_rate=14,
                          lr_decay_factor=1.15, init_range=0.04, max_grad_norm=10),
}  # fmt: skip


@pytest.mark.parametrize("experiment", ZAREMBA)
def test_the_configurations_of_zaremba_are_those_of_the_paper(experiment):
    config = Config.from_hydra(composed(f"experiment={experiment}"))
    expected = ZAREMBA[experiment] | dict(cell="lstm", num_layers=2, batch_size=20, lr=1.0, tie_weights=False)
    assert {name: getattr(config, name) for name in expected} == expected
    assert config.embedding_size == config.hidden_size


def test_the_experiment_of_the_table_has_its_sizes():
    config = Config.from_hydra(composed("experiment=table1"))
    assert (config.hidden_size, config.num_layers, config.epochs) == (200, 2, 25)
    assert (config.batch_size, config.seq_len, config.max_grad_norm) == (20, 20, 5)


@pytest.mark.parametrize("experiment", ["table1", "demo"])
def test_a_sweeps_experiment_holds_its_grid(experiment):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", [f"experiment={experiment}"], return_hydra_config=True)
    assert config.hydra.sweeper.params == {"cell": "lstm,gru", "dropout": "0,0.25"}


def num_parameters(*overrides):
    """Return the number of parameters of the model of a config, with a vocabulary of 10,000 words."""
    model = LanguageModel(10_000, **Config.from_hydra(composed(*overrides)).model_arguments())
    return model.parameter_counts()["total"]


@pytest.mark.parametrize(("size", "layers"), [(200, 2), (200, 1), (650, 2)])
def test_the_experiment_with_equal_parameters_sweeps_over_the_given_size_and_the_computed_one(size, layers):
    overrides = ("experiment=equal_parameters", f"equal_parameters.hidden_size={size}", f"num_layers={layers}")
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", list(overrides), return_hydra_config=True)
    matching = config.equal_parameters.matching_size
    assert dict(config.hydra.sweeper.params) == {"cell": "lstm,gru", "hidden_size": f"{size},{matching}"}
    lstm = num_parameters(*overrides, "cell=lstm", f"hidden_size={size}")
    assert num_parameters(*overrides, "cell=gru", f"hidden_size={size}") < 0.99 * lstm
    assert num_parameters(*overrides, "cell=gru", f"hidden_size={matching}") == pytest.approx(lstm, rel=0.005)


def test_equal_parameters_leave_the_embedding_as_it_is():
    assert Config.from_hydra(composed("experiment=equal_parameters", "hidden_size=211")).embedding_size == 200


def test_the_demo_needs_no_download():
    assert composed("experiment=demo").data.name == "python_docs"
