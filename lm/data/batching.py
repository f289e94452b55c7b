"""How a corpus is cut into batches: as one long stream, or sentence by sentence."""

from dataclasses import dataclass

from lm.data.bptt import BPTTBatches
from lm.data.corpus import Corpus
from lm.data.sentences import Sentences
from lm.data.shard import UNSHARDED, Shard

Batches = BPTTBatches | Sentences

EVAL_BATCH_TOKENS = 4096
"""Words in a batch of a stream that needs no gradient: the length changes no number, and long batches are faster."""

WARMUP_TOKENS = 512
"""Words after which the initial state hardly matters: perplexities of the Penn Treebank change by a few millionths."""

MAX_EVAL_BATCH_SIZE = 64
"""Larger batches are no faster."""


@dataclass(frozen=True)
class Batching:
    """The options of `conf/train.yaml` that define the batches; `lm.config` checks them."""

    batching: str
    batch_size: int
    seq_len: int
    random_seq_len: bool
    partial_shuffle: bool
    max_length: int | None
    truncation_side: str
    padding_side: str
    bucket_width: int
    seed: int

    def training(self, corpus: Corpus, shard: Shard = UNSHARDED) -> Batches:
        """Return the batches of the training split, or one device's columns of them.

        Raises:
            ValueError: if a stream has fewer words than `batch_size`.
        """
        if self.batching == "streams":
            return BPTTBatches(
                corpus.splits["train"],
                self.batch_size,
                self.seq_len,
                shard,
                name="train split",
                random_seq_len=self.random_seq_len,
                partial_shuffle=self.partial_shuffle,
                seed=self.seed,
            )
        return Sentences(
            corpus.splits["train"],
            corpus.vocabulary.eos_id,
            self.batch_size,
            self.max_length,
            self.truncation_side,
            self.padding_side,
            self.bucket_width,
            self.seed,
            shard,
        )

    def validation(self, corpus: Corpus, shard: Shard = UNSHARDED) -> Batches:
        """Return the batches of the validation split, or one device's columns of them; short streams are narrower."""
        columns = min(self.batch_size, len(corpus.splits["valid"]) - 1)
        return self.evaluation(corpus, "valid", columns if self.batching == "streams" else self.batch_size, shard)

    def evaluation(
        self, corpus: Corpus, split: str, batch_size: int, shard: Shard = UNSHARDED, warmup_tokens: int = 0
    ) -> Batches:
        """Return the batches of a whole split: a stream in long batches, or whole sentences.

        Raises:
            ValueError: if a stream has fewer words than `batch_size`.
        """
        ids = corpus.splits[split]
        if self.batching == "streams":
            seq_len = max(1, EVAL_BATCH_TOKENS // batch_size)
            return BPTTBatches(ids, batch_size, seq_len, shard, warmup_tokens, f"{split} split")
        return Sentences(ids, corpus.vocabulary.eos_id, batch_size, padding_side=self.padding_side, shard=shard)

    def final_evaluation(self, corpus: Corpus, split: str) -> Batches:
        """Return the batches that a split's reported perplexity is computed on: all of it, almost as one text.

        A stream has columns of at least eight times the `WARMUP_TOKENS` that each but the first reads before its own.
        """
        if self.batching == "sentences":
            return self.evaluation(corpus, split, self.batch_size)
        columns = min(len(corpus.splits[split]) // (8 * WARMUP_TOKENS), MAX_EVAL_BATCH_SIZE)
        if columns < 2:
            return self.evaluation(corpus, split, 1)
        return self.evaluation(corpus, split, columns, warmup_tokens=WARMUP_TOKENS)


def describe(batches: Batches) -> dict[str, str | float]:
    """Return what the results say of training batches: their kind, and how much sentences are padded and truncated."""
    if isinstance(batches, BPTTBatches):
        return {"batching": "streams"}
    return {"batching": "sentences", "padding": round(batches.padding, 6), "truncated_tokens": batches.num_truncated}
