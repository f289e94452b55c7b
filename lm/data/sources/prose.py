"""Reference documentation -> sentences of plain English, in the style of the Penn Treebank.

Lower case, numbers as `N`, no punctuation, separate clitics (`do n't`). A name in code style becomes a word
(`"object.__init__()"` is `init`), any other code `<unk>`. Blocks of code, tables, headings and signatures are left
out.
"""

import re
from collections.abc import Iterator

from lm.data.vocabulary import UNK

MIN_WORDS = 4
MAX_UNK_FRACTION = 0.15
ABBREVIATIONS = ("e.g", "i.e", "etc", "vs", "cf")

LIST_MARKER = re.compile(r" *(?:[*+-]|\d+\.|\[\d+\]) ")
BROKEN_WORD = re.compile(r"(?<=\w-) (?=[a-z])")
NOTICE = re.compile(
    r"(?:(?:Changed|New|Deprecated) (?:in|since) version [^:.]+(?:\.\d+)?[:.]|Note:|See also:|\*\*[^*]+:\*\*) *"
)
SENTENCE_END = re.compile(r"(?<=[.?!])[\"”\u2019)*]*\s+(?=[\"“(*]*[A-Z])")
WHOLE_SENTENCE = re.compile(r"[\"“(*]*[A-Z\"].*[.?!:][\"”\u2019)*]*")
BLOCK_OF_CODE = re.compile(r">>>|::=|\.\.\. ")
FOOTNOTE = re.compile(r"\[\d+\]")
INLINE_CODE = re.compile(r"\"+([^\"]{1,80})\"+")
DOTTED_NAME = re.compile(r"(?:\w+\.)*_*([A-Za-z]+)_*(?:\(\))?")
DASH = re.compile(r"--|[—\u2013…]|\.\.\.")
PUNCTUATION = '"“”\u2018*,;:()?!.[]{}`'
CLITIC = re.compile(r"(\w*?)(n't|'s|'re|'ve|'ll|'d|'m)")
PLAIN_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)*")
WORD = re.compile(r"[a-z]+(?:[-'/.][a-z]+)*")


def sentences(text: str) -> Iterator[list[str]]:
    """Yield the words of every whole English sentence in `text`."""
    for paragraph in paragraphs(text):
        for sentence in cut_sentences(NOTICE.sub("", paragraph)):
            words = to_words(sentence)
            if is_english(sentence, words):
                yield words


def paragraphs(text: str) -> Iterator[str]:
    """Yield consecutive lines of equal indentation as one line; the marker of a list item counts as indentation."""
    lines: list[str] = []
    indent = 0
    for line in [*text.splitlines(), ""]:
        marker = LIST_MARKER.match(line)
        line = " " * marker.end() + line[marker.end() :] if marker else line
        indent_now = len(line) - len(line.lstrip())
        if lines and (marker or indent_now != indent or not line.strip()):
            yield BROKEN_WORD.sub("", " ".join(lines))
            lines = []
        indent = indent_now
        lines += [line.strip()] if line.strip() else []


def cut_sentences(paragraph: str) -> Iterator[str]:
    """Cut a paragraph after `.`, `?` or `!` before a capital letter, but not after an abbreviation such as `e.g.`."""
    start = 0
    for end in SENTENCE_END.finditer(paragraph):
        if not paragraph[start : end.start()].rstrip(".").lower().endswith(ABBREVIATIONS):
            yield paragraph[start : end.end()].strip()
            start = end.end()
    yield paragraph[start:]


def is_english(sentence: str, words: list[str]) -> bool:
    """Return whether this is a sentence, not a heading, a signature, a line of code, or mostly code."""
    whole = WHOLE_SENTENCE.fullmatch(sentence) and not BLOCK_OF_CODE.search(sentence)
    return bool(whole) and len(words) >= MIN_WORDS and words.count(UNK) <= MAX_UNK_FRACTION * len(words)


def to_words(sentence: str) -> list[str]:
    """Return the words of a sentence by the Treebank's conventions."""
    text = FOOTNOTE.sub(" ", sentence.replace("\u2019", "'"))
    text = INLINE_CODE.sub(lambda code: f" {code_to_word(code[1])} ", text)
    return [word for piece in DASH.sub(" ", text).split() for word in piece_to_words(piece)]


def code_to_word(code: str) -> str:
    """Return the last part of a name without its underscores, a number as it is, and `<unk>` for any other code."""
    name = DOTTED_NAME.fullmatch(code.strip("'"))
    return name[1] if name else code if PLAIN_NUMBER.fullmatch(code) else UNK


def piece_to_words(piece: str) -> list[str]:
    """Return the words of a piece of text without white space: none, one, or a word and its clitic."""
    bare = piece.lower().strip(PUNCTUATION)
    if clitic := CLITIC.fullmatch(bare):
        return [word for word in clitic.groups() if word]
    bare = bare.strip("'")
    if bare in ABBREVIATIONS:
        return [f"{bare}."]
    if PLAIN_NUMBER.fullmatch(bare):
        return ["N"]
    return [bare if WORD.fullmatch(bare) else UNK] if bare else []
