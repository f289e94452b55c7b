import math
import random

import pytest
import torch

from lm.data.bptt import BPTTBatches
from lm.data.vocabulary import EOS, UNK, Vocabulary
from lm.evaluation import sentence_scores
from lm.evaluation.evaluation_loop import evaluate
from lm.evaluation.sentence_scores import score_sentences
from lm.models.cells import CELLS
from lm.models.language_model import LanguageModel

VOCABULARY = Vocabulary(["a", EOS, "b", UNK, "c", "d"])
DRAW = random.Random(1)
SENTENCES = [[DRAW.choice("abcdxy") for _ in range(DRAW.randint(1, 12))] for _ in range(20)]


def small_model(cell="lstm"):
    torch.manual_seed(0)
    return LanguageModel(len(VOCABULARY), cell, 6, 5, num_layers=2, dropout=0.5, init_range=0.6).eval()


def word_by_word(model, sentences, carried):
    """One word at a time, each probability from a softmax in float64."""
    model, states, values = model.double(), None, []
    for words in sentences:
        states, read = states if carried else None, EOS
        for word in (*words, EOS):
            logits, states = model.logits(torch.tensor([VOCABULARY.encode([read])]), states)
            values.append(math.log(logits.detach().softmax(-1)[0, 0, VOCABULARY.encode([word])[0]]))
            read = word
    return values


@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_log_probabilities_are_those_of_a_brute_force_count(cell, carried):
    found = score_sentences([small_model(cell)], VOCABULARY, SENTENCES, carried)
    values = [value for sentence in found for value in sentence.log_probabilities]
    assert values == pytest.approx(word_by_word(small_model(cell), SENTENCES, carried), rel=1e-4, abs=1e-5)
    assert [sentence.words for sentence in found] == [(*words, EOS) for words in SENTENCES]


def test_the_score_of_a_sentence_does_not_depend_on_the_others():
    model = small_model()
    together = score_sentences([model], VOCABULARY, SENTENCES)
    for words, sentence in zip(SENTENCES, together, strict=True):
        [alone] = score_sentences([model], VOCABULARY, [words])
        assert sentence.log_probabilities == pytest.approx(alone.log_probabilities, abs=1e-5)


def test_sentences_as_one_text_have_the_perplexity_of_the_stream():
    model = small_model()
    ids = torch.tensor(VOCABULARY.encode([EOS, *(word for words in SENTENCES for word in (*words, EOS))]))
    found = score_sentences([model], VOCABULARY, SENTENCES, carried=True)
    nats = -sum(sentence.log_probability for sentence in found)
    assert nats == pytest.approx(evaluate(model, BPTTBatches(ids, batch_size=1, seq_len=7)).nats, rel=1e-6)


@pytest.mark.parametrize("carried", [False, True])
def test_the_size_of_the_batches_changes_nothing(monkeypatch, carried):
    whole = score_sentences([small_model()], VOCABULARY, SENTENCES, carried)
    monkeypatch.setattr(sentence_scores, "EVAL_BATCH_TOKENS", 30)
    cut = score_sentences([small_model()], VOCABULARY, SENTENCES, carried)
    for one, other in zip(whole, cut, strict=True):
        assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-5)


def test_a_long_sentence_does_not_fill_the_memory_with_padding(monkeypatch):
    monkeypatch.setattr(sentence_scores, "EVAL_BATCH_TOKENS", 100)
    widths = []
    monkeypatch.setattr(
        LanguageModel, "forward", lambda model, tokens_TB, *_: widths.append(tokens_TB.numel()) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        score_sentences([small_model()], VOCABULARY, [["a"] * 90, *[["b"]] * 500])
    assert widths[0] <= 100


def test_a_model_of_single_sentences_carries_no_state():
    model = LanguageModel(len(VOCABULARY), "gru", 6, 5, length_conditioning=True)
    with pytest.raises(ValueError, match="expected state=reset for a run with length_conditioning=true"):
        score_sentences([model], VOCABULARY, SENTENCES, carried=True)


def test_the_perplexity_of_a_sentence_counts_its_end():
    [sentence] = score_sentences([small_model()], VOCABULARY, [["a", "b"]])
    assert len(sentence.log_probabilities) == 3
    assert sentence.ppl == pytest.approx(math.exp(-sum(sentence.log_probabilities) / 3))
