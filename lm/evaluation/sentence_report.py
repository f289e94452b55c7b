"""A saved run and your own sentences -> what `lm.evaluate` prints: a table or CSV, and the totals."""

from collections.abc import Sequence
from pathlib import Path

from lm.atomic_files import write_file
from lm.evaluation.scoring import Scoring
from lm.evaluation.sentence_scores import score_sentences
from lm.evaluation.sentence_table import ROWS, csv_text, plain_text, total_text
from lm.output import print_note

STANDARD_OUTPUT = ("-", "/dev/stdout")


def sentence_report(scoring: Scoring, sentences: Sequence[Sequence[str]], state: str, per: str, csv: str | None) -> str:
    """Score sentences and return them as a table with its totals.

    Args:
        scoring: the runs and their methods.
        sentences: the words of each, without `<eos>`; at least one sentence.
        state: `reset` to zero for each sentence, or `carried` from each to the next.
        per: a name in `ROWS`.
        csv: a file for the table, written whole or not at all; a link, a pipe or a device is not replaced. `-` returns
            the table as CSV, and prints the totals to standard error.

    Raises:
        ValueError: as `score_sentences`.
        OSError: if the file cannot be written.
    """
    vocabulary = scoring.first.vocabulary
    scored = score_sentences(scoring.models, vocabulary, sentences, state == "carried", scoring.methods)
    table, totals = ROWS[per](scored, vocabulary), total_text(scored, vocabulary)
    totals += "".join(f"\n{note}" for note in scoring.notes())
    if scoring.first.model.lengths is not None:
        totals += "\nconditioned on the length of each sentence: not comparable with other models"
    if csv in STANDARD_OUTPUT:
        print_note(totals)
        return csv_text(table).rstrip("\n")
    if csv is not None:
        write_file(Path(csv), csv_text(table))
    return f"{plain_text(table)}\n\n{totals}"
