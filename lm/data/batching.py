"""How a corpus is cut into batches: as one long stream, or sentence by sentence."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lm.data.bptt import Streams
from lm.data.corpus import Corpus
from lm.data.sentences import Sentences
from lm.data.shard import ALL, Share
from lm.data.sources.source import check_at_least

Batches = Streams | Sentences

EVALUATION_WINDOW = 4096
"""Words in a window where no gradient is needed: any length gives the same number, and long ones are faster."""

LEAD_IN = 512
"""Words after which it hardly matters where reading began: perplexities of the Penn Treebank change by a few
millionths."""

MOST_COLUMNS = 64
"""More of them side by side are no faster."""

CHOICES = {"batching": ("streams", "sentences"), "trim": ("end", "beginning"), "pad": ("end", "beginning")}
OPTIONS = ("batching", "max_len", "trim", "pad", "bucket_width")
"""The keys of the config's `data` that are of batches, whatever the corpus; all others are the source's."""


def source_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is the source's among the options of `data`."""
    return {name: value for name, value in options.items() if name not in OPTIONS}


@dataclass(frozen=True)
class Batching:
    """The options of `conf/train.yaml` by which batches are made.

    Raises:
        ValueError: where one has a value it can't have.
    """

    batching: str
    batch_size: int
    seq_len: int
    max_len: int | None
    trim: str
    pad: str
    bucket_width: int
    seed: int

    def __post_init__(self) -> None:
        for option, choices in CHOICES.items():
            value = getattr(self, option)
            if value not in choices:
                raise ValueError(
                    f"expected data.{option} to be {' or '.join(choices)}, found '{value}': "
                    f"type data.{option}={choices[0]}"
                )
        check_at_least("bucket_width", self.bucket_width, 1)
        if self.max_len is not None:
            check_at_least("max_len", self.max_len, 1)

    def training(self, corpus: Corpus, share: Share = ALL) -> Batches:
        """Return the training split's batches, or a device's share of each.

        Raises:
            ValueError: where the split is too short for that many columns.
        """
        ids, end_id = corpus.splits["train"], corpus.vocabulary.end_id
        if self.batching == "streams":
            return Streams(ids, self.batch_size, self.seq_len, share)
        order = (self.bucket_width, self.seed)
        return Sentences(ids, end_id, self.batch_size, self.max_len, self.trim, self.pad, *order, share)

    def evaluation(self, corpus: Corpus, split: str, batch_size: int, share: Share = ALL) -> Batches:
        """Return a split's batches for scoring, which leave nothing out: a stream in long windows, or whole sentences.

        With a `share`, that of one device: together they leave nothing out.

        Raises:
            ValueError: where the split is too short for that many columns.
        """
        ids = corpus.splits[split]
        if self.batching == "streams":
            return Streams(ids, batch_size, max(1, EVALUATION_WINDOW // batch_size), share)
        return Sentences(ids, corpus.vocabulary.end_id, batch_size, pad=self.pad, share=share)

    def scoring(self, corpus: Corpus, split: str) -> Batches:
        """Return a split's batches for the number to be told of it: whole sentences, or a stream as one unbroken text.

        That is read in columns, about eight times as long as the `LEAD_IN` words that each reads before its own, or
        longer.
        """
        if self.batching == "sentences":
            return self.evaluation(corpus, split, self.batch_size)
        ids = corpus.splits[split]
        columns = min(max(1, len(ids) // (8 * LEAD_IN)), MOST_COLUMNS)
        return Streams(ids, columns, EVALUATION_WINDOW // columns, lead_in=LEAD_IN if columns > 1 else 0)


def describe(batches: Batches) -> dict[str, str | float]:
    """Return what the results say of training batches: their kind, and of sentences what was added and left out."""
    if isinstance(batches, Streams):
        return {"batching": "streams"}
    return {"batching": "sentences", "padding": round(batches.padding, 6), "trimmed_tokens": batches.num_trimmed}
