"""Three splits of token ids, encoded once, kept on disk and mapped into memory rather than read.

The text is streamed twice, once to count its words and once to encode them, so that a corpus needs no more memory
than its ids, however long it is. What is kept on disk is found again by the hash of the text and the options.
"""

import json
import os
import shutil
import zlib
from array import array
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock

from lm.data.cache import cache_folder, writable
from lm.data.sources.source import SPLITS, Source
from lm.data.vocabulary import EOS, Vocabulary

# Raised whenever the same text would be encoded or written in another way.
FORMAT = 1
BLOCK = 2**16


@dataclass(frozen=True)
class Corpus:
    """A corpus as ids.

    `splits` maps each of train, valid and test to a one-dimensional int32 tensor in which `<eos>` follows every
    sentence; it is mapped from a file. `sha256` is the key of the source, and `floor_ppl` the perplexity per token
    that no model can beat on average, where it is known.
    """

    name: str
    sha256: str
    vocabulary: Vocabulary
    splits: dict[str, torch.Tensor]
    floor_ppl: float | None


def load_corpus(source: Source, cache_dir: Path | None = None) -> Corpus:
    """Give the corpus of `source`, encoded now if it is not yet, whole and undamaged, in the cache folder.

    Safe in several processes at once: one encodes, the others wait and read. Raises a ValueError for a split of
    fewer than two words, which leaves nothing to predict.
    """
    key = source.fingerprint()
    root = cache_folder() if cache_dir is None else cache_dir
    folder = root / "corpora" / f"{source.name}-{FORMAT}-{key[:16]}"
    corpus = read(folder, source, key)
    if corpus is None:
        with FileLock(writable(folder.parent) / f"{folder.name}.lock"):
            corpus = read(folder, source, key) or encode(folder, source, key)
    return corpus


def encode(folder: Path, source: Source, key: str) -> Corpus:
    """Count and encode the text in a folder beside `folder`, which takes its place when everything is there."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        vocabulary = Vocabulary.build(count_words(source), source.min_count, source.max_vocab_size)
        tokens = {split: write_ids(part, source, split, vocabulary) for split in SPLITS}
        checksums = {split: checksum(part / f"{split}.int32") for split in SPLITS}
        about = {"key": key, "tokens": tokens, "checksums": checksums, "words": vocabulary.words}
        (part / "corpus.json").write_text(json.dumps(about), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(part, folder)
    except OSError as error:
        if error.errno and error.filename is None:
            error.filename = str(folder)  # a full disk's error names none
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    corpus = read(folder, source, key)
    if corpus is None:
        raise OSError(f"What was just written to {folder} cannot be read back: check the disk, or set LM_DATA.")
    return corpus


def read(folder: Path, source: Source, key: str) -> Corpus | None:
    """Give the corpus kept in `folder`, or None if it is missing, incomplete or damaged."""
    try:
        about = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
        vocabulary = Vocabulary(about["words"])
        if about["key"] != key or about["checksums"] != {s: checksum(folder / f"{s}.int32") for s in SPLITS}:
            return None
        splits = {split: map_ids(folder / f"{split}.int32", about["tokens"][split]) for split in SPLITS}
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None
    return Corpus(source.name, key, vocabulary, splits, source.floor_ppl())


def count_words(source: Source) -> Counter[str]:
    """Count the words of the training split, and its sentences as `<eos>`."""
    counts: Counter[str] = Counter()
    for words in source.sentences("train"):
        counts.update(words)
        counts[EOS] += 1
    return counts


def write_ids(folder: Path, source: Source, split: str, vocabulary: Vocabulary) -> int:
    """Write the split's ids with `<eos>` after every sentence, as plain int32, and give their number."""
    words = tokens = 0
    block = array("i")
    with (folder / f"{split}.int32").open("wb") as file:
        for sentence in source.sentences(split):
            block.extend(vocabulary.encode(sentence))
            block.append(vocabulary.eos_id)
            words += len(sentence)
            tokens += len(sentence) + 1
            if len(block) >= BLOCK:
                block.tofile(file)
                del block[:]
        block.tofile(file)
    if words < 2:
        raise ValueError(
            f"Every split needs at least two words, but {source.location(split)} has {words}: add sentences."
        )
    return tokens


def map_ids(path: Path, tokens: int) -> torch.Tensor:
    """Map a file of int32 into memory: pages are read when used, and writing to the tensor never reaches the file."""
    return torch.from_file(str(path), shared=False, size=tokens, dtype=torch.int32)


def checksum(path: Path) -> int:
    """Give the CRC-32 of a file, which tells a damaged file from a whole one."""
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            value = zlib.crc32(chunk, value)
    return value
