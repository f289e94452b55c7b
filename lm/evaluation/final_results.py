"""A saved run and its corpus -> the numbers of the table."""

import logging
import math
from statistics import median
from typing import Any

import torch

from lm.config import Config
from lm.data.corpus import Corpus
from lm.data.sources import SPLITS
from lm.evaluation.evaluation_loop import EvalResult, evaluate
from lm.evaluation.loading import load_weights
from lm.run_dir import RunDir

log = logging.getLogger(__name__)


def score_run(run: RunDir, corpus: Corpus, device: torch.device, name: str = "best") -> dict[str, EvalResult]:
    """Score all splits with the weights of the checkpoint `best` or `last`, in float32 with the products in force."""
    model, _, metadata = load_weights(run, name)
    model.to(device)
    batching = Config(**metadata["config"]).batches()
    log.info(f"scoring all of the text with the {name} weights")
    return {
        split: evaluate(model, batching.final_evaluation(corpus, split), progress=f"{split} with the {name} weights")
        for split in SPLITS
    }


def final_results(run: RunDir, corpus: Corpus, device: torch.device) -> dict[str, Any]:
    """Return what `results.json` says of perplexity: of the best weights by validation, of the last, and how measured.

    This is the only place where training meets the test split.
    """
    epochs = run.epochs
    best_epoch = min(epochs, key=lambda row: (math.isnan(row["valid_ppl"]), row["valid_ppl"]))["epoch"]
    best = score_run(run, corpus, device, "best")
    last = best if best_epoch == epochs[-1]["epoch"] else score_run(run, corpus, device, "last")
    return {
        "epochs": len(epochs),
        "best_epoch": int(best_epoch),
        "best": _perplexities(best),
        "last": _perplexities(last),
        "protocol": {split: value.protocol for split, value in best.items()},
        "seconds": round(sum(row["seconds"] for row in epochs), 1),
        "tokens_per_second": round(median(row["tokens_per_second"] for row in epochs)),
    }


def _perplexities(scores: dict[str, EvalResult]) -> dict[str, float]:
    told = {f"{split}_ppl_given_length": score.ppl_given_length for split, score in scores.items()}
    return {f"{split}_ppl": score.ppl for split, score in scores.items()} | {
        name: value for name, value in told.items() if value is not None
    }
