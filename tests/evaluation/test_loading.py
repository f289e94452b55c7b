import shutil

import pytest
import torch

from lm.evaluation.evaluation_loop import EvalResult
from lm.evaluation.loading import comparison, load_corpus_of, load_model, recorded
from lm.run_dir import RunDir


def test_a_model_is_loaded_ready_for_evaluation(saved_run):
    model, vocabulary, metadata = load_model(RunDir(saved_run))
    assert not model.training
    assert model.decoder.out_features == len(vocabulary)
    assert metadata["settings"]["cell"] == "gru"


def test_a_checkpoint_of_another_name_is_refused(saved_run):
    with pytest.raises(ValueError, match=r"expected checkpoint to be one of best, last, found '\.\./best'"):
        load_model(RunDir(saved_run), "../best")


def test_the_corpus_is_made_again_from_where_it_lay_or_lies_now(saved_run, corpus_folder, tmp_path):
    run = RunDir(saved_run)
    moved = shutil.copytree(corpus_folder, tmp_path / "moved")
    there, here = (load_corpus_of(run, load_model(run)[2], folder) for folder in (None, str(moved)))
    assert all(torch.equal(there.splits[split], here.splits[split]) for split in there.splits)


def test_another_corpus_is_refused(saved_run, corpus_folder, tmp_path):
    other = shutil.copytree(corpus_folder, tmp_path / "other")
    (other / "test.txt").write_text("ada reads\n")
    with pytest.raises(ValueError, match=r"expected the corpus of the training \(text, SHA-256 .*data.dir=FOLDER"):
        load_corpus_of(RunDir(saved_run), load_model(RunDir(saved_run))[2], str(other))


def test_a_folder_for_a_corpus_that_reads_none_is_refused(copy_of_run):
    (copy_of_run / ".hydra" / "config.yaml").write_text("data: {name: synthetic, words: 5, branching: 2}")
    run = RunDir(copy_of_run)
    with pytest.raises(ValueError, match=r"expected no data\.dir, as data=synthetic reads no folder"):
        load_corpus_of(run, load_model(run)[2], "somewhere")
    with pytest.raises(ValueError, match=r"expected the corpus of the training \(text, .* as in training"):
        load_corpus_of(run, load_model(run)[2])


def test_a_run_without_its_config_is_told(copy_of_run):
    shutil.rmtree(copy_of_run / ".hydra")
    run = RunDir(copy_of_run)
    with pytest.raises(FileNotFoundError, match=r"expected the run's config, found no file"):
        load_corpus_of(run, load_model(run)[2])


def test_the_recorded_perplexity_is_that_of_the_checkpoint_and_the_split(saved_run):
    run = RunDir(saved_run)
    results = run.results
    for checkpoint, split in (("last", "train"), ("best", "test")):
        ppl, protocol = recorded(run, checkpoint, split)
        assert ppl == results[checkpoint][f"{split}_ppl"]
        assert protocol == results["protocol"][split]
        assert protocol["matmul_precision"] == "float32"


@pytest.mark.parametrize("results", [None, "{", '{"status": "failed"}'])
def test_without_results_there_is_no_recorded_perplexity(copy_of_run, results):
    (copy_of_run / "results.json").unlink()
    if results is not None:
        (copy_of_run / "results.json").write_text(results)
    assert recorded(RunDir(copy_of_run), "best", "test") is None


def test_a_comparison_says_how_far_apart_two_perplexities_are():
    score = EvalResult(nats=0.0, tokens=10, protocol={})
    assert comparison(score, None) == "has no such number: the run was not finished"
    cold = {"batch_size": 20, "tokens": 10, "state": "carried", "matmul_precision": "bf16 (fp32 accumulation)"}
    one = {"batch_size": 1, "tokens": 10, "state": "carried", "matmul_precision": "float32"}
    assert (
        comparison(score, (1.000001, cold)) == "1.0000 in 20 columns, state carried, bf16 (fp32 accumulation): the same"
    )
    column = "in 1 column, state carried, float32: this one is"
    assert comparison(score, (1.25, one)) == f"1.2500 {column} 20.0000% lower"
    assert comparison(score, (0.8, one)) == f"0.8000 {column} 25.0000% higher"
