"""Characters instead of words, for any corpus: `data.level=char`.

    the cat sat    t h e _ c a t _ s a t <eos>

`_` stands for the space between two words, as in Mikolov's character-level Penn Treebank. `<unk>` is spelled. Results
have bits per character beside perplexity: log2(perplexity), `<eos>` included.
"""

from collections.abc import Iterator

from lm.data.sources.source import Source, digest
from lm.data.text_reader import to_characters


class Characters(Source):
    """The characters of another source's sentences.

    Args:
        words: the source. Its `min_count` and `max_vocab_size` limit the characters.
    """

    def __init__(self, words: Source) -> None:
        self.words, self.name = words, words.name  # type: ignore[misc]
        self.min_count, self.max_vocab_size = words.min_count, words.max_vocab_size

    def fingerprint(self) -> str:
        """Hash the fingerprint of the source."""
        return digest(self.words.fingerprint(), "char")

    def sentences(self, split: str) -> Iterator[list[str]]:
        """Yield the characters of one sentence after another."""
        yield from map(to_characters, self.words.sentences(split))
        self.literal_eos = self.words.literal_eos
