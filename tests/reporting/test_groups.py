import shutil
from pathlib import Path

import pytest

from lm.reporting.groups import figure_note, group_runs, swept_keys
from lm.reporting.sweep_report import runs_of_sweeps
from lm.run_search import find_runs
from tests.run_folders import MakeRun


def test_values_that_follow_from_what_was_swept_are_no_settings(grid: Path) -> None:
    assert swept_keys(find_runs(grid)) == []


def test_runs_that_differ_in_more_than_their_seed_are_never_averaged(make_run: MakeRun, sweep: Path) -> None:
    make_run("seed=1", seed=1, config={"batch_size": 20})
    make_run("seed=2", seed=2, config={"batch_size": 40})

    assert [(group.values["batch_size"], len(group.runs)) for group in group_runs(find_runs(sweep))] == [
        (20, 1),
        (40, 1),
    ]


def test_seeds_that_were_trained_before_and_after_an_option_was_added_share_a_row(
    make_run: MakeRun, sweep: Path
) -> None:
    older = make_run("seed=1", seed=1) / ".hydra" / "config.yaml"
    older.write_text("\n".join(line for line in older.read_text().splitlines() if not line.startswith("softmax")))
    make_run("seed=2", seed=2)

    assert swept_keys(find_runs(sweep)) == []


def test_seeds_of_which_one_has_a_default_typed_share_a_row(make_run: MakeRun, sweep: Path) -> None:
    changed = {"epochs_at_full_rate": 5, "schedule": {"epochs_at_full_rate": 7}, "embedding_size": 200}
    make_run("seed=1", "epochs_at_full_rate=5", seed=1, config=changed)
    make_run("seed=2", seed=2)

    assert swept_keys(find_runs(sweep)) == []
    make_run("seed=3", seed=3, config={"schedule": {"epochs_at_full_rate": 7}})
    assert swept_keys(find_runs(sweep)) == ["epochs_at_full_rate"]


def test_seeds_with_the_options_of_a_preset_share_a_row_however_they_were_typed(make_run: MakeRun, sweep: Path) -> None:
    typed = make_run("seed=1", "lr=0.5", seed=1, config={"lr": 0.5})
    make_run("seed=2", "experiment=half", seed=2, config={"lr": 0.5}, choices={"experiment": "half"})
    assert swept_keys(find_runs(sweep)) == []

    make_run("seed=3", "experiment=third", seed=3, config={"lr": 0.3}, choices={"experiment": "third"})
    assert swept_keys(find_runs(sweep)) == ["lr"]
    shutil.rmtree(typed)
    assert swept_keys(find_runs(sweep)) == ["experiment"]


def test_presets_that_differ_in_more_than_the_table_shows_are_told_apart(make_run: MakeRun, sweep: Path) -> None:
    for preset, dropout, epochs in (("half", 0.5, 5), ("none", 0.0, 9)):
        make_run(f"experiment={preset}", dropout=dropout, config={"epochs": epochs}, choices={"experiment": preset})

    assert swept_keys(find_runs(sweep)) == ["experiment"]


def test_seeds_of_two_machines_share_a_row(make_run: MakeRun, sweep: Path) -> None:
    for seed, (folder, logger) in enumerate([("/here", "csv"), ("/there", "tensorboard")], start=1):
        typed = [f"data.dir={folder}", f"logger={logger}", f"trainer.profiler={folder}"]
        make_run(f"seed={seed}", *typed, seed=seed, config={"data": {"dir": folder}, "logger": logger})

    assert swept_keys(find_runs(sweep)) == []


def test_seeds_on_different_texts_do_not_share_a_row(make_run: MakeRun, sweep: Path) -> None:
    for seed in (1, 2):
        results = {"corpus": {"name": "text", "sha256": f"{seed}"}}
        make_run(f"data.dir=/{seed}", seed=seed, config={"data": {"dir": f"/{seed}"}}, results=results)

    assert swept_keys(find_runs(sweep)) == ["data.dir"]


def test_runs_whose_configs_cannot_be_resolved_are_not_averaged(make_run: MakeRun, sweep: Path) -> None:
    for seed, size in ((1, 20), (2, 40)):
        make_run(f"seed={seed}", seed=seed, config={"batch_size": size, "init_range": "${of_another_version:1}"})

    assert swept_keys(find_runs(sweep)) == ["batch_size"]


def test_numbered_folders_are_grouped_by_their_configs(make_run: MakeRun, sweep: Path) -> None:
    for number, (size, seed) in enumerate([(100, 1), (100, 2), (200, 1), (200, 2)]):
        folder = make_run(f"hidden_size={size}", f"seed={seed}", seed=seed, config={"hidden_size": size})
        folder.rename(sweep / str(number))

    groups = group_runs(find_runs(sweep))

    assert [([run.name for run in group.runs], group.values["hidden_size"]) for group in groups] == [
        (["0", "1"], 100),
        (["2", "3"], 200),
    ]


