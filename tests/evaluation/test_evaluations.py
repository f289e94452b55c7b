import math

import pytest

from lm.evaluation.evaluations import (
    describe_method,
    describe_tuning,
    evaluation_label,
    newest_evaluations,
    option_key,
    save_evaluation,
)
from lm.run_dir import RunDir

SETTINGS = {"temperature": {"temperature": 1.1}, "cache": {"theta": 0.5, "window": 500}}


def test_a_method_is_described_with_its_options_as_they_are_typed():
    protocol = {"method": "temperature,cache", "settings": SETTINGS, "ensemble": 3}
    assert describe_method(protocol) == (
        "temperature,cache evaluation (temperature=1.1 cache.theta=0.5 cache.window=500), mean of 3 runs"
    )
    assert describe_method({"method": "static"}) == "static evaluation"
    options = {"mc": {"samples": 20, "dropout_factor": 0.8, "seed": 1234567}}
    assert "mc.samples=20 mc.dropout_factor=0.8 mc.seed=1234567" in describe_method(
        {"method": "mc", "settings": options}
    )


def test_tuning_is_described_by_what_was_chosen_and_where():
    grid = {"dynamic": {"lr": [1]}, "cache": {"theta": [1]}}
    record = {"split": "valid", "grid": grid, "reader_tokens": 20_000, "reader_ppl": 95.5}
    assert describe_tuning(record | {"tokens": 73_759, "ppl": 90.0}) == (
        "dynamic.lr, cache.theta chosen on the valid split: perplexity 95.5000 on its first 20,000 tokens, "
        "then 90.0000 on its 73,759 tokens with all options"
    )


def test_an_option_has_the_key_that_is_typed():
    assert option_key("cache", "theta") == "cache.theta"
    assert option_key("temperature", "temperature") == "temperature"


def entry(ppl, method="cache", split="test", **others):
    base = {"checkpoint": "best", "corpus": {"sha256": "ab"}, "tuned": None, "protocol": {"method": method}}
    return {"split": split, "ppl": ppl, **base, **others}


@pytest.mark.parametrize(
    ("one", "label"),
    [
        (entry(9.0), "cache"),
        (entry(9.0, tuned={"split": "valid"}), "cache, tuned"),
        (entry(9.0, protocol={"method": "static", "ensemble": 3}), "static, 3 runs"),
    ],
)
def test_a_label_says_the_method_the_tuning_and_the_number_of_runs(one, label):
    assert evaluation_label(one) == label


def test_scores_of_weights_before_the_run_was_trained_longer_do_not_count(tmp_path):
    run = RunDir(tmp_path)
    run.write_results({"corpus": {"sha256": "ab"}, "best_epoch": 3})
    for ppl, epoch in ((9.0, 3), (8.0, 2)):
        run.append_evaluation(entry(ppl, epoch=epoch))
        run = RunDir(tmp_path)
    assert [found["ppl"] for found in newest_evaluations(run).values()] == [9.0]


def test_scores_of_an_ensemble_do_not_count_after_another_run_was_trained_longer(tmp_path):
    run, other = RunDir(tmp_path / "one"), RunDir(tmp_path / "other")
    for each in (run, other):
        each.folder.mkdir()
        each.write_results({"corpus": {"sha256": "ab"}, "best_epoch": 3})
    run.append_evaluation(entry(9.0, epoch=3, other_epochs={"../other": 3, "../missing": 2}))
    assert len(newest_evaluations(RunDir(run.folder))) == 1
    other.write_results({"corpus": {"sha256": "ab"}, "best_epoch": 4})
    assert newest_evaluations(RunDir(run.folder)) == {}


def test_the_newest_entry_counts_of_the_best_weights_on_the_corpus_of_the_training(tmp_path):
    run = RunDir(tmp_path)
    run.write_results({"corpus": {"sha256": "ab"}})
    assert newest_evaluations(run) == {}
    for one in (entry(9.0), entry(8.0), entry(7.0, checkpoint="last"), entry(6.0, corpus={"sha256": "cd"})):
        run.append_evaluation(one)
    run.append_evaluation(entry(5.0, split="valid"))
    found = {key: one["ppl"] for key, one in newest_evaluations(run).items()}
    assert found == {("test", "cache"): 8.0, ("valid", "cache"): 5.0}


@pytest.mark.parametrize("text", ["", "{", "[1]", "[{}]", '[{"ppl": "x"}]', '[{"ppl": 5.0}]', "{}", "5"])
def test_a_damaged_file_hides_no_run_and_is_not_overwritten(tmp_path, text):
    run = RunDir(tmp_path)
    (tmp_path / "evaluations.json").write_text(text)
    with pytest.raises(ValueError, match=r"expected a file of evaluations .*damaged.*: delete it, or copy it again$"):
        run.append_evaluation(entry(9.0))
    assert (tmp_path / "evaluations.json").read_text() == text
    assert newest_evaluations(run) == {}


def test_a_file_that_may_not_be_read_hides_no_run(tmp_path, monkeypatch):
    def refuse(path, **_):
        raise PermissionError(path)

    (tmp_path / "evaluations.json").write_text("[]")
    monkeypatch.setattr("pathlib.Path.read_text", refuse)
    assert newest_evaluations(RunDir(tmp_path)) == {}


@pytest.mark.parametrize("ppl", [math.inf, math.nan])
def test_a_perplexity_that_is_not_finite_is_not_kept(tmp_path, ppl):
    run = RunDir(tmp_path)
    assert save_evaluation(run, entry(ppl)) == f"not kept in {run.evaluations_path}: the perplexity is {ppl}"
    tuned = {"split": "valid", "grid": {}, "reader_ppl": ppl}
    assert save_evaluation(run, entry(9.0, tuned=tuned)).startswith(f"not kept in {run.evaluations_path}: Out of range")
    assert not run.evaluations_path.exists()
