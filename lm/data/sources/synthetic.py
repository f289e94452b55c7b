"""A random language whose true perplexity is known exactly, to see how close a model comes to it.

    python -m lm.train data=synthetic

The next word depends on the last word and on the class of the word before it (its number modulo `classes`), so that a
model needs some memory: after `w6 w12` other words can follow than after `w5 w12`. Sentences are independent.
"""

import math
import random
from bisect import bisect
from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lm.checks import check_whole
from lm.data.sources.source import Source, digest

EOS_ID = 0

MAX_CONTEXTS = 5_000
"""The most `classes * words`: the perplexity is computed with square matrices of that size."""

FloatArray = NDArray[np.float64]


class MarkovSource(Source):
    """A seeded Markov source over `words` words besides `<eos>`, with three samples of given numbers of tokens.

    In each of its `classes * words` contexts, `branching` words can follow with random (uniform Dirichlet)
    probabilities, and the sentence ends with probability `1 / mean_length`. A split ends with the first sentence that
    reaches its number of tokens.

    Raises:
        ValueError: if an option has a wrong value.
    """

    name = "synthetic"

    def __init__(
        self,
        words: int = 50,
        classes: int = 3,
        branching: int = 8,
        mean_length: int = 10,
        train_tokens: int = 100_000,
        valid_tokens: int = 10_000,
        test_tokens: int = 10_000,
        seed: int = 0,
    ) -> None:
        check_whole("data.words", words, 50, least=2, most=MAX_CONTEXTS)
        most = MAX_CONTEXTS // words
        check_whole("data.classes", classes, min(3, most), most=most)
        check_whole("data.branching", branching, min(8, words), most=words)
        check_whole("data.mean_length", mean_length, 10, most=1000)
        check_whole("data.seed", seed, 0, least=0)
        self.tokens = {"train": train_tokens, "valid": valid_tokens, "test": test_tokens}
        for split, tokens in self.tokens.items():
            check_whole(f"data.{split}_tokens", tokens, 10_000, least=3)
        self.classes, self.seed = classes, seed
        self._sizes = (words, classes, branching, mean_length)

    def fingerprint(self) -> str:
        """Hash the seed, the sizes and every probability."""
        return digest(self.name, self.seed, self.tokens, self.probabilities.tobytes().hex())

    def sentences(self, split: str) -> Iterator[list[str]]:
        """Yield the words of one random sentence after another, the same ones at every call."""
        generator = random.Random(f"{self.seed} {split}")
        tokens = 0
        while tokens < self.tokens[split]:
            sentence = list(self._sentence(generator))
            tokens += len(sentence) + 1
            yield sentence

    def floor_ppl(self) -> float:
        """Return the exponential of the entropy rate in nats per token, `<eos>` included, computed in float64."""
        return math.exp(entropy_rate(self.probabilities))

    def _sentence(self, generator: random.Random) -> Iterator[str]:
        before = last = EOS_ID
        while True:
            row = self._cumulative[before % self.classes][last]
            before, last = last, bisect(row, generator.random() * row[-1])
            if last == EOS_ID:
                return
            yield f"w{last}"

    @cached_property
    def probabilities(self) -> FloatArray:
        """The probability of each next word, [class of the word before, last word, next word]; word 0 is `<eos>`."""
        return transition_table(*self._sizes, self.seed)

    @cached_property
    def _cumulative(self) -> list[list[list[float]]]:
        cumulative: list[list[list[float]]] = np.cumsum(self.probabilities, axis=2).tolist()
        return cumulative


def transition_table(words: int, classes: int, branching: int, mean_length: int, seed: int) -> FloatArray:
    """Draw the `probabilities` of a source."""
    generator = random.Random(seed)
    table = np.zeros((classes, words + 1, words + 1))
    table[:, EOS_ID] = random_row(words, branching, generator)
    for row in (table[kind, last] for kind in range(classes) for last in range(1, words + 1)):
        row[:] = random_row(words, branching, generator) * (1 - 1 / mean_length)
        row[EOS_ID] = 1 / mean_length
    return table


def random_row(words: int, branching: int, generator: random.Random) -> FloatArray:
    """Draw the probabilities of `branching` random words, which sum to one."""
    row = np.zeros(words + 1)
    row[generator.sample(range(1, words + 1), branching)] = [generator.expovariate(1) for _ in range(branching)]
    row /= row.sum()
    return row


def entropy_rate(table: FloatArray) -> float:
    """Return the mean nats per token of an infinite text: the entropy of each context times its frequency."""
    logs = np.log(table, where=table > 0, out=np.zeros_like(table))
    nats: FloatArray = -(table * logs).sum(axis=2)
    return float((stationary(table) * nats).sum())


def stationary(table: FloatArray) -> FloatArray:
    """Return the frequency of each context, [class of the word before, last word], in an infinite text."""
    classes, vocabulary, _ = table.shape
    moves = np.zeros((classes, vocabulary, classes, vocabulary))
    for last in range(vocabulary):
        moves[:, last, last % classes] = table[:, last]
    contexts = classes * vocabulary
    equations = moves.reshape(contexts, contexts).T - np.eye(contexts)
    # A token changes no frequency; one of these equations follows from the others, and is replaced by their sum of one.
    equations[-1] = 1
    frequencies: FloatArray = np.linalg.solve(equations, np.eye(contexts)[-1])
    return frequencies.reshape(classes, vocabulary)
