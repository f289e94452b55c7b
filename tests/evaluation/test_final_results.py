import pytest
import torch

from lm.evaluation.final_results import final_results
from lm.evaluation.loading import load_corpus_of, load_run
from lm.run_dir import RunDir

CPU = torch.device("cpu")


@pytest.fixture
def corpus(saved_run):
    return load_corpus_of(load_run(saved_run))


def test_scoring_a_saved_run_again_gives_its_results(saved_run, corpus):
    run = RunDir(saved_run)
    found = final_results(run, corpus, CPU)
    assert found == {name: run.results[name] for name in found}


def test_the_training_split_can_be_left_out(saved_run, corpus):
    found = final_results(RunDir(saved_run), corpus, CPU, score_train=False)
    assert found["best"]["train_ppl"] is found["protocol"]["train"] is None
    assert found["best"]["test_ppl"] == RunDir(saved_run).results["best"]["test_ppl"]
