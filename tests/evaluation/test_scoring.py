import os
import shutil

import pytest

from lm.evaluation.evaluation_loop import evaluate
from lm.evaluation.loading import load_corpus_of, load_saved_run
from lm.evaluation.methods import Static
from lm.evaluation.methods.dynamic import Dynamic
from lm.evaluation.scoring import Scoring, prepare_scoring
from lm.evaluation.text_batches import text_batches
from lm.run_dir import RunDir
from tests.evaluation.method_options import composition


def test_a_method_studies_the_training_text_of_the_run(saved_run):
    saved = load_saved_run(saved_run)
    chosen = composition("method=dynamic", "dynamic.lr=0.001")
    scoring = prepare_scoring([saved, saved], chosen)
    ids = load_corpus_of(saved).splits["train"]
    for method in scoring.methods:
        assert isinstance(method, Dynamic)
        assert all(map(bool, [rms.any() for rms in method.gradient_rms]))
    batches = text_batches(saved, load_corpus_of(saved), "test", scoring.methods[0])
    expected = evaluate(saved.model, batches, chosen.method().study(saved.model, ids))
    assert scoring.evaluate(batches).nats == pytest.approx(expected.nats, rel=1e-7)


def test_a_score_is_appended_to_the_file_of_every_run(copy_of_run):
    saved = load_saved_run(copy_of_run)
    scoring, corpus = Scoring([saved], [Static()]), load_corpus_of(saved)
    found = scoring.evaluate(text_batches(saved, corpus, "test", Static()))
    for _ in range(2):
        assert scoring.save(found, corpus, "test") == [str(copy_of_run / "evaluations.json")]
    *_, first, second = RunDir(copy_of_run).evaluations
    assert first | {"time": ""} == second | {"time": ""}
    assert first["ppl"] == found.ppl == pytest.approx(RunDir(copy_of_run).results["best"]["test_ppl"])
    assert first["protocol"] == found.protocol
    assert (first["split"], first["checkpoint"], first["tuned"]) == ("test", "best", None)
    assert first["runs"] == [copy_of_run.name]
    assert first["corpus"] == saved.corpus


def test_the_score_of_an_ensemble_says_which_weights_of_every_run_were_scored(copy_of_run, tmp_path):
    other = shutil.copytree(copy_of_run, tmp_path / "sweep" / "other")
    members = [load_saved_run(copy_of_run), load_saved_run(other)]
    scoring, corpus = Scoring(members, [Static()] * 2), load_corpus_of(members[0])
    scoring.save(scoring.evaluate(text_batches(members[0], corpus, "test", Static())), corpus, "test")
    epoch = RunDir(other).result("best_epoch")
    for folder, another in ((copy_of_run, other), (other, copy_of_run)):
        *_, entry = RunDir(folder).evaluations
        assert (entry["epoch"], entry["other_epochs"]) == (epoch, {os.path.relpath(another, folder): epoch})


def test_static_evaluation_of_one_run_needs_no_note(saved_run):
    saved = load_saved_run(saved_run)
    assert Scoring([saved], [Static()]).notes() == []
    assert Scoring([saved, saved], [Static()] * 2).notes() == ["static evaluation, mean of 2 runs"]
