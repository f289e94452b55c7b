"""Scored sentences -> a table with one row per word or one row per sentence, for the terminal and as CSV.

Log-probabilities are natural logarithms, in nats.
"""

import math
from collections.abc import Sequence

from tabulate import tabulate

from lm.data.vocabulary import UNK, Vocabulary
from lm.evaluation.perplexity import perplexity
from lm.evaluation.sentence_scores import ScoredSentence
from lm.output import decimals, plural, printable

Row = dict[str, str | int | float]


def word_rows(sentences: Sequence[ScoredSentence], vocabulary: Vocabulary) -> list[Row]:
    """Return one row per word, with the log-probability of its sentence too; numbers and positions count from 1."""
    return [
        {
            "sentence": number,
            "position": position,
            "word": word,
            "read_as": word if word in vocabulary else UNK,
            "log_probability": log_probability,
            "sentence_log_probability": total,
        }
        for number, (sentence, total) in enumerate(((one, one.log_probability) for one in sentences), 1)
        for position, (word, log_probability) in enumerate(
            zip(sentence.words, sentence.log_probabilities, strict=True), 1
        )
    ]


def sentence_rows(sentences: Sequence[ScoredSentence], vocabulary: Vocabulary) -> list[Row]:
    """Return one row per sentence; `<eos>` is one of its tokens, but not part of its text."""
    return [
        {
            "sentence": number,
            "tokens": len(sentence.words),
            "unknown": sum(word not in vocabulary for word in sentence.words),
            "log_probability": sentence.log_probability,
            "ppl": sentence.ppl,
            "text": vocabulary.text(sentence.words[:-1]),
        }
        for number, sentence in enumerate(sentences, 1)
    ]


ROWS = {"word": word_rows, "sentence": sentence_rows}


def plain_text(rows: Sequence[Row]) -> str:
    """Return the table in aligned columns, numbers rounded."""
    cells = [[decimals(v) if isinstance(v, float) else printable(str(v)) for v in row.values()] for row in rows]
    alignment = ["left" if isinstance(value, str) else "right" for value in rows[0].values()]
    # Words that look like numbers are words.
    return tabulate(cells, [*rows[0]], "simple", colalign=alignment, disable_numparse=True)


def csv_text(rows: Sequence[Row]) -> str:
    """Return the table as CSV, with all digits."""
    from pandas import DataFrame  # imported here because it takes half a second

    return str(DataFrame(rows).to_csv(index=False, lineterminator="\n"))


def total_text(sentences: Sequence[ScoredSentence], vocabulary: Vocabulary) -> str:
    """Return the totals over all sentences, and the perplexity without targets that are read as `<unk>`."""
    values = [pair for one in sentences for pair in zip(one.words, one.log_probabilities, strict=True)]
    known = [value for word, value in values if word in vocabulary and word != UNK]
    total = math.fsum(value for _, value in values)
    text = (
        f"{plural(len(sentences), 'sentence')}, {plural(len(values), 'token')} (<eos> included): "
        f"log-probability {total:.4f} nats, perplexity {decimals(perplexity(-total, len(values)))}"
    )
    unknown = len(values) - len(known)
    if not unknown:
        return text
    return f"{text}; without the {unknown:,} {UNK}: {decimals(perplexity(-math.fsum(known), len(known)))}"
