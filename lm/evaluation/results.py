"""A saved run and its corpus -> the numbers of the table."""

import math
from statistics import median
from typing import Any

import torch

from lm.data.corpus import Corpus
from lm.data.module import evaluation_streams
from lm.evaluation.score import Score, score
from lm.training.machine import exact_products
from lm.training.run import Run


def widths(batch_size: int) -> dict[str, int]:
    """Return the columns in which each split is scored: the held-out ones as one unbroken text, without cold starts."""
    return {"train": batch_size, "valid": 1, "test": 1}


def score_run(run: Run, corpus: Corpus, device: torch.device, name: str = "best") -> dict[str, Score]:
    """Score all splits with the weights of the checkpoint `best` or `last`, whatever precision they were trained in."""
    model, _, identity = run.load(name)
    model.to(device)
    with exact_products():
        return {
            split: score(model, evaluation_streams(corpus, split, width), device, f"{split} with the {name} weights")
            for split, width in widths(identity["settings"]["batch_size"]).items()
        }


def final_results(run: Run, corpus: Corpus, device: torch.device) -> dict[str, Any]:
    """Return what `results.json` says of perplexity: of the best weights by validation, of the last, and how measured.

    This is the only place where training meets the test split.
    """
    epochs = run.epochs()
    best_epoch = min(epochs, key=lambda row: (math.isnan(row["valid_ppl"]), row["valid_ppl"]))["epoch"]
    best = score_run(run, corpus, device, "best")
    last = best if best_epoch == epochs[-1]["epoch"] else score_run(run, corpus, device, "last")
    return {
        "epochs": len(epochs),
        "best_epoch": int(best_epoch),
        "best": {f"{split}_ppl": value.ppl for split, value in best.items()},
        "last": {f"{split}_ppl": value.ppl for split, value in last.items()},
        "protocol": {split: value.protocol for split, value in best.items()},
        "seconds": round(sum(row["seconds"] for row in epochs), 1),
        "tokens_per_second": round(median(row["tokens_per_second"] for row in epochs)),
    }
