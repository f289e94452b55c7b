"""Choose the options of a method on the validation split: `tune=true`.

1. A method that reads the text (`dynamic`, `dynamic_sgd`, `mc`) scores the first `READER_WORDS` words of the split once
   for every point of its grid.
2. With the best point it reads the whole split once. Temperature and cache are then chosen together: all temperatures
   are computed from the same logits, and all caches from the same hidden states.

A point of the second grid needs no more than p = (1 - weight) p_temperature + weight p_(theta, window). This is linear,
so an ensemble averages both terms over its runs first.

Shapes: N targets of the split, K temperatures, P pairs of theta and window.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from lm.data.corpus import Corpus
from lm.evaluation.composition import Composition
from lm.evaluation.ensembles import evaluate_ensemble
from lm.evaluation.evaluation_loop import read_text
from lm.evaluation.evaluations import typed_settings
from lm.evaluation.loading import SavedRun
from lm.evaluation.methods import Method
from lm.evaluation.methods.neural_cache import cache_probabilities
from lm.evaluation.perplexity import perplexity
from lm.evaluation.text_batches import first_words, text_batches
from lm.output import print_note, short

SPLIT = "valid"

READER_WORDS = 20_000
"""Words of the split that a method is tuned on if each point of its grid needs a pass of its own."""


@dataclass(frozen=True)
class Tuner:
    """Chooses the options with the lowest perplexity on the validation split.

    Args:
        members: the runs.
        corpus: of the training.
        readers: the method that reads the text, for each run; it has studied the training text.
        composition: the methods; options that are not tuned keep their values.
        fixed: keys of options that keep their values too.
    """

    members: Sequence[SavedRun]
    corpus: Corpus
    readers: Sequence[Method]
    composition: Composition
    fixed: Collection[str] = ()

    def tune(self) -> tuple[Composition, dict[str, Any]]:
        """Choose the options of the reader first, then those of temperature and cache together.

        Returns:
            The methods with the chosen options, and for the results how they were chosen: split, tokens, grid,
            perplexity of the chosen options.
        """
        grid = self.composition.grid(self.fixed)
        found = self.composition
        record: dict[str, Any] = {"split": SPLIT, "grid": {name: one for name, one in grid.items() if one}}
        reader = found.reader().name
        if tried := grid.pop(reader, {}):
            found, record["reader_tokens"], record["reader_ppl"] = self._tune_reader(found, tried)
        if any(grid.values()):
            found, record["tokens"], record["ppl"] = self._tune_wrappers(found, grid)
        return found, record

    def _tune_reader(
        self, composition: Composition, grid: Mapping[str, Sequence[float]]
    ) -> tuple[Composition, int, float]:
        batches = text_batches(self.members[0], first_words(self.corpus, SPLIT, READER_WORDS), SPLIT, self.readers[0])
        tried, name, tokens, nats = points(grid), composition.reader().name, batches.num_targets, []
        models = [member.model for member in self.members]
        for number, point in enumerate(tried, 1):
            readers = [reader.with_settings(**point) for reader in self.readers]
            label = f"{name}, {number} of {len(tried)} settings"
            nats.append(evaluate_ensemble(models, batches, readers, label).nats)
            print_note(
                f"{label}: {typed_settings(readers[0].protocol())}: {SPLIT} {short(perplexity(nats[-1], tokens))}"
            )
        best = min(range(len(tried)), key=lambda number: (math.isnan(nats[number]), nats[number]))
        return composition.with_options(name, **tried[best]), tokens, perplexity(nats[best], tokens)

    def _tune_wrappers(
        self, composition: Composition, grid: Mapping[str, Mapping[str, Sequence[float]]]
    ) -> tuple[Composition, int, float]:
        values = {
            name: {option: grid[name].get(option, [value]) for option, value in composition.options[name].items()}
            for name in ("temperature", "cache")
            if name in composition.names
        }
        temperatures = values.get("temperature", {}).get("temperature", [1.0])
        cache = values.get("cache", {"theta": [0.0], "window": [1], "weight": [0.0]})
        pairs = [(theta, int(window)) for theta, window in product(cache["theta"], cache["window"])]
        words_KN, cache_PN, length_nats = self._probabilities(
            composition, temperatures, pairs if "cache" in values else []
        )
        nats, temperature, (theta, window), weight = min(
            (mixed_nats(words_N, cache_N, weight), temperature, pair, weight)
            for temperature, words_N in zip(temperatures, words_KN, strict=True)
            for pair, cache_N in zip(pairs, cache_PN, strict=True)
            for weight in cache["weight"]
        )
        if "temperature" in values:
            composition = composition.with_options("temperature", temperature=temperature)
        if "cache" in values:
            composition = composition.with_options("cache", theta=theta, window=window, weight=weight)
        return composition, words_KN.shape[1], perplexity(nats + length_nats, words_KN.shape[1])

    def _probabilities(
        self, composition: Composition, temperatures: Sequence[float], pairs: Sequence[tuple[float, int]]
    ) -> tuple[Tensor, Tensor, float]:
        """Return the targets' probabilities by the runs, [K, N], and in their caches, [P, N], both averaged.

        Without a cache there is one row of zeros. The third value is the nats of the predicted sentence lengths.
        """
        chosen = composition.options.get(composition.reader().name, {})
        batches = text_batches(self.members[0], self.corpus, SPLIT, self.readers[0])
        words_KN = torch.zeros(len(temperatures), batches.num_targets, dtype=torch.float64)
        cache_PN = torch.zeros(max(1, len(pairs)), batches.num_targets, dtype=torch.float64)
        for member, reader in zip(self.members, self.readers, strict=True):
            method = reader.with_settings(**chosen).at(temperatures).with_settings(needs_hidden=bool(pairs))
            text = read_text(member.model, batches, method, f"{SPLIT} split")
            words_KN += text.nats_N.view_as(words_KN).neg().exp() / len(self.members)
            if text.hidden_NH is not None:
                cache_PN += cache_probabilities(text.hidden_NH, text.targets_N, pairs, "cache") / len(self.members)
        return words_KN, cache_PN, text.length_nats


def points(grid: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
    """Return every combination of a grid's values."""
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def mixed_nats(words_N: Tensor, cache_N: Tensor, weight: float) -> float:
    """Return the nats of a text under (1 - weight) words + weight cache; the first cache is empty."""
    mixed_N = words_N + weight * (cache_N - words_N)
    mixed_N[:1] = words_N[:1]
    return float(-mixed_N.log().sum())
