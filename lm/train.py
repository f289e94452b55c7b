"""Train a model, or a sweep of them.

python -m lm.train cell=lstm dropout=0.25                  # one run
python -m lm.train -m cell=lstm,gru dropout=0,0.25         # a sweep: four runs, one table, one figure
python -m lm.train --cfg job --resolve                     # all options, and what they come to
python -m lm.train resume=outputs/2026-01-31/12-00-00      # go on with an interrupted run
"""

import logging
import warnings
from dataclasses import fields
from pathlib import Path
from typing import Any

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from lm.config import one_sentence_errors
from lm.data.corpus import Corpus, load_corpus
from lm.data.sources import make_source
from lm.evaluation.results import final_results
from lm.training.fit import fit
from lm.training.machine import describe_device, keep_memory, set_precision, versions
from lm.training.run import Run
from lm.training.settings import Settings

log = logging.getLogger(__name__)


def settings_from(config: DictConfig) -> Settings:
    """Return the config's typed settings, checked."""
    values = {field.name: config[field.name] for field in fields(Settings) if field.name != "cell"}
    return Settings(cell=config.cell.name, **values)


def train(config: DictConfig, run: Run) -> dict[str, Any]:
    """Train and score one run; return what `results.json` then holds."""
    settings = settings_from(config)
    options = prepare_machine(config)
    corpus = load_corpus(make_source(**config.data))
    trainer, model = fit(settings, corpus, run, options, resume=run.was_started)
    device = trainer.strategy.root_device
    epochs = trainer.callbacks[0].rows
    results = {
        "status": "finished",
        "error": None,
        "cell": settings.cell,
        "dropout": settings.dropout,
        "seed": settings.seed,
        "parameters": model.parameter_counts(),
        "epochs": len(epochs),
        **final_results(run, corpus, epochs, device),
        "corpus": describe_corpus(corpus),
        "seconds": round(sum(row["seconds"] for row in epochs), 1),
        "tokens_per_second": sorted(row["tokens_per_second"] for row in epochs)[len(epochs) // 2],
        "versions": versions(),
        "device": describe_device(device),
        "precision": torch.get_float32_matmul_precision(),
    }
    run.write_results(results)
    return results


def prepare_machine(config: DictConfig) -> dict[str, Any]:
    """Set threads, memory and precision for this process, and return the Trainer's options."""
    keep_memory()
    if config.threads:
        torch.set_num_threads(config.threads)
    options: dict[str, Any] = OmegaConf.to_container(config.trainer, resolve=True)  # type: ignore[assignment]
    options["precision"], chosen = set_precision(config.precision)
    log.info(chosen)
    return options


def describe_corpus(corpus: Corpus) -> dict[str, Any]:
    """Return what `results.json` says of the corpus."""
    return {
        "name": corpus.name,
        "sha256": corpus.sha256,
        "vocabulary": len(corpus.vocabulary),
        "tokens": {split: len(ids) for split, ids in corpus.splits.items()},
        "floor_ppl": corpus.floor_ppl,
    }


@one_sentence_errors
@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
def main(config: DictConfig) -> float:
    """Train what the command line says; return the validation perplexity, for sweepers that minimise it."""
    run = Run(Path(HydraConfig.get().runtime.output_dir))
    results = train(config, run)
    return results["best"]["valid_ppl"]


if __name__ == "__main__":
    main()
