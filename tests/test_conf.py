"""The configs compose, and hold what the papers state."""

import re

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

import lm.train  # noqa: F401  # registers the resolvers
from lm.cli import CONFIGS
from lm.config import Config
from lm.data.sources import SOURCES
from lm.models.cells import CELLS
from lm.models.language_model import LanguageModel
from lm.training.optimizers import OPTIMIZERS
from lm.training.schedules import check_schedule


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


@pytest.mark.parametrize("group", ["cell", "data", "optimizer", "schedule", "averaging", "logger", "experiment"])
def test_the_readme_and_the_config_name_every_choice(group):
    [choices] = re.findall(rf"`{group}=([\w\\|]+)`", (CONFIGS.parent / "README.md").read_text(encoding="utf-8"))
    assert set(choices.split("\\|")) == names(group)
    [comment] = re.findall(rf"- {group}: [^#]*#((?:.|\n +#)*)", (CONFIGS / "train.yaml").read_text(encoding="utf-8"))
    assert names(group) <= set(re.findall(r"\w+", comment))


@pytest.mark.parametrize("cell", sorted(CELLS))
def test_the_learning_rate_is_that_of_the_cell_by_default(cell):
    assert composed(f"cell={cell}").lr == composed(f"cell={cell}").cell.lr
    assert composed(f"cell={cell}", "lr=0.123").lr == 0.123


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_registry_says_which_optimizers_read_the_learning_rate_of_the_cell(optimizer):
    config = composed(f"optimizer={optimizer}", "cell.lr=0.123")
    assert (config.lr == 0.123) == OPTIMIZERS[optimizer].reads_cell_lr


@pytest.mark.parametrize(
    ("schedule", "dropout", "expected"),
    [
        ("table1", 0.25, (5, 1.2)),
        ("table1", 0, (4, 1.8)),
        ("table1", 0.0, (4, 1.8)),
        ("as_printed", 0.25, (5, 1.8)),
        ("as_printed", 0, (4, 1.2)),
    ],
)
def test_the_decay_depends_on_whether_there_is_dropout(schedule, dropout, expected):
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


RECIPES = {  # the papers and repositories that conf/experiment/ names; rates and norms are for a loss summed over time
    "awd_lstm": dict(num_layers=3, embedding_size=400, hidden_size=1150, last_hidden_size=400, tie_weights=True,
                     dropout_type="locked", input_dropout=0.4, hidden_dropout=0.25, output_dropout=0.4,
                     embedding_dropout=0.1, weight_dropout=0.5, activation_penalty=2, temporal_penalty=1, batch_size=20,
                     seq_len=70, random_seq_len=True, epochs=500, optimizer="sgd", lr=30 / 70, max_grad_norm=0.25 * 70,
                     weight_decay=1.2e-6 * 70, lr_decay_factor=1, averaging="nt_asgd"),
    "cs287": dict(num_layers=2, embedding_size=512, hidden_size=512, tie_weights=True, input_dropout=0,
                  hidden_dropout=0.5, output_dropout=0.5, batch_size=128, seq_len=32, epochs=30, optimizer="adam",
                  lr=0.01, max_grad_norm=2 / 128, weight_decay=1e-4 / 128, schedule="plateau", lr_decay_factor=4,
                  init_range=3**0.5),
    "melis_10m": dict(num_layers=1, embedding_size=268, hidden_size=1194, tie_weights=True, dropout_type="locked",
                      input_dropout=0.58, weight_dropout=0.215, output_dropout=0.327, batch_size=64, seq_len=35,
                      optimizer="adam", lr=0.00418, max_grad_norm=10, weight_decay=1.24e-4),
    "pytorch_example": dict(num_layers=2, embedding_size=200, hidden_size=200, tie_weights=True, dropout=0.2,
                            batch_size=20, seq_len=35, epochs=40, optimizer="sgd", lr=20 / 35, max_grad_norm=0.25 * 35,
                            schedule="plateau", lr_decay_factor=4),
}  # fmt: skip
OPTIONS = {
    "awd_lstm": {"averaging_options": {"patience": 5}},
    "cs287": {
        "optimizer_options": {"betas": [0.9, 0.999], "eps": 1e-8 / 128},
        "schedule_options": {"patience": 1, "threshold": 1e-3},
    },
    "melis_10m": {"optimizer_options": {"betas": [0, 0.999], "eps": 1e-8}},
    "pytorch_example": {"schedule_options": {"patience": 0, "threshold": 0}},
}
PARAMETERS = {"awd_lstm": 24_221_600, "cs287": 9_332_496, "melis_10m": 10_002_056, "pytorch_example": 2_653_200}


@pytest.mark.parametrize("experiment", RECIPES)
def test_the_recipes_are_those_of_their_sources(experiment):
    config = Config.from_hydra(composed(f"experiment={experiment}"))
    for name, value in RECIPES[experiment].items():
        found = getattr(config, name)
        assert found == (pytest.approx(value, rel=1e-4) if isinstance(value, float) else value), name
    for name, options in OPTIONS[experiment].items():
        assert getattr(config, name) == options


@pytest.mark.parametrize(("optimizer", "schedule"), [("sgd", "decay"), ("adamw", "cosine")])
def test_the_sweep_of_recipes_trains_adamw_with_a_cosine(optimizer, schedule):
    config = Config.from_hydra(composed("experiment=recipes", f"optimizer={optimizer}"))
    check_schedule(config)
    assert config.schedule == schedule
    table = Config.from_hydra(composed("experiment=table1", "cell=lstm", "dropout=0.25"))
    if optimizer == "sgd":
        assert config == table


@pytest.mark.parametrize("experiment", PARAMETERS)
def test_the_models_of_the_recipes_have_as_many_parameters_as_published(experiment):
    assert num_parameters(f"experiment={experiment}") == PARAMETERS[experiment]


@pytest.mark.parametrize(
    ("overrides", "parameters"),
    [
        ([], 4_903_660),
        (["cell=lstm", "hidden_size=322"], 4_894_096),
        (["cell=gru", "hidden_size=346"], 4_910_744),
    ],
)
def test_the_best_small_model_has_less_than_five_million_parameters_with_every_cell(overrides, parameters):
    assert num_parameters("experiment=best_small", *overrides) == parameters
    assert composed("experiment=best_small", *overrides).epochs == 25


def test_equal_parameters_leave_the_embedding_as_it_is():
    assert Config.from_hydra(composed("experiment=equal_parameters", "hidden_size=211")).embedding_size == 200


def test_the_demo_needs_no_download():
    assert composed("experiment=demo").data.name == "python_docs"
