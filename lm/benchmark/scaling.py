"""What Hydra calls: a check before benchmarks, and after those of a sweep a table of how a step grows with the model.

A model whose MFU stays the same takes time in proportion to its FLOPs.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from lm.atomic_files import write_file
from lm.benchmark.benchmark_job import Job
from lm.benchmark.benchmark_report import GIGA, MEGA, BenchmarkResults, model_in_words, table
from lm.benchmark.loops import BASELINE, LIGHTNING
from lm.benchmark.timing import Part
from lm.sweeps.config_check import ConfigCheck
from lm.training.hardware import explain_out_of_memory

PARTS = (Part.RECURRENT, Part.SOFTMAX, Part.UPDATE)

HEAD = ("per step", "GFLOP", "baseline, ms", "lm.train, ms", "speedup", "MFU", *(f"{part}, ms" for part in PARTS),
        "baseline, MB", "lm.train, MB")  # fmt: skip


def write_scaling(folder: Path) -> str:
    """Write `scaling.md` for all benchmarks in a sweep's folder, in the order of their FLOPs; return its text."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in folder.rglob("benchmark.json")]
    found.sort(key=lambda results: (results["config"]["cell"], results["flops"]))
    text = f"# Scaling\n\n{table(HEAD, map(_row, found))}\n"
    write_file(folder / "scaling.md", text)
    return text


def _row(results: BenchmarkResults) -> list[str]:
    baseline, lightning = (results["variants"][name] for name in (BASELINE, LIGHTNING))
    return [
        model_in_words(results),
        f"{results['flops'] / GIGA:.1f}",
        f"{baseline['step_ms']:.1f}",
        f"{lightning['step_ms']:.1f}",
        f"{results['speedup']['median']:.2f}",
        f"{lightning['mfu']:.0%}",
        *(f"{lightning['parts_ms'][part]:.1f}" for part in PARTS),
        f"{baseline['peak_memory'] / MEGA:,.0f}",
        f"{lightning['peak_memory'] / MEGA:,.0f}",
    ]


class JobCheck(ConfigCheck):
    """Ends the command with one sentence, before anything is written, if it asks for what cannot be measured."""

    def check_run(
        self, config_name: str, config: DictConfig, overrides: Sequence[str], hydra: DictConfig
    ) -> dict[str, str]:
        """Check a benchmark and its corpus."""
        with explain_out_of_memory():
            Job.from_hydra(config).corpus()
        return super().check_run(config_name, config, overrides, hydra)


class ScalingCallback(Callback):
    """Keeps the table of a sweep up to date, and prints it at the end.

    The `columns` are ignored; experiments set them for the report of training.
    """

    def __init__(self, **columns: bool) -> None:
        pass

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Add the benchmark that has ended."""
        if config.hydra.mode.name == "MULTIRUN":
            write_scaling(Path(config.hydra.sweep.dir))

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the whole table."""
        print(f"\n{write_scaling(Path(config.hydra.sweep.dir))}", flush=True)
