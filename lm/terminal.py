"""What a command prints besides its results: warnings in one sentence."""

import sys
from collections.abc import Iterable

from lm.data.vocabulary import Vocabulary


def warn_of_unknown(words: Iterable[str], vocabulary: Vocabulary, shown: int = 10) -> None:
    """Say on the terminal which words the vocabulary lacks, each once, the first `shown` by name."""
    unknown = [word for word in dict.fromkeys(words) if word not in vocabulary]
    if unknown:
        named = ", ".join(f"{word!r}{_known_as(word, vocabulary)}" for word in unknown[:shown])
        others = f" and {len(unknown) - shown} others" if len(unknown) > shown else ""
        print(f"warning: not in the vocabulary, read as <unk>: {named}{others}", file=sys.stderr)


def _known_as(word: str, vocabulary: Vocabulary) -> str:
    lower = word.lower()
    return f" ({lower!r} is)" if lower in vocabulary else ""
