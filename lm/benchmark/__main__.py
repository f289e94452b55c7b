"""Measure how fast a model trains and what a step's time is spent on, beside a plain PyTorch loop.

python -m lm.benchmark                                              # the model of conf/train.yaml
python -m lm.benchmark cell=gru dropout=0.25 data.dir=FOLDER num_threads=1      # any option of lm.train
python -m lm.benchmark -m hidden_size=200,650,1500 steps=20 rounds=2            # a sweep: one table of scaling
python -m lm.benchmark -m vocabulary_size=10000,50000,250000 steps=20 rounds=2

It trains for `steps` steps as `python -m lm.train` does, prints what a step takes, and saves it as `benchmark.md` and
`benchmark.json`. The machine has to be otherwise idle.
"""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from lm.atomic_files import write_file, write_json
from lm.benchmark.benchmark_job import OWN_OPTIONS, Job
from lm.benchmark.benchmark_report import benchmark_page, results_of
from lm.benchmark.comparison import run_variants
from lm.benchmark.timing import seconds_to_first_step
from lm.cli import command
from lm.sweeps.sweep_options import option_name
from lm.training.hardware import explain_out_of_memory


def startup_seconds(job: Job, overrides: Sequence[str]) -> list[float]:
    """Return the seconds to the first step of each of `startup_repeats` runs; none on random ids."""
    if job.vocabulary_size is not None:
        return []
    of_training = [override for override in overrides if option_name(override) not in OWN_OPTIONS]
    return [seconds_to_first_step(of_training) for _ in range(job.startup_repeats)]


@command("benchmark", literal=("data.dir", "resume"))
@explain_out_of_memory()
def main(composed: DictConfig) -> None:
    """Measure what the config asks for, print it and save it."""
    hydra = HydraConfig.get()
    job, folder = Job.from_hydra(composed), Path(hydra.runtime.output_dir)
    corpus = job.corpus()
    startup = startup_seconds(job, hydra.overrides.task)
    results = results_of(job, corpus, run_variants(job), startup)
    write_json(folder / "benchmark.json", results)
    write_file(folder / "benchmark.md", benchmark_page(results))
    print(benchmark_page(results), f"all of it: {folder / 'benchmark.json'}", sep="\n")


if __name__ == "__main__":
    main()
