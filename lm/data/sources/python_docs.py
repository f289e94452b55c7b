"""A small corpus that is part of every Python: the reference in `pydoc_data.topics`, as plain English.

    python -m lm.train data=python_docs

It needs no download. On Python 3.11 it has about 34,800 tokens for training and 3,900 each for validation and test, in
1,600 words; `<unk>` is 4 %, 9 % and 6 % of them. The text differs between versions of Python: compare only results on
the same SHA-256 of the corpus.
"""

import hashlib
import importlib
from collections.abc import Iterator, Mapping
from functools import cached_property

from lm.data.sources import prose
from lm.data.sources.source import SPLITS, Source, check_vocabulary_limits, digest

HELD_OUT_FRACTION = 0.1
LARGEST_HELD_OUT_TOPIC = 0.03

SentenceList = list[list[str]]


class PythonDocs(Source):
    """Sentences of Python's own documentation, split into train, valid and test by topic.

    Raises:
        ValueError: if an option has a wrong value.
    """

    name = "python_docs"

    def __init__(self, min_count: int = 2, max_vocab_size: int | None = None) -> None:
        check_vocabulary_limits(min_count, max_vocab_size)
        self.min_count = min_count
        self.max_vocab_size = max_vocab_size

    def fingerprint(self) -> str:
        """Hash the sentences of every split and the limits of the vocabulary."""
        return digest(self.name, self._splits, self.min_count, self.max_vocab_size)

    def sentences(self, split: str) -> Iterator[list[str]]:
        """Yield the words of one sentence after another."""
        return iter(self._splits[split])

    @cached_property
    def _splits(self) -> dict[str, SentenceList]:
        return split_by_topic(deduplicate(read_topics()))


def read_topics() -> Mapping[str, str]:
    """Return the text of every topic.

    Raises:
        FileNotFoundError: if this Python was installed without them.
    """
    try:
        topics: Mapping[str, str] = importlib.import_module("pydoc_data.topics").topics
    except ImportError:
        raise FileNotFoundError(
            "expected Python's own documentation for data=python_docs, found no pydoc_data.topics in this Python: "
            "type data=synthetic, or data=text data.dir=FOLDER"
        ) from None
    return topics


def deduplicate(topics: Mapping[str, str]) -> dict[str, SentenceList]:
    """Return the sentences of each topic without those of a longer topic, so that no test sentence was trained on."""
    seen: set[tuple[str, ...]] = set()
    kept: dict[str, SentenceList] = {}
    for topic in sorted(topics, key=lambda topic: (-len(topics[topic]), topic)):
        kept[topic] = []
        for sentence in prose.sentences(topics[topic]):
            if tuple(sentence) not in seen:
                seen.add(tuple(sentence))
                kept[topic].append(sentence)
    return kept


def split_by_topic(topics: Mapping[str, SentenceList]) -> dict[str, SentenceList]:
    """Divide whole topics, in the order of their names' hashes: valid and test are filled, the rest is for training.

    The result does not depend on the order of `topics`. Topics with more than 3 % of all words are for training, so
    that valid and test have many topics rather than one or two.
    """
    sizes = {topic: sum(map(len, sentences)) for topic, sentences in topics.items()}
    total = sum(sizes.values())
    room = {"valid": HELD_OUT_FRACTION * total, "test": HELD_OUT_FRACTION * total}
    splits: dict[str, SentenceList] = {split: [] for split in SPLITS}
    for topic in sorted(topics, key=lambda topic: hashlib.sha256(topic.encode()).digest()):
        split = max(room, key=room.__getitem__)
        if sizes[topic] > min(room[split], LARGEST_HELD_OUT_TOPIC * total):
            split = "train"
        else:
            room[split] -= sizes[topic]
        splits[split] += topics[topic]
    return splits
