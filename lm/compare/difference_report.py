"""What two groups of runs differ in, as a sentence, and as tables and a figure in a folder."""

from pathlib import Path

import pandas as pd

from lm.atomic_files import write_file
from lm.compare.class_differences import KINDS, MIN_TOKENS, class_differences, largest_words
from lm.compare.run_pair import RunPair
from lm.compare.token_classes import classify_tokens, read_corpus
from lm.reporting.columns import Column
from lm.reporting.effect_sentences import OVER, PERPLEXITY_NAMES, interval_text, percent_text, seeds_text, size_text
from lm.reporting.effects import Change, Effect
from lm.reporting.statistics import block_means, estimate_contrast
from lm.reporting.table import Table

DIFFERENCES_NOTE = (
    f"Percent is of the perplexity on the tokens of a class, with the 95 % interval for {MIN_TOKENS} tokens or more. "
    "Frequency is that of the word in the training split. Total is the difference in nats of all tokens of a word. A "
    "gain is a total below zero: the second runs predict the word better. First and second are in the order of the "
    "command line."
)
HEADINGS = {
    "frequency": "By frequency of the word",
    "position": "By position in the sentence",
    "gain": "Words with the largest gain",
    "loss": "Words with the largest loss",
}


def overall_sentence(pair: RunPair) -> str:
    """Return by how much the second perplexity is lower or higher than the first one."""
    first, second = pair.titles
    estimate = estimate_contrast([(sign, block_means(nats)) for sign, nats in zip((-1, 1), pair.nats, strict=True)])
    seeds = tuple(len(nats) for nats in pair.nats)
    effect = Effect(Change("run", first, second), {}, pair.split, estimate, seeds, paired=True)
    start, perplexity = f"{second} against {first}", PERPLEXITY_NAMES[pair.split]
    if not effect.estimate.is_clear:
        finding = f"there is no clear difference in {perplexity}: {percent_text(effect)}"
    else:
        finding = f"{perplexity} is {size_text(effect)} {'lower' if effect.estimate.value < 0 else 'higher'}"
    return f"{start}: {finding}, {seeds_text(effect)}{OVER[effect.over]}."


def write_differences(pair: RunPair, folder: Path, data_dir: str | None) -> str:
    """Write `differences.md`, `.csv`, `.png` and `.svg` into a folder, and return what the terminal shows.

    Raises:
        ValueError: if the corpus is not that of the runs.
        FileNotFoundError: if its files are missing.
    """
    from lm.compare.difference_figure import draw_differences  # slow to import
    from lm.reporting.figures import image

    corpus = read_corpus(pair.first.runs[0], data_dir)
    differences = class_differences(pair, classify_tokens(corpus, pair.split, pair.nats[0].shape[1], pair.text))
    figure, found = draw_differences(pair, differences), tables(differences)
    files: dict[str, str | bytes] = {
        "differences.csv": str(differences.to_csv(index=False, lineterminator="\n")),
        "differences.md": comparison_page(pair, found),
        "differences.png": image(figure, "png"),
        "differences.svg": image(figure, "svg"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_file(folder / name, content)
    shown = [f"\n{HEADINGS[name]}\n{table.terminal()}" for name, table in found.items()]
    return "\n".join(
        [*shown, "", DIFFERENCES_NOTE, f"Figure: {folder / 'differences.png'}", f"Tables: {folder / 'differences.md'}"]
    )


def comparison_page(pair: RunPair, found: dict[str, Table]) -> str:
    """Return the comparison in Markdown."""
    sections = [f"## {HEADINGS[name]}\n\n{table.markdown()}" for name, table in found.items()]
    head = [
        "# Comparison",
        overall_sentence(pair),
        DIFFERENCES_NOTE,
        "![Differences by class and word](differences.png)",
    ]
    return "\n\n".join([*head, *sections]) + "\n"


def tables(differences: pd.DataFrame) -> dict[str, Table]:
    """Return the tables of the classes and of the words that differ most; nats are means per token."""
    gains, losses = largest_words(differences)
    frames = {kind: differences[differences["kind"] == kind] for kind in KINDS} | {"gain": gains, "loss": losses}
    return {name: _table(frame, words=name not in KINDS) for name, frame in frames.items() if len(frame)}


def _table(frame: pd.DataFrame, words: bool) -> Table:
    nats = [Column(name, f"{name} nats", text="{:.3f}".format) for name in ("first", "second")]
    count = Column("tokens", text="{:,.0f}".format)
    last = Column("total", "total nats", text="{:+.1f}".format) if words else Column("percent", "difference")
    columns = [Column("class", "word" if words else "class"), count, *nats, last]
    if not words:
        ends = frame[["percent", "percent_low", "percent_high"]].itertuples(index=False)
        frame = frame.assign(percent=[interval_text(*found) for found in ends])
    return Table.from_rows(columns, frame.to_dict("records"))
