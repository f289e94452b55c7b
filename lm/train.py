"""Train a model, or a sweep of them.

    python -m lm.train cell=lstm dropout=0.25                  # one run
    python -m lm.train -m cell=lstm,gru dropout=0,0.25         # a sweep: four runs, one report
    python -m lm.train -m hydra/launcher=local cell=lstm,gru   # runs in parallel; others: conf/hydra/launcher/
    python -m lm.train -m hydra/sweeper=optuna 'lr=interval(0.3,2)'    # a search over ranges: docs/search.md
    python -m lm.train data.batching=sentences                 # each sentence separately, not one long text
    python -m lm.train resume=outputs/DATE/TIME                # resume an interrupted run
    python -m lm.train --cfg job --resolve                     # show all options with their values
    eval "$(lm-train -sc install=bash)"                        # let Tab complete options after lm-train; or zsh, fish

From Python: run = lm.train(overrides=["cell=lstm", "dropout=0.25"])
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from lm.cli import command
from lm.sweeps.sweep_job import run_job

if TYPE_CHECKING:
    from lm.run import Run

LITERAL = ("data.dir", "resume")


def train(config: DictConfig) -> Any:
    """Train the config; return the validation perplexity, which a sweeper may minimise."""
    hydra = HydraConfig.get()
    os.chdir(hydra.runtime.cwd)  # with hydra.job.chdir=true, too, relative folders are those of the command line
    if hydra.mode == RunMode.MULTIRUN:
        return run_job(config, hydra)
    from lm.sweeps.training_job import train_single  # here, since a sweep's first process needs no PyTorch

    return train_single(config, Path(hydra.runtime.output_dir), hydra.overrides.task)


main = command("train", LITERAL)(train)


class CallableModule(ModuleType):
    """Lets `lm.train(...)` train a run, although `lm.train` is the module of the command."""

    def __call__(self, overrides: Sequence[str] = ()) -> "Run":
        """Train one run as `python -m lm.train` does with these overrides, and return it.

        Raises:
            ValueError, OSError: where the command would end with a sentence.
            KeyboardInterrupt: if a signal stops it; its folder can be resumed.
        """
        from lm.python_hydra import run_task
        from lm.run import load_run

        return load_run(run_task("train", train, overrides, LITERAL))


sys.modules[__name__].__class__ = CallableModule

if __name__ == "__main__":
    main()
