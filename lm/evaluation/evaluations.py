"""A score of a saved run -> its entry in `evaluations.json`, and what was tuned in words."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lm.data.corpus import Corpus
from lm.evaluation.composition import option_key
from lm.evaluation.evaluation_loop import EvalResult
from lm.evaluation.loading import SavedRun


def evaluation_entry(
    members: Sequence[SavedRun], corpus: Corpus, split: str, found: EvalResult, tuned: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what `evaluations.json` keeps of a score: the perplexity and all that it depends on."""
    return {
        "split": split,
        "ppl": found.ppl,
        "nats": found.nats,
        "protocol": found.protocol,
        "tuned": None if tuned is None else dict(tuned),
        "checkpoint": members[0].checkpoint,
        "corpus": {"name": corpus.name, "sha256": corpus.sha256},
        "runs": [member.run.name for member in members],
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def save_evaluation(members: Sequence[SavedRun], entry: dict[str, Any]) -> list[str]:
    """Append an entry to the file of each run, and return the names of the files."""
    for member in members:
        member.run.append_evaluation(entry)
    return [str(member.run.evaluations_path) for member in members]


def describe_method(protocol: Mapping[str, Any]) -> str:
    """Return a method in words, with its options as they are typed: `cache evaluation (cache.theta=1 ...)`."""
    settings = [
        f"{option_key(name, option)}={value:g}"
        for name, options in protocol.get("settings", {}).items()
        for option, value in options.items()
    ]
    runs = protocol.get("ensemble", 1)
    options = f" ({' '.join(settings)})" if settings else ""
    return f"{protocol.get('method')} evaluation{options}" + (f", mean of {runs} runs" if runs > 1 else "")


def describe_tuning(record: Mapping[str, Any]) -> str:
    """Return in words on what the options of a method were chosen."""
    parts = [option_key(name, option) for name, grid in record["grid"].items() for option in grid]
    text = f"{', '.join(parts)} chosen on the {record['split']} split"
    if "reader_ppl" in record:
        text += f", whose first {record['reader_tokens']:,} tokens then have perplexity {record['reader_ppl']:.4f}"
    if "ppl" in record:
        text += f", whose {record['tokens']:,} tokens then have perplexity {record['ppl']:.4f}"
    return text
