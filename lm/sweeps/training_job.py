"""A config -> one trained run: alone, as one of a sweep, or on one of several devices."""

import gc
import logging
import logging.config
import math
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities import rank_zero_only

from lm.cli import USER_ERRORS, sentence
from lm.config import Config
from lm.data.batching import OPTIONS, describe, source_options
from lm.data.corpus import Corpus, load_corpus
from lm.data.sources import make_source
from lm.evaluation.final_results import final_results
from lm.generation.log_samples import LogSamples
from lm.run_dir import RunDir, RunMismatch, metadata
from lm.sweeps.outcome import outcome
from lm.sweeps.stop_file import StopFile
from lm.training.checkpointing import Diverged, Interrupted
from lm.training.hardware import (
    configure_malloc,
    describe_device,
    explain_out_of_memory,
    resolve_device,
    set_precision,
    versions,
)
from lm.training.lightning_module import LanguageModelModule
from lm.training.trainer import check_trainer_options, fit, log_hyperparameters

log = logging.getLogger(__name__)

GROUPS = ("cell", "data", "schedule", "experiment")
"""Options that stand for several."""


@explain_out_of_memory()
def train(config: DictConfig, run: RunDir) -> dict[str, Any]:
    """Train one run, score it and write its results; return them. A run that was broken off goes on.

    With several devices each has a process, and all but the first are done when the training is: they return nothing.

    Raises:
        ValueError, FileNotFoundError: where the config asks for what can't be had.
        OSError, MemoryError: where the disk or the memory is too small.
        Interrupted, Diverged: as `fit`.
    """
    settings = settings_of(config)
    gc.collect()  # cycles may still hold the run before, which may have been too large
    configure_malloc()
    if config.num_threads:
        torch.set_num_threads(config.num_threads)
        os.environ["OMP_NUM_THREADS"] = str(
            config.num_threads
        )  # or Lightning takes a number of its own for each device
    options = trainer_options(config)
    options["precision"], precision_in_words = set_precision(config.precision, resolve_device(options["accelerator"]))
    log.info(f"precision: {precision_in_words}")
    corpus = load_corpus(make_source(**source_options(config.data)))
    check_vocabulary(config, corpus)
    if run.has_checkpoint:
        run.check_resumable(metadata(settings, corpus))
        run.save_epochs(settings.epochs)
    if run.finished(settings.epochs):
        log.info(f"finished already: {run.folder}")
        return run.results()
    run.results_path.unlink(missing_ok=True)
    trainer = fit(settings, corpus, run, options, [LogSamples(corpus.vocabulary)], config.checkpoint_every_minutes)
    if not trainer.is_global_zero:
        return {}
    task, device = trainer.lightning_module, trainer.strategy.root_device
    assert isinstance(task, LanguageModelModule)
    results = {
        **outcome(config, "finished"),
        "parameters": task.model.parameter_counts(),
        **final_results(run, corpus, device),
        "batching": describe(settings.batches().training(corpus)),
        "corpus": describe_corpus(corpus),
        "versions": versions(),
        "device": describe_device(device, trainer.world_size),
        "precision": precision_in_words,
    }
    log_hyperparameters(trainer, settings, results)
    run.write_results(results)
    log.info(summary(results, run))
    return results


def summary(results: dict[str, Any], run: RunDir) -> str:
    """Return what a run came to, in two lines."""
    best = results["best"]
    return (
        f"best weights, of epoch {results['best_epoch']}: perplexity train {best['train_ppl']:.2f}, "
        f"valid {best['valid_ppl']:.2f}, test {best['test_ppl']:.2f}\nall of it: {run.folder}"
    )


def settings_of(config: DictConfig) -> Config:
    """Return the config's typed settings, checked."""
    names = [field.name for field in fields(Config) if field.name != "cell"]
    values = {name: config.data[name] if name in OPTIONS else config[name] for name in names}
    return Config(cell=config.cell.name, **values)


