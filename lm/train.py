"""Train a model, or a sweep of them.

python -m lm.train cell=lstm dropout=0.25                  # one run
python -m lm.train -m cell=lstm,gru dropout=0,0.25         # a sweep: four runs, one table, one figure
python -m lm.train data.batching=sentences                 # each sentence by itself, not one long text
python -m lm.train --cfg job --resolve                     # all options, and what they come to
"""

import logging
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from lm.config import command
from lm.data.batching import OPTIONS, describe, source_options
from lm.data.corpus import Corpus, load_corpus
from lm.data.sources import make_source
from lm.decoding.callback import WriteSamples
from lm.evaluation.results import final_results
from lm.model.language_model import LanguageModel
from lm.terminal import literal_options
from lm.training.fit import fit, log_hyperparameters
from lm.training.machine import describe_device, keep_memory, set_precision, versions
from lm.training.run import Run
from lm.training.settings import Settings

log = logging.getLogger(__name__)


def train(config: DictConfig, run: Run) -> dict[str, Any]:
    """Train one run, score it and write its results; return them.

    Raises:
        ValueError, FileNotFoundError: where the config asks for what can't be had.
    """
    settings = settings_of(config)
    keep_memory()
    if config.threads:
        torch.set_num_threads(config.threads)
    precision, precision_in_words = set_precision(config.precision)
    log.info(f"precision: {precision_in_words}")
    corpus = load_corpus(make_source(**source_options(config.data)))
    options = trainer_options(config) | {"precision": precision}
    trainer = fit(settings, corpus, run, options, callbacks=[WriteSamples(corpus.vocabulary)])
    device = trainer.strategy.root_device
    results = {
        **outcome(settings, "finished"),
        "parameters": LanguageModel(len(corpus.vocabulary), **settings.model_arguments()).parameter_counts(),
        **final_results(run, corpus, device),
        "batching": describe(settings.batches().training(corpus)),
        "corpus": describe_corpus(corpus),
        "versions": versions(),
        "device": describe_device(device),
        "precision": precision_in_words,
    }
    log_hyperparameters(trainer, settings, results)
    run.write_results(results)
    return results


def settings_of(config: DictConfig) -> Settings:
    """Return the config's typed settings, checked."""
    names = [field.name for field in fields(Settings) if field.name != "cell"]
    values = {name: config.data[name] if name in OPTIONS else config[name] for name in names}
    return Settings(cell=config.cell.name, **values)


def trainer_options(config: DictConfig) -> dict[str, Any]:
    """Return the arguments for Lightning's Trainer."""
    options: dict[str, Any] = OmegaConf.to_container(config.trainer, resolve=True)  # type: ignore[assignment]
    if options["accelerator"] == "auto" and not torch.cuda.is_available():
        options["accelerator"] = "cpu"  # Apple's GPUs have no float64, in which nats are summed
    return options


def outcome(settings: Settings, status: str, error: str | None = None) -> dict[str, Any]:
    """Return what `results.json` says first: how the run ended, and which one it was."""
    return {
        "status": status,
        "error": error,
        "cell": settings.cell,
        "dropout": settings.dropout,
        "seed": settings.seed,
    }


def describe_corpus(corpus: Corpus) -> dict[str, Any]:
    """Return what `results.json` says of the corpus."""
    return {
        "name": corpus.name,
        "sha256": corpus.sha256,
        "vocabulary": len(corpus.vocabulary),
        "tokens": {split: len(ids) for split, ids in corpus.splits.items()},
        "floor_ppl": corpus.floor_ppl,
    }


def train_in_sweep(config: DictConfig, run: Run) -> float:
    """Train one run of a sweep; a failure is written down, so that the sweep goes on with the others."""
    try:
        return float(train(config, run)["best"]["valid_ppl"])
    except Exception as error:
        expected = isinstance(error, ValueError | FileNotFoundError)
        log.error(f"{run.folder.name} failed: {error}", exc_info=None if expected else error)
        failed = {"status": "failed", "error": f"{type(error).__name__}: {error}"}
        run.write_results(failed | {"cell": config.cell.name, "dropout": config.dropout, "seed": config.seed})
        return math.nan


@literal_options("data.dir", "resume")
@command("train")
def main(config: DictConfig) -> float:
    """Train what the command line says; return the validation perplexity, which a sweeper may minimise."""
    run = Run(Path(HydraConfig.get().runtime.output_dir))
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return train_in_sweep(config, run)
    return float(train(config, run)["best"]["valid_ppl"])


if __name__ == "__main__":
    main()
