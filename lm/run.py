"""A trained run from Python: what `lm.load_run` and `lm.train` return.

run = lm.load_run("outputs/2025-01-31/12-00-00")
run.perplexity("test"), run.generate("the company", num_samples=3), run.score(["the company said"])
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lm.checks import check_choice
from lm.config import typed
from lm.data.sources import SPLITS
from lm.data.text_reader import SentenceSplitter
from lm.evaluation.evaluation_loop import evaluate
from lm.evaluation.evaluation_options import EvaluationOptions
from lm.evaluation.loading import SavedRun, load_corpus_of, load_saved_run
from lm.evaluation.methods import METHODS, Method, Static
from lm.evaluation.own_text import own_sentences, own_words, warn_of_unknown
from lm.evaluation.perplexity import perplexity
from lm.evaluation.sentence_scores import ScoredSentence, score_sentences
from lm.evaluation.text_batches import text_batches
from lm.generation.text_generation import GenerationOptions, generate
from lm.models.matmul_precision import full_precision_matmul
from lm.overrides import refuse_options
from lm.python_hydra import compose_options, names_of


class Run(SavedRun):
    """A trained run: `model`, `vocabulary`, `config`, `results`, `folder`; it scores and generates as the commands do.

    All scores are in full float32.
    """

    def __repr__(self) -> str:
        return f"Run('{self.folder}')"

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.run.folder

    @property
    def results(self) -> dict[str, Any]:
        """The content of `results.json`; empty if it is missing or damaged."""
        return self.run.results

    def perplexity(
        self,
        split: str = "test",
        text: str | None = None,
        data_dir: Path | str | None = None,
        method: Method | str | None = None,
        **options: Any,
    ) -> float:
        """Return the perplexity of a split of the run's corpus, or of your own text.

        Args:
            split: `train`, `valid` or `test`.
            text: one sentence per line, each scored by itself; the corpus is not needed then.
            data_dir: the folder of the corpus's files; by default the folder of the training.
            method: how to score, or a name such as `dynamic,cache`; static evaluation by default.
            options: of a method that is named, as in `conf/evaluate.yaml`, such as `cache={"theta": 0.5}`.

        Raises:
            ValueError, FileNotFoundError: if there is no such split, or the corpus there is another one, or if an
                option has a wrong value.
        """
        if isinstance(method, str):
            method = self.method(method, **options)
        elif options:
            raise ValueError(
                f"expected split, text, data_dir or method, found {', '.join(options)}: leave it out, or add the name "
                "of a method with this option, such as method='cache'"
            )
        if text is not None:
            scored = self._score(own_sentences(self, text, None), method)
            return perplexity(-math.fsum(one.log_probability for one in scored), sum(len(one.words) for one in scored))
        check_choice("split", split, SPLITS)
        corpus = load_corpus_of(self, None if data_dir is None else str(data_dir))
        with full_precision_matmul():
            method = method or Static()
            if method.needs_study:
                method = method.study(self.model, corpus.splits["train"])
            return evaluate(self.model, text_batches(self, corpus, split, method), method).ppl

    def method(self, names: str = "static", **options: Any) -> Method:
        """Return an evaluation method of that name, such as `dynamic,cache`, with the options of `conf/evaluate.yaml`.

        Raises:
            ValueError: if there is no such method, or an option has a wrong value.
        """
        others = [name for name in names_of(options) if name.partition(".")[0] not in METHODS]
        chosen = EvaluationOptions.from_hydra(compose_options("evaluate", {**options, "method": names}))
        for unused in (*chosen.unused, ("a method", "lm.evaluate", others)):
            refuse_options(names_of(options), *unused)
        return chosen.composition.method()

    def score(
        self, sentences: Sequence[str | Sequence[str]], method: Method | str | None = None
    ) -> list[ScoredSentence]:
        """Return the log-probability of every word of each sentence, `<eos>` included, in nats.

        Args:
            sentences: a text, prepared as the run's corpus was, or a list of words for each.
            method: how to score, or a name such as `mc`; static evaluation by default.

        Raises:
            ValueError: if the sentences are one text, or the method cannot score them.
        """
        if isinstance(sentences, str):
            raise ValueError(f"expected a list of sentences, found the text {sentences!r}: type [{sentences!r}]")
        method = self.method(method) if isinstance(method, str) else method
        splitter = SentenceSplitter.from_options(self.config.source)
        words = [splitter.words(one) if isinstance(one, str) else list(one) for one in sentences]
        warn_of_unknown((word for sentence in words for word in sentence), self.vocabulary)
        return self._score(words, method)

    def _score(self, sentences: Sequence[Sequence[str]], method: Method | None) -> list[ScoredSentence]:
        with full_precision_matmul():
            return score_sentences([self.model], self.vocabulary, sentences, methods=[method] if method else None)

    def generate(self, prompt: str = "", **options: Any) -> list[str]:
        """Return texts that start with `prompt`.

        Args:
            prompt: the first words; empty: the start of a sentence.
            options: those of `conf/generate.yaml`, such as `num_samples=3`, `temperature=0.8` or `beam={"width": 8}`.

        Raises:
            ValueError: if an option has a wrong value.
        """
        chosen = replace(typed(GenerationOptions, compose_options("generate", options)), prompt=prompt)
        refuse_options(names_of(options), "generate", "load_run", ("run", "checkpoint"))
        refuse_options(names_of(options), *chosen.unused)
        words = own_words(self, prompt)
        with full_precision_matmul():
            generated = generate(self.model, self.vocabulary, words, chosen)
        return [
            self.vocabulary.text([*generated.prompt, *self.vocabulary.decode(text.ids)]) for text in generated.texts
        ]


def load_run(folder: Path | str, checkpoint: str = "best", device: torch.device | str | None = None) -> Run:
    """Return a trained run; its folder alone is needed.

    Args:
        folder: such as `outputs/<date>/<time>`.
        checkpoint: `best` (by validation perplexity) or `last`.
        device: where to put the model; by default the GPU, if there is one.

    Raises:
        ValueError, FileNotFoundError: if there is no such checkpoint, or it is damaged.
    """
    chosen = None if device is None else torch.device(device)
    return Run(**vars(load_saved_run(folder, checkpoint, chosen)))
