import math
from typing import Any

import numpy as np
import pytest

from lm.data.corpus import load_corpus
from lm.data.sources import SPLITS
from lm.data.sources.synthetic import MarkovSource, entropy_rate, stationary, transition_table


def test_the_floor_is_that_of_a_long_sample():
    source = MarkovSource(train_tokens=300_000)
    nats = []
    for sentence in source.sentences("train"):
        before = last = 0
        for following in (*(int(word[1:]) for word in sentence), 0):
            nats.append(-math.log(source.probabilities[before % source.classes, last, following]))
            before, last = last, following
    assert math.exp(math.fsum(nats) / len(nats)) == pytest.approx(source.floor_ppl(), rel=0.01)


def test_the_floor_agrees_with_brute_force_over_all_sentences():
    source = MarkovSource(words=2, classes=2, branching=2, mean_length=2)
    nats = tokens = 0.0
    # All sentences by their length, with their probabilities, until longer ones hardly occur.
    frontier = [(0, 0, 1.0, 0.0)]
    for length in range(1, 18):
        longer = []
        for before, last, weight, so_far in frontier:
            for following, probability in enumerate(source.probabilities[before % 2, last]):
                if probability > 0:
                    step = (last, following, weight * probability, so_far - math.log(probability))
                    longer.append(step)
        nats += sum(weight * so_far for _, following, weight, so_far in longer if following == 0)
        tokens += sum(weight * length for _, following, weight, _ in longer if following == 0)
        frontier = [step for step in longer if step[1] != 0]
    assert math.exp(nats / tokens) == pytest.approx(source.floor_ppl(), rel=1e-3)


def test_a_token_does_not_change_the_stationary_frequencies():
    table = transition_table(words=5, classes=3, branching=2, mean_length=4, seed=1)
    frequencies = stationary(table)
    following = np.zeros_like(frequencies)
    for kind, last in np.ndindex(frequencies.shape):
        following[last % 3] += frequencies[kind, last] * table[kind, last]
    assert frequencies.sum() == pytest.approx(1)
    assert frequencies == pytest.approx(following)


def test_uniform_choices_have_their_number_as_perplexity():
    table = np.full((1, 4, 4), 0.25)
    assert math.exp(entropy_rate(table)) == pytest.approx(4)


def test_a_source_without_choice_has_a_perplexity_of_one():
    assert MarkovSource(words=2, branching=1, mean_length=1).floor_ppl() == pytest.approx(1)


def test_the_word_before_the_last_helps():
    """A bigram model, which averages over the class of the word before, has a higher perplexity."""
    source = MarkovSource()
    frequencies = stationary(source.probabilities)
    bigrams = (frequencies[:, :, None] * source.probabilities).sum(axis=0)
    conditional = bigrams / bigrams.sum(axis=1, keepdims=True)
    positive = bigrams > 0
    bigram_ppl = math.exp(-(bigrams[positive] * np.log(conditional[positive])).sum())
    assert bigram_ppl > 1.5 * source.floor_ppl()


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_ends_with_the_sentence_that_reaches_its_tokens(split):
    source = MarkovSource(train_tokens=500, valid_tokens=300, test_tokens=200)
    sentences = list(source.sentences(split))
    tokens = sum(len(words) + 1 for words in sentences)
    assert tokens >= source.tokens[split] > tokens - len(sentences[-1]) - 1
    assert all(sentences)


def test_a_seed_gives_the_same_text_every_time_and_another_seed_another():
    texts = [list(MarkovSource(seed=seed).sentences("test")) for seed in (7, 7, 8)]
    assert texts[0] == texts[1] != texts[2]


def test_splits_are_different_samples_of_one_source():
    source = MarkovSource(train_tokens=1000, valid_tokens=1000, test_tokens=1000)
    train, valid, test = (list(source.sentences(split)) for split in SPLITS)
    assert train != valid != test != train


def test_the_key_changes_with_every_option():
    options: list[dict[str, Any]] = [
        {},
        {"words": 60},
        {"classes": 2},
        {"branching": 4},
        {"mean_length": 5},
        {"train_tokens": 50_000},
        {"valid_tokens": 50_000},
        {"test_tokens": 50_000},
        {"seed": 1},
    ]
    assert len({MarkovSource(**given).fingerprint() for given in options}) == len(options)


def test_the_floor_is_kept_in_the_corpus(tmp_path):
    source = MarkovSource(train_tokens=2000, valid_tokens=200, test_tokens=200)
    assert load_corpus(source, tmp_path).floor_ppl == source.floor_ppl()
    assert load_corpus(source, tmp_path).floor_ppl == source.floor_ppl()


def test_as_many_classes_are_advised_as_there_may_be():
    with pytest.raises(
        ValueError, match=r"data\.classes to be a whole number of at most 1, found 3: type data\.classes=1"
    ):
        MarkovSource(words=5000)
