"""A corpus and config -> a run folder with trained weights."""

import inspect
import logging
import signal
import sys
import warnings
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger
from tabulate import tabulate
from tqdm.contrib.logging import logging_redirect_tqdm

from lm.config import Config
from lm.data.corpus import Corpus
from lm.data.datamodule import CorpusDataModule
from lm.data.sentences import Sentences
from lm.models.language_model import LanguageModel
from lm.run_dir import RunDir
from lm.training.best_checkpoint import BestCheckpoint
from lm.training.checkpointing import AtomicCheckpointIO, Diverged, LastCheckpoint, StopOnNonFiniteLoss
from lm.training.epoch_log import EpochLog, ProgressBar
from lm.training.lightning_module import LanguageModelModule
from lm.training.profiling import NoOpProfiler
from lm.training.resume import metadata
from lm.training.signals import Interrupted

log = logging.getLogger(__name__)

RESERVED_TRAINER_ARGS = {
    "callbacks",
    "enable_model_summary",
    "gradient_clip_algorithm",  # the task clips, by max_grad_norm, and would look at neither
    "gradient_clip_val",
    "logger",
    "max_epochs",
    "num_sanity_val_steps",
    "plugins",
    "precision",
    "use_distributed_sampler",
}
"""Arguments of Lightning's Trainer that are not the user's: options of this project stand for some."""


def fit(
    config: Config,
    corpus: Corpus,
    run: RunDir,
    trainer_options: dict[str, Any],
    callbacks: Sequence[pl.Callback] = (),
    checkpoint_every_minutes: float = 10,
) -> pl.Trainer:
    """Train, and keep the best and the last weights in the run's folder; go on from the last if they are there.

    Args:
        config: the model and its training.
        corpus: what it learns.
        run: the folder that everything goes to.
        trainer_options: arguments of `pytorch_lightning.Trainer`.
        callbacks: what else is to happen while it trains.
        checkpoint_every_minutes: between two checkpoints within an epoch.

    With several devices this is called in the process of each, of which the first one writes, and all return.

    Raises:
        ValueError: where the batch can't be shared out among the devices.
        Interrupted: where the process was told to end; the last checkpoint is of that moment.
        Diverged: where the loss is no longer finite.
    """
    quiet_lightning()
    pl.seed_everything(config.seed, verbose=False)
    model = LanguageModel(len(corpus.vocabulary), **config.model_arguments())
    log.info(describe_parameters(model))
    task = LanguageModelModule(model, config, metadata(config, corpus))
    windows = CorpusDataModule(corpus, config.batches())
    if isinstance(windows.train, Sentences):
        log.info(describe_sentences(windows.train))
    trainer = _trainer(config, run, trainer_options, callbacks, checkpoint_every_minutes)
    check_devices(trainer.world_size, trainer_options["strategy"], config.batch_size)
    trainer.precision_plugin.convert_module(
        task
    )  # Lightning does it after a checkpoint is loaded, which rounds float64
    try:
        with logging_redirect_tqdm():  # lines stand above the progress bar, not in it
            trainer.fit(task, windows, ckpt_path=run.last if run.has_checkpoint else None, weights_only=True)
    except (Interrupted, Diverged):
        raise  # in all processes at once
    except BaseException:
        if trainer.strategy.launcher is not None:
            trainer.strategy.launcher.kill(signal.SIGKILL)  # the other processes, which would wait for this one
        raise
    return trainer


def check_trainer_options(options: Collection[str]) -> None:
    """Make sure that Lightning's Trainer takes the options, and that this project does not set them itself.

    Raises:
        ValueError: where it does not, or this project does.
    """
    known = inspect.signature(pl.Trainer).parameters.keys() - RESERVED_TRAINER_ARGS
    for name in (name for name in options if name not in known):
        close = [] if name in RESERVED_TRAINER_ARGS else get_close_matches(name, known, n=1)
        plus = "" if close and close[0] in options else "+"  # for what `conf/` does not write out
        advice = f"type {plus}trainer.{close[0]}=" if close else "leave it out"
        found = (
            f"trainer.{name}=, which this project sets itself" if name in RESERVED_TRAINER_ARGS else f"trainer.{name}="
        )
        raise ValueError(f"expected an argument of Lightning's Trainer, found {found}: {advice}")


