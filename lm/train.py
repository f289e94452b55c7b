"""Train a model, or a sweep of them.

python -m lm.train cell=lstm dropout=0.25                  # one run
python -m lm.train -m cell=lstm,gru dropout=0,0.25         # a sweep: four runs, one table, one figure
python -m lm.train -m hydra/launcher=local cell=lstm,gru   # runs side by side; others: conf/hydra/launcher/
python -m lm.train data.batching=sentences                 # each sentence by itself, not one long text
python -m lm.train --cfg job --resolve                     # all options, and what they come to
"""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from lm.cli import command
from lm.sweeps.sweep_job import run_job


@command(
    "train",
    literal=(
        "data.dir",
        "resume",
    ),
)
def main(config: DictConfig) -> float:
    """Train what the command line says; return the validation perplexity, which a sweeper may minimise."""
    hydra = HydraConfig.get()
    if hydra.mode == RunMode.MULTIRUN:
        return run_job(config, hydra)
    from lm.sweeps.training_job import train_single  # here, for a sweep's first process needs no PyTorch

    return train_single(config, Path(hydra.runtime.output_dir), hydra.overrides.task)


if __name__ == "__main__":
    main()
