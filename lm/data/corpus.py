"""Three splits of token ids, encoded once, kept on disk and memory-mapped.

The text is streamed twice, once to count its words and once to encode them, so that a corpus needs no more memory
than its ids, however long it is. The encoded corpus is found again by the hash of the text and its options.
"""

import hashlib
import json
import logging
import os
import shutil
import zlib
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from lm.data.cache import cache_folder, make_writable
from lm.data.sources.source import SPLITS, Source, TextChanged, digest
from lm.data.vocabulary import EOS, UNK, Vocabulary

log = logging.getLogger(__name__)

FORMAT = 2
"""Increased whenever the same text is encoded or written in another way."""

BLOCK = 2**16
"""The number of ids that are written at once."""

TRIES = 3
"""How often a text that changes is read before it is refused."""

UNK_WARNING = 0.1
"""The fraction of `<unk>` above which there is a warning."""


@dataclass(frozen=True)
class Corpus:
    """A corpus as ids.

    Args:
        name: of its source.
        sha256: the fingerprint of its source.
        vocabulary: of the training split.
        splits: train, valid and test, each an int32 tensor [N] with `<eos>` after every sentence, mapped from a file.
        floor_ppl: the perplexity per token that no model can beat on average, if it is known.
        literal_eos: the number of `<eos>` that were in the text of each split.
    """

    name: str
    sha256: str
    vocabulary: Vocabulary
    splits: dict[str, torch.Tensor]
    floor_ppl: float | None
    literal_eos: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def unk(self) -> dict[str, dict[str, float]]:
        """The `count` of `<unk>` in each split, and the `fraction` of its tokens."""
        unk_id, found = self.vocabulary.unk_id, {}
        for split, ids in self.splits.items():
            count = sum(int(np.count_nonzero(block.numpy() == unk_id)) for block in torch.split(ids, 2**20))
            found[split] = {"count": count, "fraction": round(count / len(ids), 6)}
        return found

    def text_sha256(self, split: str, tokens: int) -> str:
        """Return the SHA-256 of the ids of a split's last tokens, as little-endian int64."""
        return hashlib.sha256(self.splits[split][-tokens:].numpy().astype("<i8").tobytes()).hexdigest()

    def warnings(self) -> list[str]:
        """Return a sentence about each split with much `<unk>`, or with `<eos>` in its text."""
        rare = [
            f"{unk['fraction']:.1%} of the {split} split is {UNK}, which is easier to predict than words are"
            for split, unk in self.unk.items()
            if unk["fraction"] > UNK_WARNING
        ]
        literal = [
            f"the text of the {split} split has {count:,} literal {EOS}, each of which ends a sentence"
            for split, count in self.literal_eos.items()
            if count
        ]
        return rare + literal


def load_corpus(source: Source, cache_dir: Path | None = None, tries: int = TRIES) -> Corpus:
    """Return the corpus of `source`, encoded now unless it is in the cache folder, complete and undamaged.

    Safe in several processes at once: one encodes, the others wait and read. Logs the corpus's warnings.

    Raises:
        ValueError: if a split has fewer than two words, which leaves nothing to predict, or the text keeps changing.
    """
    key = source.fingerprint()
    root = cache_folder() if cache_dir is None else cache_dir
    folder = root / "corpora" / f"{source.name}-{FORMAT}-{key[:16]}"
    corpus = read_encoded(folder, source, key)
    if corpus is None:
        try:
            with FileLock(make_writable(folder.parent) / f"{folder.name}.lock"):
                corpus = read_encoded(folder, source, key) or encode(folder, source, key)
        except TextChanged:
            if tries == 1:
                raise
            return load_corpus(source, cache_dir, tries - 1)
    for warning in corpus.warnings():
        log.warning(f"warning: {warning}")
    return corpus


def encode(folder: Path, source: Source, key: str) -> Corpus:
    """Count and encode the text in a folder beside `folder`, which it replaces when it is complete."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        vocabulary = Vocabulary.build(count_words(source), source.min_count, source.max_vocab_size)
        for split in SPLITS:
            write_ids(part, source, split, vocabulary)
        about = {"key": key, "checksums": checksums(part), "words": vocabulary.words, "literal_eos": source.literal_eos}
        (part / "corpus.json").write_text(json.dumps({"sha256": digest(about), "about": about}), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(part, folder)
    except OSError as error:
        if error.errno and error.filename is None:
            error.filename = str(folder)  # the error of a full disk has none
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    corpus = read_encoded(folder, source, key)
    if corpus is None:
        raise OSError(
            f"expected to read back what was written to '{folder}', found it damaged: "
            "type LM_DATA=FOLDER, on another disk, before the command"
        )
    return corpus


def read_encoded(folder: Path, source: Source, key: str) -> Corpus | None:
    """Return the corpus in `folder`, or None if it is missing, incomplete or damaged."""
    try:
        saved = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
        about = saved["about"]
        if saved["sha256"] != digest(about) or about["key"] != key or about["checksums"] != checksums(folder):
            return None
        splits = {split: map_ids(folder / f"{split}.int32") for split in SPLITS}
    except (OSError, ValueError, LookupError, TypeError, RuntimeError):
        return None
    return Corpus(source.name, key, Vocabulary(about["words"]), splits, source.floor_ppl(), about["literal_eos"])


def count_words(source: Source) -> Counter[str]:
    """Count the words of the training split, and its sentences as `<eos>`."""
    counts: Counter[str] = Counter()
    for words in source.sentences("train"):
        counts.update(words)
        counts[EOS] += 1
    return counts


def write_ids(folder: Path, source: Source, split: str, vocabulary: Vocabulary) -> None:
    """Write the split's ids with `<eos>` after every sentence, as plain int32."""
    num_words = 0
    block = array("i")
    with (folder / f"{split}.int32").open("wb") as file:
        for words in source.sentences(split):
            block.extend(vocabulary.encode(words))
            block.append(vocabulary.eos_id)
            num_words += len(words)
            if len(block) >= BLOCK:
                block.tofile(file)
                del block[:]
        block.tofile(file)
    check_length(split, num_words)


def check_length(split: str, num_words: int) -> None:
    """Raise a ValueError if a split has fewer than two words."""
    if num_words < 2:
        raise ValueError(f"expected at least two words in the {split} split, found {num_words}: add sentences to it")


def map_ids(path: Path) -> torch.Tensor:
    """Map a file of int32 into memory: pages are read when used, and writing to the tensor does not change the file."""
    return torch.from_file(str(path), shared=False, size=path.stat().st_size // 4, dtype=torch.int32)


def checksums(folder: Path) -> dict[str, int]:
    """Return the CRC-32 of each split's file."""
    return {split: zlib.crc32(np.memmap(folder / f"{split}.int32", mode="r").data) for split in SPLITS}
