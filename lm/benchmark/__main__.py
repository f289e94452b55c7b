"""Measure how fast a model trains, beside a plain PyTorch loop, and what the time is spent on.

python -m lm.benchmark                                              # the model of conf/train.yaml
python -m lm.benchmark cell=gru dropout=0.25 data.dir=FOLDER num_threads=1      # any option of lm.train
python -m lm.benchmark -m hidden_size=200,650,1500 steps=20 rounds=2        # one table: how the cost grows
python -m lm.benchmark -m vocabulary_size=10000,50000,250000 steps=20 rounds=2

It trains for `steps` steps as `python -m lm.train` does and prints, and saves as `benchmark.md` and `benchmark.json`,
what a step takes, part by part. On a machine that is otherwise idle the figures mean something.
"""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from lm.atomic_files import write_atomically, write_json
from lm.benchmark.benchmark_job import Job
from lm.benchmark.benchmark_report import page
from lm.benchmark.comparison import contest
from lm.benchmark.measurements import Results, results_of
from lm.benchmark.startup import seconds_to_first_step
from lm.checks import check_whole
from lm.cli import command
from lm.config import Config, MachineConfig
from lm.data.batching import source_options
from lm.sweeps.training_job import trainer_options
from lm.terminal import literal_options

OWN = ("steps", "rounds", "vocabulary_size", "startup_repeats")
"""Options that are not those of `lm.train`."""


def job_of(config: DictConfig) -> Job:
    """Return what the config says is to be measured, checked.

    Raises:
        ValueError: where it can't be.
    """
    if config.resume is not None:
        raise ValueError(f"expected a new model to measure, found resume={config.resume}: leave it out")
    check_whole("startup_repeats", config.startup_repeats, 3, least=0)
    return Job(
        settings=Config.from_hydra(config),
        source=source_options(config.data),
        vocabulary_size=config.vocabulary_size,
        precision=config.precision,
        threads=config.num_threads,
        trainer=trainer_options(MachineConfig.from_hydra(config).trainer),
        steps=config.steps,
        rounds=config.rounds,
    )


def startup_repeats(config: DictConfig, typed: Sequence[str]) -> list[float]:
    """Return how long a run takes to its first step, as often as asked for; random ids are nothing one can train on."""
    if config.vocabulary_size is not None:
        return []
    words = [word for word in typed if word.lstrip("+").partition("=")[0] not in OWN]
    return [seconds_to_first_step(words) for _ in range(config.startup_repeats)]


def save(results: Results, folder: Path) -> None:
    """Write both files, each whole or not at all."""
    write_json(folder / "benchmark.json", results)
    with write_atomically(folder / "benchmark.md") as file:
        file.write(page(results))


@literal_options("data.dir", "resume")
@command("benchmark")
def main(config: DictConfig) -> None:
    """Measure what the command line says."""
    hydra = HydraConfig.get()
    job, folder = job_of(config), Path(hydra.runtime.output_dir)
    corpus = job.corpus()
    measured = contest(job)
    results = results_of(job, corpus, measured, startup_repeats(config, hydra.overrides.task))
    save(results, folder)
    print(page(results), f"All of it: {folder / 'benchmark.json'}", sep="\n")


if __name__ == "__main__":
    main()
