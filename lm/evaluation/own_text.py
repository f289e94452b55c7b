"""Your own text -> words as the run's corpus has them, and a warning about those that the model does not know."""

from collections.abc import Iterable
from io import StringIO

from lm.data.text_reader import SentenceSplitter, open_text, read_lines
from lm.data.vocabulary import UNK, Vocabulary
from lm.evaluation.loading import SavedRun
from lm.output import print_note


def own_sentences(saved: SavedRun, text: str | None, file: str | None) -> list[list[str]]:
    """Return the sentences of a text or, if that is None, of a file, prepared like the corpus of the run.

    Args:
        saved: the run.
        text: one or several sentences.
        file: a UTF-8 file, a named pipe, or `-` for standard input; plain or compressed by gzip.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if the file is not UTF-8, or there is no word to score.
    """
    splitter = SentenceSplitter.from_options(saved.config.source)
    if text is not None:
        sentences = list(splitter.split(StringIO(text, newline=None)))
    else:
        assert file is not None
        with open_text(file) as opened:
            sentences = list(splitter.split(read_lines(opened, file)))
    if not any(sentences):
        raise ValueError('expected at least one word to score, found none: type text="the company said"')
    warn_of_unknown((word for words in sentences for word in words), saved.vocabulary)
    return sentences


def own_words(saved: SavedRun, text: str) -> list[str]:
    """Return the words of a text, prepared like the corpus of the run; a literal `<eos>` is one of them."""
    words = SentenceSplitter.from_options(saved.config.source).words(text)
    warn_of_unknown(words, saved.vocabulary)
    return words


def warn_of_unknown(words: Iterable[str], vocabulary: Vocabulary, shown: int = 10) -> None:
    """Print a warning with the words that are not in the vocabulary, each once, the first `shown` by name."""
    unknown = [word for word in dict.fromkeys(words) if word not in vocabulary]
    if unknown:
        named = ", ".join(f"{word!r}{_known_as(word, vocabulary)}" for word in unknown[:shown])
        others = f" and {len(unknown) - shown:,} others" if len(unknown) > shown else ""
        print_note(f"warning: not in the vocabulary, read as {UNK}: {named}{others}")


def _known_as(word: str, vocabulary: Vocabulary) -> str:
    lower = word.lower()
    return f" ({lower!r} is)" if lower in vocabulary else ""
