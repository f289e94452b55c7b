"""Several benchmarks -> one table: how a step's cost grows with the model, beside the work that it is.

A part that keeps its rate costs in proportion to its operations or bytes; one whose rate falls grows faster than they.
"""

import json
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from lm.atomic_files import write_atomically
from lm.benchmark.benchmark_report import GIGA, MEGA, rate, table
from lm.benchmark.comparison import PLAIN, TRAIN
from lm.benchmark.measurements import Results
from lm.benchmark.timing import EMBEDDING, RECURRENT, SOFTMAX, UPDATE

RATES = (EMBEDDING, RECURRENT, SOFTMAX, UPDATE)


def growth_page(results: list[Results]) -> str:
    """Return the table of all benchmarks."""
    head = ("cell, size, words, batch", "GFLOP", "plain, ms", "lm.train, ms", "times", *RATES)
    memory = ("plain, MB", "lm.train, MB", "logits, MB")
    note = "Milliseconds a step; rates of lm.train; peak memory, and what the logits of all tokens at once would take."
    return f"# Growth\n\n{table((*head, *memory), map(_row, results))}\n\n{note}\n"


def _row(results: Results) -> list[str]:
    model, plain, train = results["model"], results["contenders"][PLAIN], results["contenders"][TRAIN]
    size = f"{model['num_layers']} x {model['hidden_size']}"
    logits = 4 * model["batch_size"] * model["seq_len"] * model["vocabulary"]
    return [
        f"{model['cell']}, {size}, {model['vocabulary']:,}, {model['batch_size']} x {model['seq_len']}",
        f"{sum(results['flops'].values()) / GIGA:.1f}",
        f"{plain['step_ms']:.1f}",
        f"{train['step_ms']:.1f}",
        f"{results['speedup']['median']:.2f}",
        *(rate(part, results) for part in RATES),
        *(f"{size / MEGA:,.0f}" for size in (plain["peak_memory"], train["peak_memory"], logits)),
    ]


def write_growth(folder: Path) -> str:
    """Write `growth.md` for all benchmarks in a sweep's folder, in the order of their work; return what it says."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*/benchmark.json")]
    found.sort(key=lambda results: (results["model"]["cell"], sum(results["flops"].values())))
    text = growth_page(found)
    with write_atomically(folder / "growth.md") as file:
        file.write(text)
    return text


class GrowthCallback(Callback):
    """Keeps the table of a sweep up to date, and shows it at the end.

    Args:
        columns: those that an experiment asks for in the table of its results, which this is not.
    """

    def __init__(self, **columns: bool) -> None:
        """Take none of them up."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Take up the benchmark that has ended."""
        folder = Path(config.hydra.runtime.output_dir).parent
        if config.hydra.mode.name == "MULTIRUN" and any(folder.glob("*/benchmark.json")):
            write_growth(folder)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Show the whole table."""
        print(f"\n{write_growth(Path(config.hydra.sweep.dir))}", flush=True)
