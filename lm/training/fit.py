"""A corpus and settings -> a run folder with trained weights."""

import logging
import sys
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger

from lm.data.corpus import Corpus
from lm.data.module import StreamsDataModule
from lm.model.language_model import LanguageModel
from lm.training.progress import EpochLog, ProgressBar
from lm.training.run import Run, identity
from lm.training.settings import Settings
from lm.training.task import LanguageModelling

log = logging.getLogger(__name__)


def fit(
    settings: Settings, corpus: Corpus, run: Run, trainer_options: dict[str, Any], resume: bool = False
) -> tuple[pl.Trainer, LanguageModel]:
    """Train, and keep the best and the last weights in the run's folder.

    Args:
        settings: the model and its training.
        corpus: what it learns.
        run: the folder that everything goes to.
        trainer_options: arguments of `pytorch_lightning.Trainer`.
        resume: go on from the run's last checkpoint.
    """
    pl.seed_everything(settings.seed, verbose=False)
    model = LanguageModel(len(corpus.vocabulary), **settings.model_arguments())
    log.info(_describe(model))
    task = LanguageModelling(model, settings, identity(settings, corpus))
    windows = StreamsDataModule(corpus, settings.batch_size, settings.seq_len)
    trainer = _trainer(settings, run, trainer_options)
    trainer.fit(task, windows, ckpt_path=run.checkpoints / "last.ckpt" if resume else None, weights_only=True)
    return trainer, model


def _describe(model: LanguageModel) -> str:
    counts = model.parameter_counts()
    total = counts.pop("total")
    return f"{total:,} parameters: " + ", ".join(f"{part} {count:,}" for part, count in counts.items())


def _trainer(settings: Settings, run: Run, options: dict[str, Any]) -> pl.Trainer:
    options = dict(options)
    best = ModelCheckpoint(run.checkpoints, "best", monitor="valid_ppl", mode="min", enable_version_counter=False)
    last = ModelCheckpoint(run.checkpoints, "last", save_on_train_epoch_end=True, enable_version_counter=False)
    epoch_log = EpochLog(run.epochs_path, options["log_every_n_steps"])
    # A bar in a file is thousands of lines; there the line an epoch says enough.
    bar = [ProgressBar()] if options.pop("enable_progress_bar") and sys.stderr.isatty() else []
    return pl.Trainer(
        **options,
        enable_progress_bar=bool(bar),
        max_epochs=settings.epochs,
        logger=TensorBoardLogger(run.folder.parent, name="", version=run.folder.name, default_hp_metric=False),
        callbacks=[epoch_log, best, last, *bar],
        num_sanity_val_steps=0,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
