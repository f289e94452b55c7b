import hashlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lm.evaluation.final_results import final_results
from lm.evaluation.loading import load_corpus_of, load_saved_run
from lm.run_dir import RunDir

CPU = torch.device("cpu")


@pytest.fixture
def corpus(saved_run):
    return load_corpus_of(load_saved_run(saved_run))


def test_scoring_a_saved_run_again_gives_its_results(saved_run, corpus):
    run = RunDir(saved_run)
    found = final_results(run, corpus, CPU)
    assert found == {name: run.results[name] for name in found}


def test_the_training_split_can_be_left_out(saved_run, corpus):
    found = final_results(RunDir(saved_run), corpus, CPU, score_train=False)
    assert found["best"]["train_ppl"] is found["protocol"]["train"] is None
    assert found["best"]["test_ppl"] == RunDir(saved_run).results["best"]["test_ppl"]


def test_the_nats_of_each_token_are_saved_in_the_order_of_the_text(saved_run, corpus):
    run, saved = RunDir(saved_run), load_saved_run(saved_run)
    for split in ("valid", "test"):
        ids, nats = corpus.splits[split].long(), run.nats[split]
        assert nats.dtype == np.float32
        assert np.exp(nats.mean(dtype=np.float64)) == pytest.approx(run.results["best"][f"{split}_ppl"], abs=1e-6)
        assert str(run.nats[f"{split}_sha256"]) == hashlib.sha256(ids[1:].numpy().tobytes()).hexdigest()
        with torch.inference_mode():
            hidden_TBH, _ = saved.model.eval()(ids[:-1, None])
            expected = F.cross_entropy(saved.model.decoder(hidden_TBH[:, 0]), ids[1:], reduction="none")
        torch.testing.assert_close(torch.from_numpy(nats), expected, rtol=0, atol=1e-4)
