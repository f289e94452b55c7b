"""What is typed after a command and what it says on the side: options of plain text, warnings in one sentence."""

import re
import sys
from collections.abc import Callable, Collection, Iterable
from functools import wraps
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from lm.data.vocabulary import Vocabulary


def literal_options(*names: str) -> Callable[[Callable[[], Any]], Callable[[], None]]:
    """Let a Hydra command take these options' values as they are typed: commas, quotes, `<`, `$` and all.

    Hydra alone would read the comma in `run=multirun/x/cell=gru,dropout=0.25` as a sweep, and refuse `text="it 's"`.
    With `--multirun` values are Hydra's own again, so that they can be swept.
    """

    def decorate(main: Callable[[], Any]) -> Callable[[], None]:
        @wraps(main)
        def wrapped() -> None:
            if not {"-m", "--multirun"} & set(sys.argv):
                sys.argv[1:] = [literal(argument, names) for argument in sys.argv[1:]]
            main()

        return wrapped

    return decorate


def literal(argument: str, names: Collection[str]) -> str:
    """Quote the value of `name=value` as Hydra wants it, if it is one of the names and not quoted yet."""
    name, equals, value = argument.partition("=")
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    if not equals or name not in names or quoted:
        return argument
    without_interpolation = re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + r"\${", value)
    return f"{name}={QuotedString(without_interpolation, Quote.single).with_quotes()}"


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