def test_a_run_with_a_damaged_config_makes_no_columns(make_run: MakeRun, grid: Path) -> None:
    (make_run("cell=gru", "epochs=25", cell="gru") / ".hydra" / "config.yaml").write_text("dropout: 0.25")

    assert swept_keys(find_runs(grid)) == []


def test_a_diverged_seed_is_left_out_of_its_group(make_run: MakeRun, sweep: Path) -> None:
    for seed in (1, 2, 3):
        make_run(f"seed={seed}", seed=seed, results={"status": "diverged"} if seed == 2 else {})

    (group,) = group_runs(find_runs(sweep))

    assert [run.value("seed") for run in group.runs] == [1, 3]


def test_seeds_of_several_sweeps_share_a_row(make_run: MakeRun, sweep: Path, tmp_path: Path) -> None:
    make_run("seed=1", seed=1)
    make_run("seed=2", seed=2, running=True)
    first = sweep.rename(tmp_path / "first")
    sweep.mkdir()
    make_run("seed=2", seed=2)
    make_run("seed=3", seed=3)

    (group,) = group_runs(runs_of_sweeps([first, sweep]))
    assert [run.name for run in group.runs] == ["first/seed=1", "sweep/seed=2", "sweep/seed=3"]


def test_only_a_row_with_a_repeated_seed_is_split(make_run: MakeRun, sweep: Path) -> None:
    for seed in (1, 2):
        make_run("cell=lstm", f"seed={seed}", seed=seed)
        make_run("cell=gru", f"seed={seed}", cell="gru", seed=seed)
    make_run("cell=gru", "seed=2", "num_threads=1", cell="gru", seed=2)

    groups = group_runs(find_runs(sweep))

    assert [(group.title, len(group.runs)) for group in groups] == [
        ("LSTM, dropout 0.25", 2),
        ("GRU, dropout 0.25, run cell=gru,seed=1", 1),
        ("GRU, dropout 0.25, run cell=gru,seed=2", 1),
        ("GRU, dropout 0.25, run cell=gru,seed=2,num_threads=1", 1),
    ]


def test_groups_have_names_that_people_use(make_run: MakeRun, sweep: Path) -> None:
    make_run("cell=rnn_tanh", "hidden_size=100", cell="rnn_tanh", dropout=0.0, config={"hidden_size": 100})
    make_run("cell=gru", "hidden_size=200", cell="gru")

    titles = [group.title for group in group_runs(find_runs(sweep))]

    assert titles == ["RNN tanh, no dropout, hidden size 100", "GRU, dropout 0.25, hidden size 200"]


def test_dropout_that_no_part_reads_is_not_shown(make_run: MakeRun, sweep: Path) -> None:
    own = {"hidden_dropout": 0.2, "output_dropout": 0.35}
    make_run("run=1", config=own)
    make_run("run=2", config={**own, "input_dropout": 0.0})
    make_run("num_layers=1", config={"num_layers": 1, "input_dropout": 0.1, "output_dropout": 0.35})

    assert [group.title for group in group_runs(find_runs(sweep))] == [
        "LSTM, dropout 0.25, num layers 2",
        "LSTM, dropout by part, num layers 2",
        "LSTM, dropout by part, num layers 1",
    ]


@pytest.mark.parametrize("wrong", ["two", None, "${nothing}"])
def test_a_run_that_failed_by_a_wrong_number_of_layers_has_a_row_of_its_own(
    make_run: MakeRun, sweep: Path, wrong: str | None
) -> None:
    make_run("num_layers=2")
    make_run("num_layers=x", config={"num_layers": wrong}, results={"status": "failed", "error": "ValueError"})

    assert len(group_runs(find_runs(sweep))) == 1


@pytest.mark.parametrize("name", ["grad_norm", "valid_ppl"])
def test_a_curve_without_values_is_empty(make_run: MakeRun, sweep: Path, name: str) -> None:
    (make_run() / "epochs.csv").write_text("epoch,lr,valid_ppl\n1,0.5,\n2,0.5,nan\n")

    (group,) = group_runs(find_runs(sweep))

    assert group.curve(name).empty


def test_the_note_of_the_figures_names_seeds_only_if_there_are_several(make_run: MakeRun, sweep: Path) -> None:
    make_run("seed=1", seed=1)
    assert figure_note(group_runs(find_runs(sweep))) == (
        "Curves: validated in the batches of training. Table: the best weights, scored in batches of their own. So the "
        "two differ slightly."
    )
    make_run("seed=2", seed=2)
    assert figure_note(group_runs(find_runs(sweep))).startswith("Curves: means over the seeds, validated")
