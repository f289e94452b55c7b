"""The registry of corpora; a new one is one entry here."""

import inspect
from typing import Any

from lm.checks import check_choice
from lm.data.sources.characters import Characters
from lm.data.sources.ptb import PennTreebank
from lm.data.sources.python_docs import PythonDocs
from lm.data.sources.source import SPLITS, Source
from lm.data.sources.synthetic import MarkovSource
from lm.data.sources.text import TextSource
from lm.data.sources.wikitext import WikiText2, WikiText103
from lm.data.text_reader import LEVELS

__all__ = ["SOURCES", "SPLITS", "Source", "make_source"]

SOURCES: dict[str, type[Source]] = {
    source.name: source for source in (PennTreebank, WikiText2, WikiText103, TextSource, PythonDocs, MarkovSource)
}


def make_source(name: str, level: str = "word", **options: Any) -> Source:
    """Return the source with this name and these options, the keys of `conf/data/<name>.yaml`, as words or characters.

    Raises:
        ValueError: if there is no such source or option, or an option has a wrong value.
        FileNotFoundError: if a file is missing.
    """
    check_choice("data", name, SOURCES)
    for option in options.keys() - inspect.signature(SOURCES[name]).parameters.keys():
        raise ValueError(f"expected an option of data={name}, found data.{option}=: leave it out")
    check_choice("data.level", level, LEVELS)
    source = SOURCES[name](**options)
    return Characters(source) if level == "char" else source
