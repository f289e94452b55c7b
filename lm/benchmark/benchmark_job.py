"""What is to be measured, as plain values that go to processes of their own."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch

from lm.checks import check_whole
from lm.config import Config
from lm.data.bptt import BPTTBatches
from lm.data.corpus import Corpus, load_corpus
from lm.data.sources import SPLITS, make_source
from lm.data.vocabulary import EOS, UNK, Vocabulary
from lm.training.hardware import resolve_device

WARM_UP = 3
"""Steps at the start of each round that are not counted: another process had the caches."""

PRECISIONS = ("auto", "32-true")


@dataclass(frozen=True)
class Job:
    """A model, its corpus and its machine, and for how long it is measured.

    Args:
        settings: the model and its training.
        source: the arguments of `make_source`.
        vocabulary_size: random ids of so many words instead of the source's; None: the source's.
        precision: as `lm.train` takes it.
        threads: processor threads; None: PyTorch's choice.
        trainer: arguments of `pytorch_lightning.Trainer`.
        steps: steps that are counted, of each contender.
        rounds: into how many rounds they are divided, between which the contenders take turns.

    Raises:
        ValueError: where one has a value it can't have here.
    """

    settings: Config
    source: dict[str, Any]
    vocabulary_size: int | None
    precision: str
    threads: int | None
    trainer: dict[str, Any]
    steps: int
    rounds: int

    def __post_init__(self) -> None:
        check_whole("rounds", self.rounds, 10)
        check_whole("steps", self.steps, 20 * self.rounds, least=self.rounds)
        if self.vocabulary_size is not None:
            check_whole("vocabulary_size", self.vocabulary_size, 50_000, least=3)
        if self.settings.batching != "streams":
            raise ValueError(
                f"expected data.batching=streams, found {self.settings.batching}, for which the plain loop that all "
                "is compared with has no counterpart: type data.batching=streams"
            )
        if self.precision not in PRECISIONS:
            raise ValueError(f"expected precision=auto or 32-true, found {self.precision}: type precision=auto")
        if self.trainer["devices"] not in (1, "auto"):
            raise ValueError(f"expected one device, found {self.trainer['devices']}: type trainer.devices=1")

    @property
    def steps_a_round(self) -> int:
        """The steps of a round that are counted."""
        return self.steps // self.rounds

    @property
    def windows(self) -> int:
        """The windows that a contender reads, warm-up included."""
        return self.rounds * (self.steps_a_round + WARM_UP)

    @property
    def tokens(self) -> int:
        """The tokens of a step."""
        return self.settings.batch_size * self.settings.seq_len

    def device(self) -> torch.device:
        """Return where the loops without Lightning compute, which is where Lightning does."""
        return resolve_device(self.trainer["accelerator"])

    def corpus(self) -> Corpus:
        """Return the corpus, or random ids.

        Raises:
            ValueError: where it is too short for so many steps.
            FileNotFoundError: where its files are missing.
        """
        if self.vocabulary_size is not None:
            return random_corpus(self.vocabulary_size, (self.windows + 1) * self.tokens + 1)
        corpus = load_corpus(make_source(**self.source))
        found = len(self.windows_of(corpus)) - 1  # the last one may be shorter
        if found < self.windows:
            enough = f"type steps={found - WARM_UP} rounds=1, or " if found > WARM_UP else ""
            raise ValueError(
                f"expected a text of at least {self.windows} windows for steps={self.steps} and rounds={self.rounds}, "
                f"found {found}: {enough}give a longer text"
            )
        return corpus

    def windows_of(self, corpus: Corpus) -> BPTTBatches:
        """Return the training windows."""
        return BPTTBatches(corpus.splits["train"], self.settings.batch_size, self.settings.seq_len)

    def to_json(self) -> str:
        """Return all of it as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what `to_json` wrote."""
        values = json.loads(text)
        return cls(**values | {"settings": Config(**values["settings"])})


def random_corpus(vocabulary_size: int, tokens: int) -> Corpus:
    """Return a corpus of random ids, every one as likely as another: its time and memory are those of a real one."""
    words = [UNK, EOS, *(f"w{index}" for index in range(2, vocabulary_size))]
    ids = torch.randint(vocabulary_size, (tokens,), dtype=torch.int32, generator=torch.Generator().manual_seed(0))
    return Corpus("random", "", Vocabulary(words), dict.fromkeys(SPLITS, ids), floor_ppl=None)
