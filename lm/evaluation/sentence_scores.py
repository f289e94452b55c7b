"""A model and sentences -> the log-probability of every word. The corpus of the training is not needed.

The first word of a sentence is predicted from an `<eos>`, and its own `<eos>` is scored as one of its words:

    inputs     <eos>  the   company  rose
    targets    the    company  rose  <eos>

Each sentence starts from a zero hidden state, so its score does not depend on the others. With `carried`, the sentences
are one text and the state is carried from each to the next, as in the perplexity of a split.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lm.data.batching import EVAL_BATCH_TOKENS, MAX_EVAL_BATCH_SIZE
from lm.data.bptt import BPTTBatches
from lm.data.sentences import Sentences
from lm.data.vocabulary import EOS, Vocabulary
from lm.evaluation.ensembles import evaluate_ensemble
from lm.evaluation.methods import Method, Static
from lm.evaluation.perplexity import perplexity
from lm.models.language_model import LanguageModel


@dataclass(frozen=True)
class ScoredSentence:
    """The words of a sentence with its `<eos>`, and the natural logarithm of the probability of each, in nats."""

    words: tuple[str, ...]
    log_probabilities: tuple[float, ...]

    @property
    def log_probability(self) -> float:
        """The log-probability of the sentence: the sum over its words."""
        return math.fsum(self.log_probabilities)

    @property
    def ppl(self) -> float:
        """The perplexity per token, `<eos>` included."""
        return perplexity(-self.log_probability, len(self.words))


def score_sentences(
    models: Sequence[LanguageModel],
    vocabulary: Vocabulary,
    sentences: Sequence[Sequence[str]],
    carried: bool = False,
    methods: Sequence[Method] | None = None,
) -> list[ScoredSentence]:
    """Score sentences in the order given, by a model or by the mean of the probabilities of several.

    Args:
        models: on any device. A model with length conditioning is conditioned on the length of each sentence.
        vocabulary: of the models. A word that is not in it is scored as `<unk>`.
        sentences: the words of each, without `<eos>`.
        carried: carry the hidden state from each sentence to the next, rather than starting from zero.
        methods: how to score, one for each model; static evaluation by default.

    Raises:
        ValueError: if the state cannot be carried, because the model was trained on single sentences, or if it has to
            be carried for the method.
    """
    if not sentences:
        return []
    methods = methods or [Static()] * len(models)
    lengths = [len(words) + 1 for words in sentences]
    ids = torch.tensor(vocabulary.encode(word for words in sentences for word in (*words, EOS)))
    if not carried:
        batch_size = min(max(1, EVAL_BATCH_TOKENS // max(lengths)), MAX_EVAL_BATCH_SIZE)
        batches: BPTTBatches | Sentences = Sentences(ids, vocabulary.eos_id, batch_size)
    elif models[0].lengths is None:
        batches = BPTTBatches(torch.cat([ids[-1:], ids]), 1, methods[0].seq_len or EVAL_BATCH_TOKENS)
    else:
        raise ValueError("expected state=reset for a run with length_conditioning=true, found carried: leave state out")
    token_nats = evaluate_ensemble(models, batches, methods, progress="sentences", per_token=True).token_nats
    assert token_nats is not None
    scored = torch.split(-token_nats, lengths)
    return [
        ScoredSentence((*words, EOS), tuple(values.tolist())) for words, values in zip(sentences, scored, strict=True)
    ]