def trainer_options(config: DictConfig) -> dict[str, Any]:
    """Return the arguments for Lightning's Trainer.

    Raises:
        ValueError: where it has no such argument, or it is not the user's.
    """
    options: dict[str, Any] = OmegaConf.to_container(config.trainer, resolve=True)  # type: ignore[assignment]
    check_trainer_options(options)
    if options["accelerator"] == "auto" and resolve_device("auto").type == "cpu":
        options["accelerator"] = "cpu"  # Apple's GPUs have no float64, in which nats are summed
    return options


def check_vocabulary(config: DictConfig, corpus: Corpus) -> None:
    """Make sure that sizes matched for equal parameters (`conf/experiment/`) were matched for this corpus.

    Raises:
        ValueError: where they were not.
    """
    expected, found = OmegaConf.select(config, "equal_parameters.vocabulary_size"), len(corpus.vocabulary)
    if expected not in (None, found):
        raise ValueError(
            f"expected a corpus of {expected} words, for which the sizes match, found {found} in {corpus.name}: "
            f"type equal_parameters.vocabulary_size={found}"
        )


def describe_corpus(corpus: Corpus) -> dict[str, Any]:
    """Return what `results.json` says of the corpus."""
    return {
        "name": corpus.name,
        "sha256": corpus.sha256,
        "vocabulary": len(corpus.vocabulary),
        "tokens": {split: len(ids) for split, ids in corpus.splits.items()},
        "floor_ppl": corpus.floor_ppl,
    }


def resumed(config: DictConfig, run: RunDir, typed: Sequence[str]) -> DictConfig:
    """Return the config that a run was started with, under what is typed now.

    Raises:
        ValueError: where a group of options is typed, which a run can't change on its way.
        FileNotFoundError: where the run's config is missing.
    """
    saved = run.config()
    for key in (override.lstrip("+").partition("=")[0] for override in typed):
        if key in GROUPS:
            raise ValueError(f"expected options of the run to go on, found {key}=: leave it out, or start a new run")
        OmegaConf.update(saved, key, OmegaConf.select(config, key), force_add=True)
    return saved


def train_single(config: DictConfig, folder: Path, typed: Sequence[str]) -> float:
    """Train one run, or go on with it; an interruption or a divergence is written down and told."""
    run = RunDir(folder)
    config = config if config.resume is None else resumed(config, run, typed)
    if getattr(rank_zero_only, "rank", 0) != 0:
        return train_rank(config, run)
    try:
        return float(train(config, run)["best"]["valid_ppl"])
    except Interrupted as stop:
        run.write_results(outcome(config, "interrupted", str(stop)))
        sys.exit(f"{stop}; to go on, type: python -m lm.train resume='{run.folder}'")
    except Diverged as error:
        run.write_results(outcome(config, "diverged", str(error)))
        sys.exit(f"error: {error}")


def train_in_sweep(config: DictConfig, folder: Path, job_logging: dict[str, Any]) -> None:
    """Train one run of a sweep, in a process of its own; whatever happens is written down, so that the others go on."""
    logging.config.dictConfig(job_logging)
    run, sweep = RunDir(folder), folder.parent
    try:
        train(config, run)
    except Interrupted as stop:
        log.info(f"{run.folder.name} {stop}")
        run.write_results(outcome(config, "interrupted", str(stop)))
    except RunMismatch as error:
        StopFile(sweep).write(str(error))  # the whole sweep is meant for another folder: what is there stays as it is
    except Exception as error:
        expected = isinstance(error, (*USER_ERRORS, Diverged))
        told = sentence(error) if expected else str(error)
        log.error(f"{run.folder.name} failed: {told}", exc_info=None if expected else error)
        status = "diverged" if isinstance(error, Diverged) else "failed"
        write_if_possible(run, outcome(config, status, f"{type(error).__name__}: {told}"))


def train_rank(config: DictConfig, run: RunDir) -> float:
    """Train on one of several devices, for the process of the first, which alone writes and tells."""
    logging.disable()
    with suppress(Interrupted, Diverged):
        train(config, run)
    return math.nan


def write_if_possible(run: RunDir, results: dict[str, Any]) -> None:
    """Write how a run failed; where not even that can be written, the report has it as broken off."""
    try:
        run.write_results(results)
    except OSError as error:
        log.error(sentence(error))
