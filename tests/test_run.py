import math

import pytest
import torch

import lm
from lm.evaluation.sentence_scores import score_sentences


@pytest.fixture(scope="module")
def run(saved_run):
    return lm.load_run(saved_run)


def test_a_run_has_its_model_vocabulary_config_and_results(run, saved_run):
    assert run.folder == saved_run
    assert run.model.decoder.out_features == len(run.vocabulary)
    assert run.config.cell == "gru"
    assert run.results["status"] == "finished"
    assert repr(run) == f"Run('{saved_run}')"


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_the_perplexity_of_a_split_is_that_of_the_results(run, split):
    assert run.perplexity(split) == pytest.approx(run.results["best"][f"{split}_ppl"], rel=1e-6)


def test_another_split_is_refused(run):
    with pytest.raises(ValueError, match="expected split to be one of train, valid, test, found 'dev'"):
        run.perplexity("dev")


def test_options_without_the_name_of_their_method_are_refused(run):
    with pytest.raises(ValueError, match="expected split, text, data_dir or method, found splitt: leave it out"):
        run.perplexity(splitt="valid")


@pytest.mark.parametrize("call", ["perplexity", "method"])
def test_options_of_another_method_are_refused(run, call):
    names = {"method": "static"} if call == "perplexity" else {"names": "static"}
    with pytest.raises(ValueError, match=r"found cache\.theta=, which is for method=cache: leave it out"):
        getattr(run, call)(**names, cache={"theta": 0.5})


@pytest.mark.parametrize("option", [{"tune": True}, {"nats": "f.npz"}, {"data": {"dir": "f"}}, {"batch_size": 2}])
def test_options_of_the_command_are_refused_for_a_method(run, option):
    with pytest.raises(ValueError, match=f"expected options for a method, found {next(iter(option))}=, which is for"):
        run.perplexity("test", method="cache", **option)


def test_sentences_are_texts_or_lists_of_words(run):
    expected = score_sentences([run.model], run.vocabulary, [["ada", "reads"], ["alan"]])
    assert run.score(["ada reads", ["alan"]]) == expected
    assert run.score([]) == []
    assert run.score(["ada"], method="mc") == run.score(["ada"], method=run.method("mc"))


def test_an_unknown_word_is_scored_as_unk_with_a_warning(run, capsys):
    assert run.score(["zebra"])[0].log_probabilities == run.score([["<unk>"]])[0].log_probabilities
    assert "'zebra'" in capsys.readouterr().err


def test_the_perplexity_of_a_text_is_that_of_its_sentences(run):
    scored = run.score(["ada reads a book", "alan writes"])
    nats, words = -sum(one.log_probability for one in scored), sum(len(one.words) for one in scored)
    assert run.perplexity(text="ada reads a book\n\nalan writes\n") == pytest.approx(math.exp(nats / words))


def test_a_method_may_be_named_with_its_options(run):
    named = run.perplexity("test", method="dynamic,cache", dynamic={"lr": 0.001}, cache={"window": 30})
    method = run.method("dynamic,cache", dynamic={"lr": 0.001}, cache={"window": 30})
    assert method.protocol()["settings"]["cache"]["window"] == 30
    assert named == run.perplexity("test", method=method) < run.perplexity("test")
    assert run.perplexity(text="ada reads", method="temperature", temperature=2.0) > 1
    with pytest.raises(ValueError, match=r"expected cache\.window to be a whole number"):
        run.perplexity("test", method="cache", cache={"window": 0})


def test_texts_are_those_of_the_command(run, saved_run, run_command, capsys):
    assert run_command("lm.generate", f"run={saved_run}", "prompt=ada reads", "num_samples=2", "seed=3") == 0
    assert run.generate("ada reads", num_samples=2, seed=3) == capsys.readouterr().out.splitlines()


def test_texts_of_a_beam_start_with_the_likeliest(run):
    texts = run.generate("ada", beam={"width": 4}, num_samples=4)
    assert len(texts) == 4
    assert texts[0] == run.generate("ada", beam={"width": 4})[0]


def test_a_prompt_is_taken_literally(run):
    assert run.generate("${x}", max_new_tokens=1)[0].startswith("${x}")
    with pytest.raises(ValueError, match="expected prompt to be text, found 5"):
        run.generate(5)


def test_one_text_is_no_list_of_sentences(run):
    with pytest.raises(ValueError, match=r"expected a list of sentences, found the text 'ada': type \['ada'\]"):
        run.score("ada")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_sample": 1}, "found num_sample=: type num_samples="),
        ({"beam": {"widht": 2}}, "found beam.widht=: type beam.width="),
        ({"num_samples": 0}, "expected num_samples to be"),
        ({"checkpoint": "last"}, "found checkpoint=, which is for load_run: leave it out"),
        ({"beam": {"width": 4}, "temperature": 0.5}, "found temperature=, which is for sampling: leave it out"),
    ],
)
def test_a_wrong_option_is_refused(run, options, message):
    with pytest.raises(ValueError, match=message):
        run.generate("ada", **options)


def test_the_last_weights_go_to_the_device_that_is_named(saved_run):
    run = lm.load_run(str(saved_run), "last", device="cpu")
    assert run.checkpoint == "last"
    assert run.model.decoder.weight.device == torch.device("cpu")


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a checkpoint, found no file"):
        lm.load_run(tmp_path)
