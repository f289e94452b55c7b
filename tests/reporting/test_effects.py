import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from lm.reporting.effects import Change, Effect, find_effects, recorded_nats
from lm.reporting.groups import group_runs
from lm.run_dir import RunDir
from lm.run_files import write_arrays
from lm.run_search import find_runs
from tests.run_folders import MakeRun

TOKENS = 5000
TEXT = np.random.default_rng(0).exponential(4.5, TOKENS)


def effects_in(folder: Path, split: str = "test", mean: bool = False) -> list[Effect]:
    return find_effects(group_runs(find_runs(folder)), split, mean)


def with_nats(folder: Path, text: str = "a" * 64, better: float = 0.0, seed: int = 0) -> RunDir:
    """Save nats for a run, `better` than the text's by this on average, and the perplexity that they give."""
    run = RunDir(folder)
    nats = (TEXT - better + np.random.default_rng(seed).normal(0, 0.3, TOKENS)).astype(np.float32)
    write_arrays(run.nats_path, {"test": nats, "test_sha256": np.array(text)})
    best = {**run.results["best"], "test_ppl": math.exp(nats.mean(dtype=np.float64))}
    run.write_results({**run.results, "best": best})
    return run


def test_nats_that_may_not_be_read_count_as_missing(grid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(path)

    run = with_nats(grid / "cell=gru,dropout=0.25")
    assert recorded_nats(run, "test")[0]
    monkeypatch.setattr("lm.run_dir.read_arrays", refuse)
    assert recorded_nats(RunDir(run.folder), "test")[0] == ""


def summary(effect: Effect) -> tuple[object, ...]:
    change = effect.change
    return change.option, change.before, change.after, effect.setting, effect.by and effect.by.option


def test_every_option_has_an_effect_at_each_setting_of_the_others_and_two_have_an_interaction(grid: Path) -> None:
    assert [summary(effect) for effect in effects_in(grid)] == [
        ("cell", "lstm", "gru", {"dropout": 0.0}, None),
        ("cell", "lstm", "gru", {"dropout": 0.25}, None),
        ("dropout", 0.0, 0.25, {"cell": "lstm"}, None),
        ("dropout", 0.0, 0.25, {"cell": "gru"}, None),
        ("dropout", 0.0, 0.25, {}, "cell"),
    ]


@pytest.mark.parametrize("split", ["valid", "test"])
def test_an_effect_is_a_difference_of_log_perplexity(grid: Path, split: str) -> None:
    *effects, interaction = effects_in(grid, split)

    ppl = {run.name: run.result(f"best.{split}_ppl") for run in find_runs(grid)}
    lstm, gru = (
        math.log(ppl[f"cell={cell},dropout=0.25"] / ppl[f"cell={cell},dropout=0.0"]) for cell in ("lstm", "gru")
    )
    assert [effect.estimate.value for effect in effects[2:]] == pytest.approx([lstm, gru])
    assert interaction.estimate.value == pytest.approx(gru - lstm)
    assert [side.value for side in interaction.sides] == pytest.approx([lstm, gru])


def test_one_seed_is_compared_token_by_token_over_blocks_of_the_text(make_run: MakeRun, sweep: Path) -> None:
    before = with_nats(make_run(dropout=0.0), seed=1)
    after = with_nats(make_run(dropout=0.25), better=0.2, seed=2)

    (effect,) = effects_in(sweep)

    tokens = after.nats["test"].astype(float) - before.nats["test"]
    assert effect.over == "text"
    assert effect.estimate.value == pytest.approx(tokens.mean())
    assert effect.estimate.error == pytest.approx(stats.sem(tokens), rel=0.15)  # these tokens are independent


def test_several_seeds_are_resampled_with_the_text(make_run: MakeRun, sweep: Path) -> None:
    for dropout in (0.0, 0.25):
        for seed, level in enumerate((0.0, 0.05, 0.1), start=1):
            folder = make_run(f"dropout={dropout}", f"seed={seed}", dropout=dropout, seed=seed)
            with_nats(folder, better=dropout + level, seed=seed)

    (effect,) = effects_in(sweep)

    assert (effect.over, effect.seeds) == ("seeds and text", (3, 3))
    assert effect.estimate.value == pytest.approx(-0.25, abs=1e-6)  # the same noise in both settings
    assert effect.estimate.error == pytest.approx(math.sqrt(2 * 0.05**2 / 3), rel=0.1)


def test_without_nats_the_interval_is_over_seeds_alone(seeds: Path) -> None:
    (effect,) = effects_in(seeds)

    logs = [[math.log(run.result("best.test_ppl")) for run in group.runs] for group in group_runs(find_runs(seeds))]
    low, high = stats.ttest_ind(logs[1], logs[0], equal_var=False).confidence_interval()
    assert effect.over == "seeds"
    assert effect.estimate.log_interval == pytest.approx((low, high), abs=0.1 * (high - low))


def test_one_seed_without_nats_has_no_interval(grid: Path) -> None:
    assert {(effect.over, effect.estimate.has_interval) for effect in effects_in(grid)} == {("", False)}


def test_nats_of_another_text_are_not_paired(make_run: MakeRun, sweep: Path) -> None:
    with_nats(make_run(dropout=0.0), text="a" * 64)
    with_nats(make_run(dropout=0.25), text="b" * 64)

    (effect,) = effects_in(sweep)

    assert not effect.paired


def test_nats_that_are_damaged_or_not_of_the_results_are_not_used(make_run: MakeRun) -> None:
    run = with_nats(make_run(dropout=0.0))
    assert recorded_nats(RunDir(run.folder), "test")[0] == "a" * 64

    run.write_results({**run.results, "best": {**run.results["best"], "test_ppl": 50.0}})
    assert recorded_nats(RunDir(run.folder), "test")[0] == ""

    run.nats_path.write_bytes(b"PK")
    assert recorded_nats(RunDir(run.folder), "test")[0] == ""


def test_perplexities_on_different_corpora_are_not_compared(make_run: MakeRun, sweep: Path) -> None:
    for name in ("ptb", "synthetic"):
        make_run(f"data={name}", choices={"data": name}, results={"corpus": {"name": name, "sha256": name}})

    assert effects_in(sweep) == []


def test_numbers_are_compared_with_the_smallest_one(make_run: MakeRun, sweep: Path) -> None:
    for size in (400, 100, 200):
        make_run(f"hidden_size={size}", config={"hidden_size": size})

    assert [effect.change for effect in effects_in(sweep)] == [
        Change("hidden_size", 100, 200),
        Change("hidden_size", 100, 400),
    ]


def test_a_setting_without_the_smallest_number_is_compared_with_its_own(make_run: MakeRun, sweep: Path) -> None:
    for cell, sizes in (("lstm", (200, 400)), ("gru", (100, 200, 400))):
        for size in sizes:
            make_run(f"cell={cell}", f"hidden_size={size}", cell=cell, config={"hidden_size": size})

    sizes = [effect for effect in effects_in(sweep) if effect.change.option == "hidden_size" and not effect.by]
    assert [(effect.setting["cell"], effect.change.before, effect.change.after) for effect in sizes] == [
        ("lstm", 200, 400),
        ("gru", 200, 400),
        ("gru", 100, 200),
        ("gru", 100, 400),
    ]


def test_an_option_of_one_schedule_has_an_effect_with_it(make_run: MakeRun, sweep: Path) -> None:
    make_run("schedule=table1", choices={"schedule": "table1"})
    for epochs in (0, 1, 2):
        typed = "schedule=cosine", f"schedule.warmup_epochs={epochs}"
        config = {"schedule": {"name": "cosine", "warmup_epochs": epochs}}
        make_run(*typed, choices={"schedule": "cosine"}, config=config)

    changes = [(effect.change, effect.setting) for effect in effects_in(sweep)]
    assert changes == [
        (Change("schedule.warmup_epochs", 0, after), {"dropout": 0.25, "cell": "lstm", "schedule": "cosine"})
        for after in (1, 2)
    ]


def test_a_repeated_seed_leaves_the_effects_of_the_other_runs(grid: Path, make_run: MakeRun) -> None:
    make_run("cell=gru", "dropout=0", "num_threads=1", cell="gru", dropout=0.0)

    found = [summary(effect)[:4] for effect in effects_in(grid)]
    assert found == [
        ("cell", "lstm", "gru", {"dropout": 0.25}),
        ("dropout", 0.0, 0.25, {"cell": "lstm"}),
    ]


def test_settings_without_a_counterpart_have_no_effect(make_run: MakeRun, sweep: Path) -> None:
    make_run("lr=1", "hidden_size=100", config={"lr": 1, "hidden_size": 100})
    make_run("lr=2", "hidden_size=200", config={"lr": 2, "hidden_size": 200})

    assert effects_in(sweep) == []


def test_a_run_without_a_test_perplexity_has_no_effect(make_run: MakeRun, sweep: Path) -> None:
    make_run(dropout=0.0)
    make_run(dropout=0.25, results={"best": {"valid_ppl": 90.0, "test_ppl": None}})

    assert effects_in(sweep) == []


def test_a_mean_effect_is_that_of_all_settings_of_the_others(grid: Path) -> None:
    *effects, interaction = effects_in(grid)

    means = effects_in(grid, mean=True)

    values = [effect.estimate.value for effect in effects]
    assert [summary(effect) for effect in means] == [
        ("cell", "lstm", "gru", {}, None),
        ("dropout", 0.0, 0.25, {}, None),
        ("dropout", 0.0, 0.25, {}, "cell"),
    ]
    assert [effect.num_settings for effect in means] == [2, 2, 1]
    expected = [sum(values[:2]) / 2, sum(values[2:]) / 2, interaction.estimate.value]
    assert [effect.estimate.value for effect in means] == pytest.approx(expected)
    assert [side.value for side in means[2].sides] == pytest.approx([side.value for side in interaction.sides])


def test_a_mean_effect_is_compared_token_by_token(make_run: MakeRun, sweep: Path) -> None:
    nats = {}
    for number, (cell, dropout) in enumerate((cell, dropout) for cell in ("lstm", "gru") for dropout in (0.0, 0.25)):
        run = with_nats(make_run(cell=cell, dropout=dropout), better=dropout, seed=number)
        nats[cell, dropout] = run.nats["test"].astype(float)

    _, effect, _ = effects_in(sweep, mean=True)

    tokens = np.mean([nats[cell, 0.25] - nats[cell, 0.0] for cell in ("lstm", "gru")], axis=0)
    assert (effect.over, effect.seeds) == ("text", (1,) * 4)
    assert effect.estimate.value == pytest.approx(tokens.mean())
    assert effect.estimate.error == pytest.approx(stats.sem(tokens), rel=0.15)


def test_corpora_have_mean_effects_of_their_own(make_run: MakeRun, sweep: Path) -> None:
    for name in ("ptb", "synthetic"):
        for cell in ("lstm", "gru"):
            for dropout in (0.0, 0.25):
                corpus = {"name": name, "sha256": name}
                make_run(
                    f"data={name}", f"cell={cell}", f"dropout={dropout}",
                    cell=cell, dropout=dropout, choices={"data": name}, results={"corpus": corpus},
                )  # fmt: skip

    simple = [effect for effect in effects_in(sweep, mean=True) if effect.by is None]

    assert [(effect.change.option, effect.setting, effect.num_settings) for effect in simple] == [
        ("cell", {"data": "ptb"}, 2),
        ("cell", {"data": "synthetic"}, 2),
        ("dropout", {"data": "ptb"}, 2),
        ("dropout", {"data": "synthetic"}, 2),
    ]
