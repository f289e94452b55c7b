import csv
import json
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import lm
from lm.run_dir import RunDir
from lm.training.loggers import LOGGERS, check_loggers, make_loggers

QUICK = ("epochs=1", "hidden_size=8", "trainer.enable_progress_bar=false")


@pytest.fixture
def train(small, tmp_path, monkeypatch):
    """Return a function that trains a small run with loggers."""
    monkeypatch.chdir(tmp_path)

    def run(*overrides):
        return lm.train(overrides=[*small, *QUICK, "hydra.run.dir=run", *overrides])

    return run


def logged_csv(path):
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows if row.get(name)] for name in rows[0]}


def test_several_loggers_have_the_same_values(train):
    run = train("logger=[tensorboard,csv]")
    table = logged_csv(run.folder / "csv" / "metrics.csv")
    board = EventAccumulator(str(run.folder)).Reload()
    assert table["perplexity/valid"] == pytest.approx([run.run.epochs[0]["valid_ppl"]])
    for name in ("perplexity/valid", "loss/train", "result/test_ppl"):
        assert table[name] == pytest.approx([event.value for event in board.Scalars(name)])


def test_one_logger_replaces_the_default(train):
    folder = train("logger=csv").folder
    assert (folder / "csv" / "hparams.yaml").is_file()
    assert not list(folder.glob("events.out.tfevents.*"))


def test_a_run_without_loggers_has_its_results(train):
    run = train("logger=[]")
    assert run.results["status"] == "finished"
    assert not list(run.folder.glob("csv*"))


def test_a_resumed_run_keeps_the_earlier_table_and_may_change_its_loggers(train):
    folder = train("logger=csv").folder
    lm.train(overrides=[f"resume={folder}", "epochs=2"])
    assert sorted(path.name for path in folder.glob("csv*"))[0] == "csv"
    assert len(list(folder.glob("csv*/metrics.csv"))) == 2
    lm.train(overrides=[f"resume={folder}", "epochs=3", "logger=tensorboard"])
    assert list(folder.glob("events.out.tfevents.*"))
    assert len(list(folder.glob("csv*"))) == 2


@pytest.mark.parametrize("package", ["wandb", "mlflow"])
def test_a_missing_package_is_named_with_the_line_that_installs_it(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr("lm.checks.find_spec", lambda name: None)
    sentence = rf"the package {package} for logger={package}, found none: type pip install -e '\.\[{package}\]'"
    with pytest.raises(ValueError, match=sentence):
        check_loggers("logger", {package: {}})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("csv", "expected logger to be loggers with their options"),
        ({"tensorbord": {}}, "expected logger to be one of tensorboard, csv, wandb, mlflow"),
        ({"csv": 1}, "expected logger.csv to be a group of options"),
    ],
)
def test_another_value_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        check_loggers("logger", value)


def test_an_argument_that_lightning_does_not_have_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected arguments of Lightning's CSVLogger in logger.csv, found"):
        make_loggers({"csv": {"flush": 1}}, RunDir(tmp_path), {}, None)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["logger=tensorbord"], "found tensorbord: type logger=tensorboard"),
        (["logger=[csv,tensorbord]"], "found tensorbord: type logger=tensorboard"),
        (["logger=null"], "found null: type logger=csv"),
    ],
)
def test_a_misspelt_logger_is_refused_on_the_command_line(overrides, message, small, run_command, capsys):
    assert run_command("lm.train", *small, *overrides) == 1
    assert message in capsys.readouterr().err


def test_every_logger_is_a_choice_of_the_group():
    from lm.cli import CONFIGS

    assert {path.stem for path in (CONFIGS / "logger").glob("*.yaml")} == set(LOGGERS)


@pytest.mark.filterwarnings("default")  # those of packages that this project does not pin
def test_wandb_works_offline_without_an_account(train, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = train("logger=wandb")
    assert list(run.folder.glob("wandb/offline-run-*/*.wandb"))
    assert wandb.run is None
    assert run.results["status"] == "finished"


@pytest.mark.filterwarnings("default")
def test_mlflow_has_the_values_and_the_hyperparameters(train, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("alembic")
    run = train("logger=mlflow", f"logger.mlflow.tracking_uri=sqlite:///{tmp_path}/mlflow.db")
    client = mlflow.tracking.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (found,) = client.search_runs([client.get_experiment_by_name("lm").experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.metrics["result/test_ppl"] == pytest.approx(run.results["best"]["test_ppl"])
    assert json.loads(found.data.params["hidden_size"]) == 8
