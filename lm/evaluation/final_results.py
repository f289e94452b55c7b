"""A saved run and its corpus -> the perplexities of `results.json`, and the nats of every token."""

import logging
from collections.abc import Mapping
from statistics import median
from typing import Any

import numpy as np
import torch

from lm.data.corpus import Corpus
from lm.data.sources import SPLITS
from lm.evaluation.evaluation_loop import EvalResult, evaluate
from lm.evaluation.loading import load_saved_run
from lm.run_dir import RunDir
from lm.run_files import write_arrays

log = logging.getLogger(__name__)


def score_run(
    run: RunDir, corpus: Corpus, device: torch.device, checkpoint: str = "best", score_train: bool = True
) -> dict[str, EvalResult]:
    """Score the splits with the weights of a checkpoint, `best` or `last`; validation and test token by token."""
    saved = load_saved_run(run.folder, checkpoint, device)
    model, batching = saved.model, saved.config.batches()
    splits = [split for split in SPLITS if score_train or split != "train"]
    log.info(f"scoring {', '.join(splits)} with the {checkpoint} weights")
    return {
        split: evaluate(
            model,
            batching.final_evaluation(corpus, split),
            progress=f"{split}, {checkpoint} weights",
            per_token=split != "train",
        )
        for split in splits
    }


def final_results(run: RunDir, corpus: Corpus, device: torch.device, score_train: bool = True) -> dict[str, Any]:
    """Return the perplexities of the best and the last weights, and how they were measured; write `nats.npz`.

    This is the only place where training meets the test split. Without `score_train`, the perplexity and the protocol
    of the training split are None.
    """
    epochs, best_epoch = run.epochs, run.checkpoint("best")["epoch"] + 1
    best = score_run(run, corpus, device, "best", score_train)
    write_arrays(run.nats_path, nats_arrays(best, corpus))
    last = best if best_epoch == len(epochs) else score_run(run, corpus, device, "last", score_train)
    return {
        "epochs": len(epochs),
        "best_epoch": best_epoch,
        "best": _perplexities(best, corpus.vocabulary.is_characters),
        "last": _perplexities(last, corpus.vocabulary.is_characters),
        "protocol": {split: best[split].protocol if split in best else None for split in SPLITS},
        "seconds": round(sum(row["seconds"] for row in epochs), 1),
        "tokens_per_second": round(median(row["tokens_per_second"] for row in epochs)),
    }


def nats_arrays(results: Mapping[str, EvalResult], corpus: Corpus) -> dict[str, np.ndarray]:
    """Return what `nats.npz` holds.

    `valid` and `test` are the nats of every scored token in the order of the text, [tokens] in float32. The
    `exp(mean)` of them in float64 is the perplexity, given the lengths for a model with length conditioning.
    `valid_sha256` and `test_sha256` are the SHA-256 of the tokens' ids as little-endian int64.
    """
    arrays = {}
    for split, result in results.items():
        if result.token_nats is not None:
            arrays[split] = result.token_nats.numpy().astype(np.float32)
            arrays[f"{split}_sha256"] = np.array(corpus.text_sha256(split, result.tokens))
    return arrays


def _perplexities(results: Mapping[str, EvalResult], characters: bool) -> dict[str, float | None]:
    ppls = {f"{split}_ppl": results[split].ppl if split in results else None for split in SPLITS}
    bits = {f"{split}_bpc": result.bits_per_token for split, result in results.items() if characters}
    given_length = {f"{split}_ppl_given_length": result.ppl_given_length for split, result in results.items()}
    return ppls | bits | {name: ppl for name, ppl in given_length.items() if ppl is not None}
