import json
import re
from dataclasses import replace

import pytest
import torch

from lm.config import Config
from lm.evaluation.loading import load_corpus_of, load_saved_run
from lm.run_dir import RunDir
from lm.training.resume import RESTORED, RunMismatch, check_restorable, check_resumable, metadata


@pytest.fixture
def run(copy_of_run):
    """A finished run of two epochs."""
    return RunDir(copy_of_run)


@pytest.fixture
def module(run):
    """The module of the run before its checkpoint is restored."""
    module = torch.nn.Module()
    module.model = load_saved_run(run.folder).model
    return module


def edit(run, **changes):
    """Replace entries of the last checkpoint."""
    torch.save(run.checkpoint("last") | changes, run.last)


def recorded(run, **config):
    """Return what the checkpoint of the run records, with other options in its config."""
    found = run.checkpoint("last")["metadata"]
    return found | {"config": found["config"] | config}


def refusal(run, asked):
    with pytest.raises(RunMismatch) as error:
        check_resumable(run, asked)
    return str(error.value)


def test_the_config_the_corpus_and_the_words_are_recorded_but_not_the_folder_of_the_corpus(run):
    corpus, config = load_corpus_of(load_saved_run(run.folder)), Config.from_hydra(run.saved_config())
    found = metadata(config, corpus)
    assert found == run.checkpoint("last")["metadata"] == json.loads(json.dumps(found))
    assert Config(**found["config"]) == replace(config, source=found["config"]["source"])
    assert "dir" in config.source
    assert "dir" not in found["config"]["source"]
    assert found["corpus"] == {"name": "text", "sha256": corpus.sha256}
    assert corpus.vocabulary.decode(list(range(len(corpus.vocabulary)))) == found["words"]


def test_the_same_config_and_corpus_can_resume(run):
    check_resumable(run, recorded(run))


@pytest.mark.parametrize(
    ("config", "expected", "found"),
    [
        ({"hidden_size": 8}, "hidden_size=16", "8"),
        ({"cell": "lstm"}, "cell=gru", "lstm"),
        ({"dropout": None}, "dropout=0.25", "null"),
        ({"patience": 3}, "patience=null", "3"),
        ({"tie_weights": True}, "tie_weights=false", "true"),
        ({"max_length": 20}, "data.max_length=null", "20"),
        ({"source": {"name": "ptb"}}, "data=text", "ptb"),
        ({"schedule_options": {"x": 1}}, "schedule.x=null", "1"),
    ],
)
def test_another_config_is_refused_with_the_option_of_the_run(run, config, expected, found):
    assert refusal(run, recorded(run, **config)) == (
        f"expected {expected}, with which '{run.folder}' was trained, found {found}: type {expected}, or another folder"
    )


def test_a_checkpoint_of_another_run_is_named(run):
    own = recorded(run)
    edit(run, metadata=recorded(run, hidden_size=8))
    sentence = f"expected the run's own checkpoint in '{run.last}', found one of a run with hidden_size=8: copy the run"
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}") as error:
        check_resumable(run, own)
    assert not isinstance(error.value, RunMismatch)  # the other runs of a sweep continue


@pytest.mark.parametrize("corpus", [{"name": "ptb"}, {"sha256": "ab" * 32}])
def test_another_corpus_is_refused(run, corpus):
    asked = recorded(run)
    asked["corpus"] = asked["corpus"] | corpus
    name, sha256 = asked["corpus"].values()
    sentence = refusal(run, asked)
    assert re.match(
        rf"expected the corpus text \(\w{{12}}\) that '{re.escape(str(run.last))}' was trained on", sentence
    )
    assert f"found {name} ({sha256[:12]}): type the data options of that run, or another folder" in sentence


@pytest.mark.parametrize(("epoch", "fewest"), [(0, 1), (2, 3)])
def test_any_number_of_epochs_can_be_asked_for_that_has_not_been_passed(run, epoch, fewest):
    edit(run, epoch=epoch, metadata=recorded(run, epochs=5))
    for epochs in (fewest, 5, 9):
        check_resumable(run, recorded(run, epochs=epochs))
    assert f"expected epochs=5, with which '{run.folder}'" in refusal(run, recorded(run, epochs=fewest - 1))


def test_a_finished_run_with_a_damaged_last_checkpoint_is_compared_by_its_best_one(run, caplog):
    same, other = recorded(run), recorded(run, hidden_size=8)
    run.last.write_bytes(b"")
    check_resumable(run, same)
    assert f"the results are kept, but expected a checkpoint of this project, found '{run.last}' damaged" in caplog.text
    assert "expected hidden_size=16" in refusal(run, other)


def test_an_unfinished_run_with_a_damaged_last_checkpoint_is_refused(run):
    asked = recorded(run)
    run.last.write_bytes(b"")
    run.delete_results()
    with pytest.raises(ValueError, match=r"found '.*last\.ckpt' damaged or of another kind"):
        check_resumable(run, asked)


def test_a_checkpoint_of_the_run_is_restorable_and_counts_its_steps(run, module):
    assert check_restorable(run, module) == run.checkpoint("last")["global_step"] > 0


@pytest.mark.parametrize("entry", sorted(RESTORED - {"state_dict"}))
def test_a_checkpoint_without_an_entry_that_training_needs_is_refused(run, module, entry):
    torch.save({name: value for name, value in run.checkpoint("last").items() if name != entry}, run.last)
    sentence = f"expected everything that training needs to resume in '{run.last}', found no {entry}: copy the run"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        check_restorable(run, module)


@pytest.mark.parametrize(
    ("weights", "found"),
    [
        ({"model.decoder.bias": torch.zeros(7)}, "model.decoder.bias of shape (7,) instead of (13,)"),
        ({"model.extra": torch.zeros(2, 3)}, "model.extra of shape (2, 3) instead of None"),
    ],
)
def test_weights_of_another_shape_are_refused(run, module, weights, found):
    edit(run, state_dict=run.checkpoint("last")["state_dict"] | weights)
    with pytest.raises(ValueError, match=re.escape(f"found {found}: copy the run folder again")):
        check_restorable(run, module)


def test_unreadable_best_weights_are_refused_since_the_final_evaluation_needs_them(run, module):
    run.best.write_bytes(run.best.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"found '.*best\.ckpt' damaged or of another kind"):
        check_restorable(run, module)
