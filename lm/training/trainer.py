"""A corpus and a config -> a run folder with trained weights."""

import logging
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.profilers import PassThroughProfiler
from tabulate import tabulate
from tqdm.contrib.logging import logging_redirect_tqdm

from lm.checks import unexpected
from lm.config import Config
from lm.data.datamodule import CorpusDataModule
from lm.data.sentences import Sentences
from lm.machine_config import MachineConfig
from lm.models.language_model import LanguageModel
from lm.run_dir import RunDir
from lm.training.averaging import make_averaging
from lm.training.checkpointing import AtomicCheckpointIO, BestCheckpoint, LastCheckpoint
from lm.training.divergence import Diverged, StopOnNonFiniteLoss
from lm.training.early_stopping import StopWithoutImprovement, stopped_early
from lm.training.epoch_log import EpochLog, ProgressBar
from lm.training.hardware import resolve_device
from lm.training.hparams import hyperparameters
from lm.training.lightning_module import LanguageModelModule
from lm.training.loggers import make_loggers
from lm.training.resume import check_restorable, metadata
from lm.training.signals import Interrupted, StopRequest

log = logging.getLogger(__name__)

ACCEPTED = {"accelerator": "auto", "devices": 1, "strategy": "auto", "precision": "auto", "profiler": "simple"}
"""Arguments that only Lightning can check, with a value that it accepts everywhere."""


class NoOpProfiler(PassThroughProfiler):
    """`PassThroughProfiler`, which also records nothing, without its generator for each of some sixty hooks a step."""

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]
        """Return a context in which nothing is recorded."""
        return nullcontext()


def fit(
    config: Config,
    batches: CorpusDataModule,
    run: RunDir,
    machine: MachineConfig,
    arguments: dict[str, Any],
    callbacks: Sequence[pl.Callback] = (),
    stop: StopRequest | None = None,
) -> pl.Trainer:
    """Train, and keep the best weights and the last state in the run's folder; resume from the last state, if any.

    With several devices this runs in a process per device. All return; the first one writes.

    Args:
        config: the model and its training.
        batches: of the corpus.
        run: the folder of the run.
        machine: how it is computed.
        arguments: those of `trainer_arguments`.
        callbacks: further callbacks, called before a checkpoint is written.
        stop: the stop signals of this process.

    Raises:
        ValueError: if the batch cannot be split across the devices, or the checkpoint is damaged.
        Interrupted: if training stopped early; the last checkpoint is of that moment.
        Diverged: if it has diverged.
    """
    quiet_lightning()
    pl.seed_everything(config.seed, verbose=False)
    corpus = batches.corpus
    model = LanguageModel(len(corpus.vocabulary), **config.model_arguments())
    log.info(describe_parameters(model))
    module = LanguageModelModule(model, config, metadata(config, corpus))
    if isinstance(batches.train, Sentences):
        log.info(describe_sentences(batches.train))
    resumed_from = check_restorable(run, module) if run.has_checkpoint else None
    stop = stop or StopRequest()
    seconds, every = machine.trainer.seconds, machine.trainer.log_every_n_steps
    last = LastCheckpoint(run.last, 60 * machine.checkpoint_every_minutes, seconds, every, stop)
    loggers = make_loggers(machine.logger, run, hyperparameters(config, machine, corpus, run), resumed_from)
    trainer = make_trainer(arguments, config, run, loggers, callbacks, last)
    # Its handler of SIGTERM waits for the other devices, and ends training before `last` has written a checkpoint.
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    check_world_size(trainer.world_size, machine.trainer.strategy, config.batch_size)
    # Lightning converts the module only after it has loaded a checkpoint, which would round float64 values.
    trainer.precision_plugin.convert_module(module)
    with ending_other_processes(trainer), logging_redirect_tqdm():  # prints lines above the progress bar
        trainer.fit(module, batches, ckpt_path=run.last if run.has_checkpoint else None, weights_only=True)
    stop.raise_if_stopped()
    if trainer.current_epoch < config.epochs and not stopped_early(trainer):
        raise Interrupted("a callback")
    return trainer


@contextmanager
def ending_other_processes(trainer: pl.Trainer) -> Iterator[None]:
    """On an error, end the processes of the other devices, which would wait for this one."""
    try:
        yield
    except (Interrupted, Diverged):
        raise  # in the processes of all devices at once
    except BaseException as error:
        if trainer.strategy.launcher is not None:
            trainer.strategy.launcher.kill(signal.SIGKILL)
        if isinstance(error, SystemExit):  # Lightning's answer to a second Ctrl-C
            raise KeyboardInterrupt from None
        raise


