"""Scored sentences -> a table for the terminal and one in CSV; a row a word, or a row a sentence.

Probabilities are given by their natural logarithms.
"""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from lm.atomic_files import write_atomically
from lm.data.vocabulary import UNK, Vocabulary
from lm.evaluation.perplexity import perplexity
from lm.evaluation.sentence_scores import ScoredSentence

Row = dict[str, str | int | float]
ROWS = ("words", "sentences")


def word_rows(sentences: Sequence[ScoredSentence], vocabulary: Vocabulary) -> list[Row]:
    """Return a row a word: sentence and place counted from 1, and beside its own value that of the whole sentence."""
    return [
        {
            "sentence": number,
            "position": position,
            "word": word,
            "read_as": word if word in vocabulary else UNK,
            "log_probability": log_probability,
            "sentence_log_probability": sentence.log_probability,
        }
        for number, sentence in enumerate(sentences, 1)
        for position, (word, log_probability) in enumerate(
            zip(sentence.words, sentence.log_probabilities, strict=True), 1
        )
    ]


def sentence_rows(sentences: Sequence[ScoredSentence], vocabulary: Vocabulary) -> list[Row]:
    """Return a row a sentence; `<eos>` is counted among its tokens and is not part of its text."""
    return [
        {
            "sentence": number,
            "tokens": len(sentence.words),
            "unknown": sum(word not in vocabulary for word in sentence.words),
            "log_probability": sentence.log_probability,
            "ppl": sentence.ppl,
            "text": " ".join(sentence.words[:-1]),
        }
        for number, sentence in enumerate(sentences, 1)
    ]


def plain_text(rows: Sequence[Row]) -> str:
    """Return the table in aligned columns, numbers rounded."""
    cells = [[f"{value:.4f}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    alignment = ["left" if isinstance(value, str) else "right" for value in rows[0].values()]
    # Words that look like numbers are words.
    return tabulate(cells, [*rows[0]], "simple", colalign=alignment, disable_numparse=True)


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write the table with all digits, whole or not at all.

    Raises:
        FileNotFoundError: where there is no such folder.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"expected a folder to write to, found none at '{path.parent}': make it, or type csv=FILE"
        )
    with write_atomically(path) as file:
        writer = csv.DictWriter(file, [*rows[0]], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def summary(sentences: Sequence[ScoredSentence]) -> str:
    """Say in a sentence what all of them come to."""
    log_probability = math.fsum(sentence.log_probability for sentence in sentences)
    tokens = sum(len(sentence.words) for sentence in sentences)
    return (
        f"{len(sentences):,} sentence{'s' if len(sentences) > 1 else ''}, {tokens:,} tokens (<eos> included): "
        f"log-probability {log_probability:.4f}, perplexity {perplexity(-log_probability, tokens):.4f}"
    )
