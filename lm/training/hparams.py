"""The hyperparameters of a run as TensorBoard shows them."""

from typing import Any

from lm.config import SENTENCE_OPTIONS, Config, config_key
from lm.data.corpus import Corpus
from lm.machine_config import MachineConfig
from lm.run_dir import RunDir


def hyperparameters(config: Config, machine: MachineConfig, corpus: Corpus, run: RunDir) -> dict[str, Any]:
    """Return the options that the run reads as plain values, those of the command line first."""
    unread = SENTENCE_OPTIONS if config.batching == "streams" else ()
    values = {config_key(name): value for name, value in config.defining().items() if name not in unread} | {
        "corpus": corpus.name,
        "precision": machine.precision,
        "trainer.limit_train_batches": machine.trainer.limit_train_batches,
        "trainer.limit_val_batches": machine.trainer.limit_val_batches,
    }
    typed = [key for key in run.overridden if key in values]
    return {key: values[key] for key in typed} | values