def trainer_arguments(machine: MachineConfig, precision: str) -> dict[str, Any]:
    """Return the arguments of Lightning's Trainer, which has accepted them.

    Raises:
        ValueError: if it refuses one.
    """
    quiet_lightning()
    arguments = asdict(machine.trainer) | {"precision": precision}
    del arguments["max_time"]  # `LastCheckpoint` stops within an epoch, so that training resumes exactly
    if arguments["accelerator"] == "auto" and resolve_device("auto").type == "cpu":
        arguments["accelerator"] = "cpu"  # GPUs of Apple have no float64, which sums of nats need
    checked: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_model_summary": False}
    for name, value in arguments.items():
        checked[name] = value
        if name in ACCEPTED:
            try:
                pl.Trainer(**checked)
            except (MisconfigurationException, ImportError, TypeError, ValueError) as error:
                key = name if name == "precision" else f"trainer.{name}"
                raise unexpected(key, f"what Lightning accepts here ({error})", value, ACCEPTED[name]) from error
    return arguments


def check_limits(machine: MachineConfig, batches: CorpusDataModule) -> None:
    """Raise a ValueError unless the limits leave a batch of training and one of validation."""
    for split, found in (("train", len(batches.train)), ("val", len(batches.valid))):
        limit = getattr(machine.trainer, f"limit_{split}_batches")
        if isinstance(limit, float) and int(limit * found) == 0:
            wanted = f"1 or more batches, or a fraction that leaves at least one of {found:,}"
            raise unexpected(f"trainer.limit_{split}_batches", wanted, limit, 1)


def check_world_size(devices: int, strategy: str, batch_size: int) -> None:
    """Raise a ValueError unless a batch can be split across the devices."""
    if devices > batch_size:
        raise ValueError(
            f"expected at most batch_size={batch_size} devices, found {devices}: "
            f"type trainer.devices={batch_size} or less, or batch_size={devices}"
        )
    if devices > 1 and strategy not in ("auto", "ddp"):
        raise ValueError(
            f"expected trainer.strategy=ddp for {devices} devices, found {strategy}: type trainer.strategy=ddp"
        )


def quiet_lightning() -> None:
    """Silence messages of Lightning that the user can do nothing about, or that the results repeat."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # not earlier: it sets its own level when it is imported
    logging.getLogger("pytorch_lightning.profilers").setLevel(logging.INFO)  # a profile is logged
    for message in (
        r".*LeafSpec.*is deprecated",  # its tree walk uses a name that torch deprecates
        r"The number of training batches .* is smaller than the logging interval",  # there is one line per epoch anyway
        r"RNN module weights are not part of single contiguous chunk",  # as it is with weight dropout on a GPU
        r"GPU available but not used",  # which the user has chosen
        r".*AccumulateGrad node's stream does not match",  # Lightning makes DDP in a stream of its own
        r"Checkpoint directory .* exists and is not empty",  # as it should be when a run resumes
    ):
        warnings.filterwarnings("ignore", message)


def describe_parameters(model: LanguageModel) -> str:
    """Return a table of the parameters by part, beside those of the same cells with one bias per gate."""
    counts, textbook = model.parameter_counts(), model.parameter_counts(biases=1)
    rows = [(part, f"{count:,}", f"{textbook[part]:,}") for part, count in counts.items()]
    header = ("part", "parameters", "with one bias per gate")
    return tabulate(rows, header, "simple", colalign=("left", "right", "right"), disable_numparse=True)


def describe_sentences(batches: Sentences) -> str:
    """Return a sentence about what batches of sentences add to the text, and what they leave out."""
    words = f"{batches.num_targets:,} words to predict in {len(batches):,} batches"
    return f"sentences: {words}, {batches.padding:.1%} padding, {batches.num_truncated:,} words truncated"


def make_trainer(
    arguments: dict[str, Any],
    config: Config,
    run: RunDir,
    loggers: Sequence[Any],
    callbacks: Sequence[pl.Callback],
    last: LastCheckpoint,
) -> pl.Trainer:
    """Return the Trainer with all callbacks."""
    every = arguments["log_every_n_steps"]
    # A bar in a file is thousands of lines, and there is one line per epoch anyway.
    bar = [ProgressBar()] if arguments["enable_progress_bar"] and sys.stderr.isatty() else []
    averaging = make_averaging(config)  # before what reads the weights
    watching = [*averaging, EpochLog(run, every), *callbacks, StopOnNonFiniteLoss(every)]
    stopping = [] if config.patience is None else [StopWithoutImprovement(config.patience)]
    return pl.Trainer(**arguments | {
        "max_epochs": config.epochs,
        "logger": list(loggers) or False,
        "callbacks": [*watching, *stopping, BestCheckpoint(run.checkpoints), last, *bar],
        "plugins": [AtomicCheckpointIO()],
        "profiler": arguments["profiler"] or NoOpProfiler(),
        "enable_progress_bar": bool(bar),
        "num_sanity_val_steps": 0,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
    })  # fmt: skip