def check_devices(devices: int, strategy: str, batch_size: int) -> None:
    """Make sure that a batch can be shared out among the devices.

    Raises:
        ValueError: where that can't be.
    """
    if devices > batch_size:
        raise ValueError(
            f"expected at most batch_size={batch_size} devices, a column each, found {devices}: "
            f"type trainer.devices={batch_size} or less, or batch_size={devices}"
        )
    if devices > 1 and strategy not in ("auto", "ddp"):
        raise ValueError(
            f"expected trainer.strategy=ddp for {devices} devices, found {strategy}: type trainer.strategy=ddp"
        )


def quiet_lightning() -> None:
    """Silence warnings of Lightning's that the user can do nothing about, and what results say anyway."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # here, for it sets its own level when it is imported
    logging.getLogger("pytorch_lightning.profilers").setLevel(logging.INFO)  # who asks for a profile wants to see it
    for message in (
        r".*LeafSpec.*is deprecated",  # its tree walk uses a name that torch deprecates
        r"The number of training batches .* is smaller than the logging interval",  # there is a line an epoch as well
        r"Checkpoint directory .* exists and is not empty",  # where a run goes on, that is meant
    ):
        warnings.filterwarnings("ignore", message)


def describe_parameters(model: LanguageModel) -> str:
    """Return the parameters by part as a table, beside them those of the same cells with one bias a gate."""
    counts, textbook = model.parameter_counts(), model.parameter_counts(biases=1)
    rows = [(part, f"{count:,}", f"{textbook[part]:,}") for part, count in counts.items()]
    header = ("part", "parameters", "with one bias a gate")
    return tabulate(rows, header, "simple", colalign=("left", "right", "right"), disable_numparse=True)


def describe_sentences(batches: Sentences) -> str:
    """Return in a sentence what sentence batches add to the text, and what they leave out."""
    words = f"{batches.num_targets:,} words to predict in {len(batches):,} batches"
    return f"sentences: {words}, {batches.padding:.1%} of the places padding, {batches.num_truncated:,} words trimmed"


def log_hyperparameters(trainer: pl.Trainer, config: Config, results: dict[str, Any]) -> None:
    """Give TensorBoard's hparams tab a line that compares this run to others, by the best weights' perplexities."""
    assert isinstance(trainer.logger, TensorBoardLogger)
    metrics = {f"result/{name}": results["best"][name] for name in ("valid_ppl", "test_ppl")}
    trainer.logger.log_hyperparams(config.defining(), metrics)
    trainer.logger.finalize("success")


def _trainer(
    config: Config, run: RunDir, options: dict[str, Any], callbacks: Sequence[pl.Callback], minutes: float
) -> pl.Trainer:
    options = dict(options)
    options["profiler"] = options.get("profiler") or NoOpProfiler()
    # A bar in a file is thousands of lines; there the line an epoch says enough.
    bar = [ProgressBar()] if options.pop("enable_progress_bar") and sys.stderr.isatty() else []
    every = options["log_every_n_steps"]
    best, last = BestCheckpoint(run.checkpoints), LastCheckpoint(run.last, minutes, every)
    return pl.Trainer(
        **options,
        max_epochs=config.epochs,
        logger=_logger(config, run),
        callbacks=[EpochLog(run, every), *callbacks, StopOnNonFiniteLoss(every), best, last, *bar],
        plugins=[AtomicCheckpointIO()],
        enable_progress_bar=bool(bar),
        num_sanity_val_steps=0,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _logger(config: Config, run: RunDir) -> TensorBoardLogger:
    logger = TensorBoardLogger(run.folder.parent, name="", version=run.folder.name, default_hp_metric=False)
    logger.hparams = config.defining()  # it writes hparams.yaml once, before it is given any
    return logger
