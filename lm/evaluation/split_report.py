"""A saved run and a split of its corpus -> what `lm.evaluate` prints: the perplexity and how it was measured."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from lm.config import dropout_options
from lm.data.batching import Batches
from lm.data.corpus import Corpus
from lm.data.vocabulary import UNK
from lm.evaluation.evaluation_loop import EvalResult
from lm.evaluation.evaluations import describe_method, describe_tuning
from lm.evaluation.final_results import nats_arrays
from lm.evaluation.loading import SavedRun
from lm.evaluation.perplexity import perplexity
from lm.evaluation.scoring import Scoring
from lm.output import decimals
from lm.run_files import write_arrays

INDENT = 18
LINE = "\n" + " " * INDENT
"""What is between the parts of an entry that belong to several runs."""

SAME = 1e-5
"""Two perplexities that differ by less than this fraction count as the same."""

BF16_NOTE = (
    "bf16 moved perplexities by up to 0.01 % for models of 200 units after 3 epochs on the Penn Treebank, "
    "by up to 0.04 % for smaller or barely trained models"
)


def split_report(scoring: Scoring, corpus: Corpus, split: str, batches: Batches, nats: str | None = None) -> str:
    """Score the batches of a split, record the score in `evaluations.json`, and describe it.

    The nats of every token are written to the file `nats`.

    Raises:
        ValueError: if the methods do not suit the runs.
        OSError: if `nats` cannot be written.
    """
    saved = scoring.first
    is_unk = corpus.splits[split][-batches.num_targets :] == corpus.vocabulary.unk_id
    found = scoring.evaluate(batches, split, per_token=bool(is_unk.any()) or nats is not None)
    if nats is not None:
        write_arrays(Path(nats), nats_arrays({split: found}, corpus))
    own = corpus.sha256 == saved.corpus["sha256"]
    first = "" if found.protocol["state"] == "reset" else ", except the first"
    lines = {
        f"{split} perplexity": decimals(found.ppl),
        "bits per char": f"{found.bits_per_token:.4f}" if saved.vocabulary.is_characters else "",
        "given lengths": _given_lengths(found),
        f"without {UNK}": _without_unk(found, is_unk),
        "weights": LINE.join(describe_weights(member) for member in scoring.members),
        "corpus": f"{corpus.name}, SHA-256 {corpus.sha256[:12]}",
        "protocol": f"{found.tokens:,} tokens, each scored once{first}; {', '.join(protocol_facts(found.protocol))}",
        "tuning": describe_tuning(scoring.tuned) if scoring.tuned else "",
        "results.json": LINE.join(
            compare_with_recorded(found, *recorded_perplexity(one, split)) for one in scoring.members
        )
        if own
        else "",
        "evaluations.json": LINE.join(scoring.save(found, corpus, split)),
    }
    return "\n".join(f"{name:{INDENT}}{text}" for name, text in lines.items() if text)


def describe_weights(saved: SavedRun) -> str:
    """Return in words which weights were scored, with the rates of input, hidden and output dropout if they differ."""
    config = saved.config
    rates = [f"{getattr(config, name):g}" for name in dropout_options(config.num_layers)]
    dropout = " / ".join(rates if len(set(rates)) > 1 else rates[:1])
    return f"{saved.checkpoint} of {config.cell}, dropout {dropout}, seed {config.seed}"


def _given_lengths(found: EvalResult) -> str:
    if found.ppl_given_length is None:
        return ""
    return f"{decimals(found.ppl_given_length)}: conditioned on the true lengths, not comparable with other models"


def _without_unk(found: EvalResult, is_unk: Tensor) -> str:
    if found.token_nats is None:
        return ""
    count = int(is_unk.sum())
    ppl = perplexity(found.nats - float(found.token_nats[is_unk].sum()), found.tokens - count)
    return f"{decimals(ppl)} over {found.tokens - count:,} tokens; {count:,} ({count / found.tokens:.2%}) are {UNK}"


def recorded_perplexity(saved: SavedRun, split: str) -> tuple[float | None, Mapping[str, Any]]:
    """Return the perplexity in `results.json`, or None if there is none, and its protocol."""
    try:
        results = saved.run.results
        ppl, protocol = float(results[saved.checkpoint][f"{split}_ppl"]), results["protocol"][split]
    except (KeyError, TypeError, ValueError):
        return None, {}
    return (ppl, protocol) if ppl > 0 and isinstance(protocol, Mapping) else (None, {})


def compare_with_recorded(found: EvalResult, ppl: float | None, protocol: Mapping[str, Any]) -> str:
    """Return in words how a perplexity differs from the recorded one, and what differs in how they were measured."""
    if ppl is None:
        return "has no perplexity of this split"
    relative = found.ppl / ppl - 1
    if math.isnan(relative):
        verdict = "this one is not a number"
    elif abs(relative) < SAME:
        verdict = "the same"
    else:
        verdict = f"this one is {abs(relative):.4%} {'higher' if relative > 0 else 'lower'}"
        is_static = found.protocol.get("method", "static") == "static" and "ensemble" not in found.protocol
        if "bf16" in str(protocol.get("matmul_precision")) and is_static:
            verdict += f"; {BF16_NOTE}"
    different = [fact for fact in protocol_facts(protocol) if fact not in protocol_facts(found.protocol)]
    return f"{decimals(ppl)}: {verdict}" + (f"; measured with {', '.join(different)}" if different else "")


def protocol_facts(protocol: Mapping[str, Any]) -> list[str]:
    """Return in words how a perplexity was measured."""
    return [
        f"batch size {protocol.get('batch_size')}",
        f"state {protocol.get('state')}",
        describe_method(protocol),
        f"matrix multiplication in {protocol.get('matmul_precision')}",
    ]
