"""The entries of `evaluations.json`: written, read, and in words.

Reports import this module without PyTorch.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lm.run_dir import RunDir


def save_evaluation(run: RunDir, entry: dict[str, Any]) -> str:
    """Append an entry to the file of a run, and return the name of the file, or why the entry is not in it.

    A run may be on a disk that is read-only or full, and a method may diverge; the score is shown all the same.
    """
    if not math.isfinite(entry["ppl"]):
        return f"not kept in {run.evaluations_path}: the perplexity is {entry['ppl']}"
    try:
        run.append_evaluation(entry)
    except (OSError, ValueError) as error:  # ValueError: a perplexity of the tuning that is not finite
        return f"not kept in {run.evaluations_path}: {getattr(error, 'strerror', error)}"
    return str(run.evaluations_path)


def newest_evaluations(run: RunDir) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the newest entry of a run for each split and label, of the best weights on the corpus of the training.

    A run that is trained longer has other weights: the scores of the earlier ones, and those of an ensemble with it,
    are left out. A file that cannot be read counts as missing: it must not hide the results of a sweep.
    """
    try:
        entries = run.evaluations
    except (OSError, ValueError):
        return {}
    sha256, epoch = run.result("corpus.sha256"), run.result("best_epoch")
    return {
        (entry["split"], evaluation_label(entry)): entry
        for entry in entries
        if entry["checkpoint"] == "best"
        and entry["corpus"]["sha256"] == sha256
        and entry.get("epoch") in (None, epoch)  # None: the epoch was not recorded
        and all(_has_best_epoch(run.folder / other, best) for other, best in entry.get("other_epochs", {}).items())
    }


def _has_best_epoch(folder: Path, epoch: int | None) -> bool:
    """Return whether a run of an ensemble has the weights it was scored with, as far as is known."""
    found = RunDir(folder).result("best_epoch")
    return None in (found, epoch) or found == epoch


def evaluation_label(entry: Mapping[str, Any]) -> str:
    """Return the method of an entry in short, as `cache, tuned` or `dynamic, 3 runs`."""
    runs = entry["protocol"].get("ensemble", 1)
    tuned = ", tuned" if entry["tuned"] else ""
    return f"{entry['protocol']['method']}{tuned}" + (f", {runs} runs" if runs > 1 else "")


def option_key(method: str, option: str) -> str:
    """Return the key of a method's option in `conf/evaluate.yaml`."""
    return option if method == option else f"{method}.{option}"


def typed_settings(protocol: Mapping[str, Any]) -> str:
    """Return the options of a method as they are typed: `cache.theta=1 cache.window=500`."""
    return " ".join(
        f"{option_key(name, option)}={value if isinstance(value, int) else format(value, 'g')}"
        for name, options in protocol.get("settings", {}).items()
        for option, value in options.items()
    )


def describe_method(protocol: Mapping[str, Any]) -> str:
    """Return a method in words, with its options: `cache evaluation (cache.theta=1 cache.window=500)`."""
    runs, settings = protocol.get("ensemble", 1), typed_settings(protocol)
    options = f" ({settings})" if settings else ""
    return f"{protocol.get('method')} evaluation{options}" + (f", mean of {runs} runs" if runs > 1 else "")


def describe_tuning(record: Mapping[str, Any]) -> str:
    """Return in words on what the options of a method were chosen."""
    parts = [option_key(name, option) for name, grid in record["grid"].items() for option in grid]
    found = []
    if "reader_ppl" in record:
        found.append(f"{record['reader_ppl']:.4f} on its first {record['reader_tokens']:,} tokens")
    if "ppl" in record:
        found.append(f"{record['ppl']:.4f} on its {record['tokens']:,} tokens" + " with all options" * len(found))
    return f"{', '.join(parts)} chosen on the {record['split']} split: perplexity {', then '.join(found)}"
