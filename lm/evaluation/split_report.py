"""A saved run and a split of its corpus -> what `lm.evaluate` prints: the perplexity and how it was measured."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lm.data.batching import Batches
from lm.data.corpus import Corpus
from lm.data.vocabulary import UNK
from lm.evaluation.evaluation_loop import EvalResult, evaluate
from lm.evaluation.loading import SavedRun, load_corpus_of
from lm.evaluation.methods import Method
from lm.evaluation.perplexity import perplexity
from lm.output import decimals

SAME = 1e-5
"""Two perplexities that differ by less than this fraction count as the same."""

BF16_NOTE = (
    "bf16 moved perplexities by up to 0.01 % for models of 200 units after 3 epochs on the Penn Treebank, "
    "by up to 0.03 % for smaller or barely trained models"
)


def split_report(saved: SavedRun, split: str, data_dir: str | None, batch_size: int | None, method: Method) -> str:
    """Score a split of the run's corpus and describe the result.

    Args:
        saved: the run.
        split: a name in `SPLITS`.
        data_dir: as for `load_corpus_of`.
        batch_size: parallel streams, each from a zero state, or sentences per batch; None: as in `results.json`.
        method: how to score.

    Raises:
        ValueError, FileNotFoundError: as `load_corpus_of`; or if the split is too short for the batch size.
    """
    corpus = load_corpus_of(saved, data_dir)
    batches = _batches(saved, corpus, split, batch_size)
    is_unk = corpus.splits[split][-batches.num_targets :] == corpus.vocabulary.unk_id
    found = evaluate(saved.model, batches, method, progress=split, per_token=bool(is_unk.any()))
    config = saved.config
    lines = {
        f"{split} perplexity": decimals(found.ppl),
        "given lengths": _given_lengths(found),
        f"without {UNK}": _without_unk(found, is_unk),
        "weights": f"{saved.checkpoint} of {config.cell}, dropout {config.dropout:g}, seed {config.seed}",
        "corpus": f"{corpus.name}, SHA-256 {corpus.sha256[:12]}",
        "protocol": f"{found.tokens:,} tokens, each scored once{_first(found)}; {describe_protocol(found.protocol)}",
        "results.json": compare(found, *recorded(saved, split)),
    }
    return "\n".join(f"{name:18}{text}" for name, text in lines.items() if text)


def _batches(saved: SavedRun, corpus: Corpus, split: str, batch_size: int | None) -> Batches:
    batching = saved.config.batches()
    if batch_size is None:
        return batching.final_evaluation(corpus, split)
    return batching.evaluation(corpus, split, batch_size)


def _first(found: EvalResult) -> str:
    return "" if found.protocol["state"] == "reset" else ", except the first"


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


def recorded(saved: SavedRun, split: str) -> tuple[float | None, Mapping[str, Any]]:
    """Return the perplexity in `results.json`, or None if there is none, and its protocol."""
    try:
        results = saved.run.results
        return float(results[saved.checkpoint][f"{split}_ppl"]), results["protocol"][split]
    except (KeyError, TypeError, ValueError):
        return None, {}


def compare(found: EvalResult, ppl: float | None, protocol: Mapping[str, Any]) -> str:
    """Return in words how a perplexity differs from the recorded one."""
    if ppl is None:
        return "holds no perplexity of this split"
    relative = found.ppl / ppl - 1
    if abs(relative) < SAME:
        verdict = "the same"
    else:
        verdict = f"this one is {abs(relative):.4%} {'higher' if relative > 0 else 'lower'}"
        if "bf16" in str(protocol.get("matmul_precision")):
            verdict += f"; {BF16_NOTE}"
    return f"{decimals(ppl)}, {describe_protocol(protocol)}: {verdict}"


def describe_protocol(protocol: Mapping[str, Any]) -> str:
    """Return in words how a perplexity was measured."""
    return (
        f"batch size {protocol.get('batch_size')}, state {protocol.get('state')}, "
        f"{protocol.get('method')} evaluation, matrix multiplication in {protocol.get('matmul_precision')}"
    )
