"""What a benchmark measures: a model, its corpus and machine, and the number of steps."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from omegaconf import DictConfig

from lm.checks import check_choice, check_whole
from lm.config import Config
from lm.data.bptt import Batch, BPTTBatches
from lm.data.corpus import Corpus, load_corpus
from lm.data.sources import SPLITS, make_source
from lm.data.vocabulary import EOS, UNK, Vocabulary
from lm.machine_config import MachineConfig
from lm.training.hardware import resolve_device

WARMUP_STEPS = 3
"""Steps at the start of each round that are not measured: the caches still hold another process's data."""

OWN_OPTIONS = ("vocabulary_size", "steps", "rounds", "startup_repeats")
"""The options that `lm.train` does not have."""

MAX_STEPS, MAX_VOCABULARY_SIZE = 100_000, 10_000_000
"""What fits into memory as random ids and as the words of a vocabulary."""


@dataclass(frozen=True)
class Job:
    """The options of `conf/benchmark.yaml` as plain values, which can be sent to other processes.

    Raises:
        ValueError: if an option has a value that cannot be measured.
    """

    config: Config
    machine: MachineConfig
    vocabulary_size: int | None
    steps: int
    rounds: int
    startup_repeats: int

    @classmethod
    def from_hydra(cls, composed: DictConfig) -> "Job":
        """Return what a composed config asks to measure."""
        machine = MachineConfig.from_hydra(composed)
        if machine.resume is not None:
            raise ValueError(f"expected a new model to measure, found resume={machine.resume}: leave it out")
        return cls(Config.from_hydra(composed), machine, **{name: composed[name] for name in OWN_OPTIONS})

    def __post_init__(self) -> None:
        check_whole("rounds", self.rounds, 10, most=MAX_STEPS)
        check_whole("steps", self.steps, max(200, self.rounds), least=self.rounds, most=MAX_STEPS)
        check_whole("vocabulary_size", self.vocabulary_size, 10_000, least=3, most=MAX_VOCABULARY_SIZE, optional=True)
        check_whole("startup_repeats", self.startup_repeats, 3, least=0, most=100)
        # The baseline reads streams and trains by SGD. Other precisions need a plugin of the Trainer.
        check_choice("data.batching", self.config.batching, ("streams",))
        check_choice("optimizer", self.config.optimizer, ("sgd",))
        for option in ("random_seq_len", "partial_shuffle"):
            if getattr(self.config, option):
                raise ValueError(f"expected the same batches in all variants, found {option}=true: leave it out")
        check_choice("precision", self.machine.precision, ("auto", "32-true"))
        if (devices := self.machine.trainer.devices) not in (1, "auto"):
            raise ValueError(f"expected one device, found {devices}: type trainer.devices=1")

    @property
    def steps_per_round(self) -> list[int]:
        """The measured steps of each round, which add up to `steps`."""
        each, remainder = divmod(self.steps, self.rounds)
        return [each + (index < remainder) for index in range(self.rounds)]

    @property
    def num_batches(self) -> int:
        """The batches that each variant reads, those of the warm-up included."""
        return self.steps + WARMUP_STEPS * self.rounds

    @property
    def tokens_per_step(self) -> int:
        """The tokens of one batch."""
        return self.config.batch_size * self.config.seq_len

    @property
    def device(self) -> torch.device:
        """The device that Lightning chooses, for the loops without Lightning."""
        return resolve_device(self.machine.trainer.accelerator)

    def training_batches(self, corpus: Corpus) -> Iterator[Batch]:
        """Yield the batches on their device."""
        batches = BPTTBatches(corpus.splits["train"], self.config.batch_size, self.config.seq_len)
        for batch in islice(batches, self.num_batches):
            yield Batch(*(part_TB.to(self.device) for part_TB in batch))

    def corpus(self) -> Corpus:
        """Return the corpus, or random ids.

        Raises:
            ValueError: if it is too short for this many steps.
            FileNotFoundError: if its files are missing.
        """
        if self.vocabulary_size is not None:
            return random_corpus(self.vocabulary_size, (self.num_batches + 1) * self.tokens_per_step + 1)
        corpus = load_corpus(make_source(**self.config.source))
        found = (len(corpus.splits["train"]) - 2) // self.tokens_per_step  # the last one may be shorter
        if found < self.num_batches:
            enough = f"type steps={found - WARMUP_STEPS} rounds=1, or " if found > WARMUP_STEPS else ""
            raise ValueError(
                f"expected a text of at least {self.num_batches} batches for steps={self.steps} and "
                f"rounds={self.rounds}, found {found}: {enough}use a longer text"
            )
        return corpus


def random_corpus(vocabulary_size: int, tokens: int) -> Corpus:
    """Return random ids as a corpus, as frequent as in a text: by Zipf's law 1 / (id + 1), here of a continuous id."""
    words = [UNK, EOS, *(f"w{index}" for index in range(2, vocabulary_size))]
    uniform = torch.rand(tokens, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ids = ((vocabulary_size + 1) ** uniform - 1).int().clamp(max=vocabulary_size - 1)
    return Corpus("random", "", Vocabulary(words), dict.fromkeys(SPLITS, ids), floor_ppl=None)
