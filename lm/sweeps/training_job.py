"""A config -> one trained run: alone, as one of a sweep, or on one of several devices."""

import gc
import logging
import logging.config
import math
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities import rank_zero_only

from lm.cli import USER_ERRORS, one_line
from lm.config import Config, MachineConfig, resumed
from lm.data.batching import describe
from lm.data.corpus import Corpus, load_corpus
from lm.data.sources import make_source
from lm.evaluation.final_results import final_results
from lm.folders import FolderInUse, locked
from lm.generation.log_samples import LogSamples
from lm.output import prepare_streams, print_note
from lm.overrides import typed_command
from lm.run_dir import FINISHED, RunDir
from lm.sweeps.config_check import check_vocabulary_size
from lm.sweeps.stop_file import StopFile
from lm.training.checkpointing import Diverged
from lm.training.hardware import (
    configure_malloc,
    describe_device,
    explain_out_of_memory,
    resolve_device,
    set_precision,
    versions,
)
from lm.training.lightning_module import LanguageModelModule
from lm.training.resume import RunMismatch, check_resumable, metadata
from lm.training.signals import Interrupted
from lm.training.trainer import check_trainer_options, fit, log_hyperparameters

log = logging.getLogger(__name__)

Job = tuple[Config, MachineConfig, RunDir, int | None]
"""The arguments of `train`."""


@explain_out_of_memory()
def train(config: Config, machine: MachineConfig, run: RunDir, vocabulary_size: int | None = None) -> dict[str, Any]:
    """Train one run, score it and write its results; return them. An interrupted run resumes.

    With several devices each has a process. All but the first return nothing after training.

    Args:
        config: the model, its training and its corpus.
        machine: how it is computed.
        run: its folder.
        vocabulary_size: the size that hidden sizes were matched for; None: any.

    Raises:
        ValueError, FileNotFoundError: if the config asks for what is impossible.
        OSError, MemoryError: if the disk or the memory is too small.
        Interrupted, Diverged: as `fit`.
    """
    gc.collect()  # cycles may still hold the run before, which may have been too large
    configure_malloc()
    if machine.num_threads:
        torch.set_num_threads(machine.num_threads)
        os.environ["OMP_NUM_THREADS"] = str(machine.num_threads)  # or Lightning takes its own number for each device
    options = trainer_options(machine.trainer)
    options["precision"], precision = set_precision(machine.precision, resolve_device(options["accelerator"]))
    log.info(f"precision: {precision}")
    corpus = load_corpus(make_source(**config.source))
    check_vocabulary_size(vocabulary_size, corpus)
    if run.has_checkpoint:
        check_resumable(run, metadata(config, corpus))
        run.save_epochs(config.epochs)
    if run.is_finished(config.epochs):
        log.info(f"finished already: {run.folder}")
        return run.results
    run.delete_results()
    trainer = fit(config, corpus, run, options, [LogSamples(corpus.vocabulary)], machine.checkpoint_every_minutes)
    if not trainer.is_global_zero:
        return {}
    results = training_results(config, corpus, run, trainer) | {"precision": precision}
    log_hyperparameters(trainer, config, results)
    run.write_results(results)
    log.info(summary(results, run))
    return results


def training_results(config: Config, corpus: Corpus, run: RunDir, trainer: pl.Trainer) -> dict[str, Any]:
    """Return what `results.json` records of a run whose training has ended."""
    module, device = trainer.lightning_module, trainer.strategy.root_device
    assert isinstance(module, LanguageModelModule)
    return {
        "status": FINISHED,
        "error": None,
        "cell": config.cell,
        "dropout": config.dropout,
        "seed": config.seed,
        "parameters": module.model.parameter_counts(),
        **final_results(run, corpus, device),
        "batching": describe(config.batches().training(corpus)),
        "corpus": describe_corpus(corpus),
        "versions": versions(),
        "device": describe_device(device, trainer.world_size),
    }


