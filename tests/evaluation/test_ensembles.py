import shutil

import pytest
import torch

from lm.data.bptt import BPTTBatches
from lm.data.sentences import Sentences
from lm.evaluation.ensembles import evaluate_ensemble, load_members
from lm.evaluation.evaluation_loop import evaluate
from lm.evaluation.methods import Static
from lm.evaluation.methods.neural_cache import Cache
from lm.evaluation.methods.temperature import Temperature
from tests.evaluation import slow_references
from tests.evaluation.small_models import IDS, small_model
from tests.saved_run import untrained_run


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("batches", [BPTTBatches(IDS, 2, 20), Sentences(IDS, 0, 4)])
def test_an_ensemble_of_one_model_is_that_model(batches, copies):
    found = evaluate_ensemble([small_model()] * copies, batches, [Static()] * copies, per_token=True)
    alone = evaluate(small_model(), batches, per_token=True)
    assert found.nats == pytest.approx(alone.nats, abs=1e-9)
    torch.testing.assert_close(found.token_nats, alone.token_nats, atol=1e-9, rtol=0)


def test_it_is_the_mean_of_the_probabilities_word_by_word():
    models = [small_model("lstm"), small_model("gru", seed=1), small_model("gru", seed=2)]
    found = evaluate_ensemble(models, BPTTBatches(IDS, 1, 20), [Static()] * 3, per_token=True)
    probabilities = sum(torch.tensor(slow_references.static(model, IDS)).neg().exp() for model in models) / 3
    assert found.token_nats.tolist() == pytest.approx((-probabilities.log()).tolist(), abs=1e-6)
    assert found.nats == pytest.approx(float(found.token_nats.sum()))
    assert found.protocol["ensemble"] == 3


def test_each_run_has_a_cache_and_a_temperature_of_its_own():
    models = [small_model("lstm"), small_model("gru", seed=1)]
    methods = [Cache(Temperature(Static(), 1.2), theta=1.0, weight=0.2, window=20) for _ in models]
    found = evaluate_ensemble(models, BPTTBatches(IDS, 1, 20), methods, per_token=True).token_nats
    alone = [torch.tensor(slow_references.cache(model, IDS, 1.0, 0.2, 20, 1.2)).neg().exp() for model in models]
    assert found.tolist() == pytest.approx((-(sum(alone) / 2).log()).tolist(), abs=1e-6)


def test_runs_are_named_by_folders_a_sweeps_folder_or_a_pattern(saved_run, tmp_path):
    for seed in (1, 2):
        shutil.copytree(saved_run, tmp_path / "sweep" / f"cell=gru,seed={seed}")
    runs = [str(tmp_path / "sweep" / f"cell=gru,seed={seed}") for seed in (1, 2)]
    for named in (",".join(runs), str(tmp_path / "sweep"), str(tmp_path / "sweep" / "cell=gru,*")):
        assert [str(member.run.folder) for member in load_members(named, "best")] == runs
    assert len(load_members(runs[0], "last")) == 1


@pytest.fixture
def other_run(corpus_folder, tmp_path):
    def make(*options):
        data = shutil.copytree(corpus_folder, tmp_path / "data")
        if not options:
            (data / "train.txt").write_text("ada reads\n" * 20)
        return untrained_run(tmp_path / "other", data, *options)

    return make


@pytest.mark.parametrize(
    ("options", "wanted"), [((), "one vocabulary"), (("data.batching=sentences",), "one data.batching")]
)
def test_runs_that_cannot_be_combined_are_one_sentence(saved_run, other_run, options, wanted):
    other = other_run(*options)
    with pytest.raises(ValueError, match=rf"^expected an ensemble of runs with {wanted}, found '[^\n]*: type run="):
        load_members(f"{saved_run},{other}", "best")


def test_an_ensemble_predicts_no_lengths(other_run):
    run = other_run("data.batching=sentences", "length_conditioning=true")
    copy = shutil.copytree(run, run.parent / "copy")
    with pytest.raises(ValueError, match="expected an ensemble of runs with length_conditioning=false"):
        load_members(f"{run},{copy}", "best")


def test_a_run_counts_once(other_run):
    run = other_run()
    assert len(load_members(f"{run},{run}/", "best")) == 1


@pytest.mark.parametrize("runs", [None, "", 5])
def test_a_run_is_a_folder(runs):
    with pytest.raises(ValueError, match="expected run to be the folder of a run, found"):
        load_members(runs, "best")
