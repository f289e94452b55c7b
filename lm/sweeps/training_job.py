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
from pkgutil import resolve_name
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities import rank_zero_only

from lm.cli import USER_ERRORS, one_line
from lm.config import Config
from lm.data.batching import describe
from lm.data.corpus import Corpus, load_corpus
from lm.data.datamodule import CorpusDataModule
from lm.data.download import DownloadFailed
from lm.data.sources import SPLITS, make_source
from lm.evaluation.final_results import final_results
from lm.folders import FolderInUse, locked
from lm.generation.log_samples import LogSamples
from lm.machine_config import MachineConfig, resumed
from lm.output import prepare_streams, print_note, short
from lm.overrides import typed_command
from lm.run_dir import RunDir
from lm.run_files import DIVERGED, FAILED, FINISHED, INTERRUPTED, NOT_STARTED, PRUNED
from lm.sweeps.config_check import check_vocabulary_size
from lm.sweeps.stop_file import StopFile
from lm.sweeps.sweep_dir import has_one_corpus
from lm.sweeps.sweep_job import record, record_single_failure
from lm.training.divergence import Diverged, check_finite
from lm.training.early_stopping import stopped_early
from lm.training.hardware import (
    configure_malloc,
    describe_device,
    explain_out_of_memory,
    resolve_device,
    set_precision,
    versions,
)
from lm.training.lightning_module import LanguageModelModule
from lm.training.loggers import closing_loggers, log_results
from lm.training.resume import RunMismatch, check_resumable, metadata
from lm.training.signals import Interrupted, StopRequest, on_stop_signals
from lm.training.trainer import check_limits, fit, trainer_arguments

log = logging.getLogger(__name__)


@explain_out_of_memory()
def train_run(
    config: Config,
    machine: MachineConfig,
    run: RunDir,
    vocabulary_size: int | None = None,
    callbacks: Sequence[pl.Callback] = (),
    announcement: str = "",
) -> dict[str, Any]:
    """Train one run, score it and write its results; return them. An interrupted run resumes.

    With several devices this runs in a process per device. Only the first one returns results. The corpus must have
    `vocabulary_size` words, for which hidden sizes were matched (None: any number). `announcement` is logged before
    training.

    Raises:
        ValueError, FileNotFoundError: if the config cannot be trained.
        OSError, MemoryError: if the disk or the memory is too small.
        Interrupted, Diverged: as `fit`.
    """
    gc.collect()  # reference cycles may still hold the previous run, which may have been too large
    configure_malloc()
    if machine.num_threads:
        torch.set_num_threads(machine.num_threads)
        os.environ["OMP_NUM_THREADS"] = str(machine.num_threads)  # otherwise Lightning chooses a number per device
    device = resolve_device(machine.trainer.accelerator)
    lightning_precision, precision = set_precision(machine.precision, device)
    arguments = trainer_arguments(machine, lightning_precision)
    corpus = load_corpus(make_source(**config.source))
    check_vocabulary_size(vocabulary_size, corpus)
    if run.has_checkpoint:
        check_resumable(run, metadata(config, corpus))
    if run.is_finished(config.epochs):
        log.info(f"finished already: {run.folder}")
        return run.results
    batches, stop = CorpusDataModule(corpus, config.batches()), StopRequest()
    check_limits(machine, batches)
    with closing_loggers():
        with on_stop_signals(stop):
            stop.deferred = True  # from here on a signal waits for a step, after which a checkpoint is written
            log.info(f"{announcement}\n{describe_start(corpus, run, device, precision)}".lstrip())
            trainer = fit(config, batches, run, machine, arguments, [LogSamples(corpus.vocabulary), *callbacks], stop)
            if not trainer.is_global_zero:
                return {}
            results = training_results(config, machine, corpus, run, trainer) | {"precision": precision}
        log_results(trainer.loggers, results["best"])
    run.write_results(results)
    log.info(result_text(results, run))
    return results


def training_results(
    config: Config, machine: MachineConfig, corpus: Corpus, run: RunDir, trainer: pl.Trainer
) -> dict[str, Any]:
    """Return what `results.json` records of a run whose training has ended.

    Raises:
        Diverged: if a perplexity is not finite.
    """
    module, device = trainer.lightning_module, trainer.strategy.root_device
    assert isinstance(module, LanguageModelModule)
    scored = final_results(run, corpus, device, machine.scores_train)
    check_finite(scored)
    return {
        "status": FINISHED,
        "error": None,
        "cell": config.cell,
        "dropout": config.dropout,
        "seed": config.seed,
        "parameters": module.model.parameter_counts(),
        "stopped_early": stopped_early(trainer),
        **scored,
        "batching": describe(config.batches().training(corpus)),
        "corpus": describe_corpus(corpus),
        "versions": versions(),
        "device": describe_device(device, trainer.world_size),
    }