def summary(results: dict[str, Any], run: RunDir) -> str:
    """Return what a run came to, in two lines."""
    best = results["best"]
    return (
        f"best weights, of epoch {results['best_epoch']}: perplexity train {best['train_ppl']:.2f}, "
        f"valid {best['valid_ppl']:.2f}, test {best['test_ppl']:.2f}\nall of it: {run.folder}"
    )


def trainer_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments for Lightning's Trainer.

    Raises:
        ValueError: where it has no such argument, or it is not the user's.
    """
    check_trainer_options(options)
    options = dict(options)
    if options["accelerator"] == "auto" and resolve_device("auto").type == "cpu":
        options["accelerator"] = "cpu"  # Apple's GPUs have no float64, in which nats are summed
    return options


def describe_corpus(corpus: Corpus) -> dict[str, Any]:
    """Return what `results.json` says of the corpus."""
    return {
        "name": corpus.name,
        "sha256": corpus.sha256,
        "vocabulary": len(corpus.vocabulary),
        "tokens": {split: len(ids) for split, ids in corpus.splits.items()},
        "unk": corpus.unk,
        "floor_ppl": corpus.floor_ppl,
    }


def train_arguments(composed: DictConfig, run: RunDir) -> Job:
    """Return the arguments of `train`, checked."""
    size = OmegaConf.select(composed, "equal_parameters.vocabulary_size")
    return Config.from_hydra(composed), MachineConfig.from_hydra(composed), run, size


def train_single(composed: DictConfig, folder: Path, typed: Sequence[str]) -> float:
    """Train one run, or go on with it; an interruption or a divergence is written down and told."""
    run = RunDir(folder)
    composed = composed if composed.resume is None else resumed(composed, run, typed)
    job = train_arguments(composed, run)
    if getattr(rank_zero_only, "rank", 0) != 0:
        return train_rank(job)
    try:
        return float(train(*job)["best"]["valid_ppl"])
    except Interrupted as stop:
        run.write_outcome("interrupted", str(stop))
        print_note(f"{stop}; to resume, type: {typed_command('lm.train', ('resume', run.folder))}")
        sys.exit(stop.exit_status)
    except Diverged as error:
        run.write_outcome("diverged", str(error))
        sys.exit(f"error: {error}")


def train_in_sweep(composed: DictConfig, folder: Path, sweep: Path, job_logging: dict[str, Any]) -> None:
    """Train one run of a sweep, in a process of its own. Every outcome is recorded, and the other runs continue.

    Args:
        composed: the composed config of the run.
        folder: the run's folder.
        sweep: the sweep's folder.
        job_logging: how the run logs, for `logging.config`.
    """
    prepare_streams()
    logging.config.dictConfig(job_logging)
    run = RunDir(folder)
    try:
        with locked(folder):
            train(*train_arguments(composed, run))
    except Interrupted as stop:
        reason = StopFile(sweep).signal()
        log.info(f"{run.folder.name} stopped by {reason.name}" if reason else f"{run.folder.name} {stop}")
        run.write_outcome("interrupted", f"stopped by {reason.name}" if reason else str(stop))
    except FolderInUse as error:
        log.error(one_line(error))  # the other process writes the outcome
    except RunMismatch as error:
        StopFile(sweep).write(str(error))  # the folder is of another sweep, whose runs stay as they are
    except Exception as error:
        expected = isinstance(error, (*USER_ERRORS, Diverged))
        told = one_line(error) if expected else str(error)
        log.error(f"{run.folder.name} failed: {told}", exc_info=None if expected else error)
        status = "diverged" if isinstance(error, Diverged) else "failed"
        write_if_possible(run, status, f"{type(error).__name__}: {told}")


def train_rank(job: Job) -> float:
    """Train on one of several devices, for the process of the first, which alone writes and tells."""
    logging.disable()
    with suppress(Interrupted, Diverged):
        train(*job)
    return math.nan


def write_if_possible(run: RunDir, status: str, error: str) -> None:
    """Write how a run failed; where not even that can be written, the report has it as broken off."""
    try:
        run.write_outcome(status, error)
    except OSError as failure:
        log.error(one_line(failure))
