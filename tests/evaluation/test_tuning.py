from dataclasses import replace

import pytest

from lm.evaluation import tuning
from lm.evaluation.ensembles import evaluate_ensemble
from lm.evaluation.evaluation_loop import evaluate
from lm.evaluation.loading import load_corpus_of, load_saved_run
from lm.evaluation.methods.dynamic import DynamicSGD
from lm.evaluation.methods.mc_dropout import MCDropout
from lm.evaluation.methods.neural_cache import Cache
from lm.evaluation.methods.temperature import Temperature
from lm.evaluation.text_batches import text_batches
from lm.evaluation.tuning import Tuner, points
from tests.evaluation.method_options import composition
from tests.saved_run import untrained_run

GRID = {"theta": (0.5, 2.0), "weight": (0.0, 0.1, 0.5), "window": (20, 60)}


@pytest.fixture
def saved(saved_run):
    return load_saved_run(saved_run)


@pytest.fixture
def corpus(saved):
    """The corpus without its test split: whoever tunes on that gets an error."""
    corpus = load_corpus_of(saved)
    return replace(corpus, splits={name: ids for name, ids in corpus.splits.items() if name != "test"})


@pytest.fixture(autouse=True)
def small_grids(monkeypatch):
    monkeypatch.setattr(Cache, "grid", GRID)
    monkeypatch.setattr(Temperature, "grid", {"temperature": (0.7, 1.0, 1.3)})


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("names", ["cache", "temperature", "temperature,cache"])
def test_the_chosen_point_is_the_best_of_all_when_each_is_evaluated_by_itself(saved, corpus, names, members):
    chosen, runs = composition(f"method='{names}'"), [saved] * members
    found, record = Tuner(runs, corpus, [chosen.reader()] * members, chosen).tune()
    wrappers = {name: points(grid) for name, grid in chosen.grid().items()}
    nats = {}
    for temperature in wrappers.get("temperature", [{}]):
        for cache in wrappers.get("cache", [{}]):
            tried = chosen.with_options("temperature", **temperature).with_options("cache", **cache)
            batches = text_batches(saved, corpus, "valid", tried.method())
            models, methods = [run.model for run in runs], [tried.method() for _ in runs]
            one = evaluate_ensemble(models, batches, methods)
            nats[one.ppl] = tried.method().protocol()
    assert record["ppl"] == pytest.approx(min(nats), rel=1e-6)
    assert found.method().protocol() == nats[min(nats)]


def test_a_method_that_reads_the_text_is_tuned_on_its_first_words(saved, corpus, monkeypatch, capsys):
    monkeypatch.setattr(tuning, "READER_WORDS", 50)
    monkeypatch.setattr(MCDropout, "grid", {"dropout_factor": (0.0, 1.0)})
    chosen = composition("method=mc", "mc.samples=2")
    found, record = Tuner([saved], corpus, [chosen.reader()], chosen).tune()
    factor = found.options["mc"]["dropout_factor"]
    assert record["reader_tokens"] <= 50
    batches = text_batches(saved, tuning.first_words(corpus, "valid", 50), "valid", chosen.method())
    ppls = {
        factor: evaluate(saved.model, batches, MCDropout(samples=2, dropout_factor=factor, seed=1)).ppl
        for factor in (0.0, 1.0)
    }
    assert factor == min(ppls, key=ppls.__getitem__)
    assert record["reader_ppl"] == pytest.approx(min(ppls.values()))
    assert capsys.readouterr().err.splitlines() == [
        f"mc, 1 of 2 settings: mc.samples=2 mc.dropout_factor=0 mc.seed=1: valid {ppls[0.0]:.2f}",
        f"mc, 2 of 2 settings: mc.samples=2 mc.dropout_factor=1 mc.seed=1: valid {ppls[1.0]:.2f}",
    ]


def test_a_point_at_which_a_method_diverges_is_not_chosen(saved, corpus, monkeypatch):
    monkeypatch.setattr(tuning, "READER_WORDS", 50)
    monkeypatch.setattr(DynamicSGD, "grid", {"lr": (1000, 0.01)})
    chosen = composition("method=dynamic_sgd")
    found, record = Tuner([saved], corpus, [chosen.reader()], chosen).tune()
    assert found.options["dynamic_sgd"]["lr"] == 0.01
    assert record["reader_ppl"] < len(saved.vocabulary)


def test_options_that_were_typed_keep_their_values(saved, corpus):
    chosen = composition("method=cache", "cache.theta=0.123")
    found, record = Tuner([saved], corpus, [chosen.reader()], chosen, ["cache.theta"]).tune()
    assert found.options["cache"]["theta"] == 0.123
    assert record["grid"] == {"cache": {"weight": (0.0, 0.1, 0.5), "window": (20, 60)}}
    assert record["split"] == "valid"


def test_the_perplexity_of_the_chosen_point_counts_predicted_lengths(tmp_path, corpus_folder):
    folder = untrained_run(tmp_path / "run", corpus_folder, "data.batching=sentences", "length_conditioning=true")
    run, chosen = load_saved_run(folder), composition("method=temperature")
    corpus = load_corpus_of(run)
    found, record = Tuner([run], corpus, [chosen.reader()], chosen).tune()
    whole = evaluate(run.model, text_batches(run, corpus, "valid", found.method()), found.method())
    assert record["ppl"] == pytest.approx(whole.ppl, rel=1e-6)
    assert record["ppl"] > whole.ppl_given_length


def test_a_grid_has_every_combination():
    assert points({"a": (1, 2), "b": (3,)}) == [{"a": 1, "b": 3}, {"a": 2, "b": 3}]