def describe_start(corpus: Corpus, run: RunDir, device: torch.device, precision: str) -> str:
    """Return what a run prints before it trains."""
    tokens = ", ".join(f"{split} {len(ids):,}" for split, ids in corpus.splits.items())
    unk = ", ".join(f"{split} {found['fraction']:.2%}" for split, found in corpus.unk.items())
    return (
        f"corpus: {corpus.name}, vocabulary: {len(corpus.vocabulary):,}\ntokens: {tokens}; of these <unk>: {unk}\n"
        f"device: {describe_device(device)}, precision: {precision}\nrun folder: {run.folder}"
    )


def result_text(results: dict[str, Any], run: RunDir) -> str:
    """Return the perplexities of a finished run, in two lines."""
    best = {split: results["best"][f"{split}_ppl"] for split in SPLITS}
    shown = ", ".join(f"{split} {'not scored' if ppl is None else short(ppl)}" for split, ppl in best.items())
    return f"best weights, of epoch {results['best_epoch']}: perplexity {shown}\nrun folder: {run.folder}"


def describe_corpus(corpus: Corpus) -> dict[str, Any]:
    """Return what `results.json` records of the corpus."""
    return {
        "name": corpus.name,
        "sha256": corpus.sha256,
        "vocabulary": len(corpus.vocabulary),
        "tokens": {split: len(ids) for split, ids in corpus.splits.items()},
        "unk": corpus.unk,
        "floor_ppl": corpus.floor_ppl,
    }


def train_arguments(composed: DictConfig, run: RunDir) -> tuple[Config, MachineConfig, RunDir, int | None]:
    """Return the arguments of `train_run`, checked."""
    size = OmegaConf.select(composed, "equal_parameters.vocabulary_size")
    return Config.from_hydra(composed), MachineConfig.from_hydra(composed), run, size


def train_single(composed: DictConfig, folder: Path, typed: Sequence[str]) -> float:
    """Train or resume one run, and record how it ended."""
    run = RunDir(folder)
    job = train_arguments(composed if composed.resume is None else resumed(composed, run, typed), run)
    if getattr(rank_zero_only, "rank", 0) != 0:
        logging.disable()  # only the process of the first device writes and logs
        with suppress(Interrupted, Diverged):
            train_run(*job)
        return math.nan
    try:
        results = train_run(*job)
        if (folder.parent / "multirun.yaml").is_file():
            print_note(f"to update the sweep's report, type: {typed_command('lm.report', ('sweep', folder.parent))}")
        return float(results["best"]["valid_ppl"])
    except Interrupted as stop:
        if run.has_checkpoint:
            run.write_outcome(INTERRUPTED, str(stop))
            print_note(f"{stop}; to resume, type: {typed_command('lm.train', ('resume', run.folder))}")
        else:
            print_note(f"{stop} before the first checkpoint")
        sys.exit(stop.exit_status)
    except Diverged as error:
        run.write_outcome(DIVERGED, str(error))
        sys.exit(f"error: {error}")
    except Exception as error:
        record_single_failure(run, error)
        raise


def train_in_sweep(
    composed: DictConfig, folder: Path, sweep: Path, job_logging: dict[str, Any], announcement: str, pruner: Any
) -> None:
    """Train one run of a sweep, in a process of its own. Every outcome is recorded, and the other runs continue.

    `job_logging` is for `logging.config`, `announcement` is logged before training, and `pruner` is the config of
    Optuna's pruner in a search, or None.
    """
    prepare_streams()
    logging.config.dictConfig(job_logging)
    run = RunDir(folder)
    try:
        # Imported in a search only, since it needs the extra `search`.
        reports = [resolve_name("lm.sweeps.pruning:TrialReport")(sweep, run.overrides, pruner)] if pruner else []
        with locked(folder):
            train_run(*train_arguments(composed, run), reports, announcement)
    except Interrupted as stop:
        if pruned := next((trial.pruned for trial in reports), ""):
            log.info(f"{run.name} pruned: {pruned}")
            return record(run, PRUNED, pruned)
        number = StopFile(sweep).signal()
        error = f"stopped by {number.name}" if number else str(stop)  # the sweep stops its runs by SIGTERM
        log.info(f"{run.name} {error}")
        record(run, INTERRUPTED if run.has_checkpoint else NOT_STARTED, error)
    except FolderInUse as error:
        log.error(one_line(error))  # the other process writes the outcome
    except RunMismatch as error:
        StopFile(sweep).write(str(error))  # the folder is of another sweep, whose runs stay as they are
    except Exception as error:
        if isinstance(error, DownloadFailed) and has_one_corpus(sweep):
            return StopFile(sweep).write(one_line(error))  # no run could train, and each would try to download
        expected = isinstance(error, (*USER_ERRORS, Diverged))
        message = one_line(error) if expected else str(error)
        log.error(f"{run.name} failed: {message}", exc_info=None if expected else error)
        diverged = isinstance(error, Diverged)
        record(run, DIVERGED if diverged else FAILED, message if diverged else f"{type(error).__name__}: {message}")
