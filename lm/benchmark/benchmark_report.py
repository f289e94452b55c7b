"""Measurements -> results (medians, rates, differences by round) -> tables for the terminal and for Markdown.

The FLOPs of a step are those of its matrix products: each weight takes one multiplication and one addition per token in
the forward pass, and twice that in the backward pass, for the gradients of its input and of itself. MFU (model FLOPs
utilisation) is the FLOP/s of a step divided by the peak FLOP/s of large matrix products in the same precision.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from operator import sub, truediv
from statistics import median
from typing import Any

import torch
from tabulate import tabulate

from lm.benchmark.benchmark_job import Job
from lm.benchmark.loops import BASELINE, LIGHTNING, NO_TRAINER, Round
from lm.benchmark.timing import Part
from lm.data.corpus import Corpus
from lm.models.language_model import LanguageModel
from lm.models.softmax import AdaptiveSoftmax

BenchmarkResults = dict[str, Any]

LABELS = {
    BASELINE: "baseline (plain PyTorch, float32, SGD)",
    NO_TRAINER: "lm.train without Trainer",
    LIGHTNING: "lm.train",
}
GIGA, MEGA = 1e9, 1e6

TRAINER_PARTS = tuple(part for part in Part if part not in (Part.RECURRENT, Part.SOFTMAX))
"""The parts in which the Trainer works. The other two do the same without it, and vary by more than it costs."""


def results_of(
    job: Job, corpus: Corpus, measured: dict[str, dict[str, Any]], startup_seconds: list[float]
) -> BenchmarkResults:
    """Return everything that a benchmark reports, in plain values: times in ms, rates per second, memory in bytes."""
    with torch.device("meta"):  # shapes without memory
        model = LanguageModel(len(corpus.vocabulary), **job.config.model_arguments())
    flops, machine = step_flops(model, job.tokens_per_step), measured[NO_TRAINER]
    peaks = {name: machine["peak_flops"]["float32" if name == BASELINE else "lm.train"] for name in measured}
    rounds = {name: found["rounds"] for name, found in measured.items()}
    return {
        "config": job.config.defining(),
        "corpus": {"name": corpus.name, "vocabulary_size": len(corpus.vocabulary)},
        "parameters": model.parameter_counts(),
        "steps": job.steps,
        "rounds": job.rounds,
        "flops": flops,
        **{name: machine[name] for name in ("device", "precision", "versions", "peak_flops", "evaluation")},
        "variants": {
            name: _variant(rounds[name], job.tokens_per_step, flops, peaks[name])
            | {"peak_memory": found["peak_memory"]}
            for name, found in measured.items()
        },
        "speedup": _by_round(truediv, rounds[BASELINE], rounds[LIGHTNING]),
        "trainer_ms": _by_round(sub, rounds[LIGHTNING], rounds[NO_TRAINER], TRAINER_PARTS),
        "startup_seconds": startup_seconds,
    }


def step_flops(model: LanguageModel, tokens: int) -> int:
    """Return the FLOPs of a training step on this many tokens, without those of an adaptive softmax's rare words."""
    decoder = model.decoder.head if isinstance(model.decoder, AdaptiveSoftmax) else model.decoder
    parts = (model.rnns, model.projection, decoder)
    factors = sum(weight.numel() for part in parts for weight in part.parameters() if weight.dim() == 2)
    return 6 * tokens * factors


def _variant(rounds: list[Round], tokens: int, flops: int, peak: float) -> BenchmarkResults:
    steps = [step for one in rounds for step in one["steps"]]
    seconds = median(sum(step.values()) for step in steps) / 1000
    return {
        "step_ms": seconds * 1000,
        "parts_ms": {part: median(step[part] for step in steps) for part in Part},
        "tokens_per_second": tokens / seconds,
        "flops_per_second": flops / seconds,
        "mfu": flops / seconds / peak,
        "nats": [nats for one in rounds for nats in one["nats"]],
    }


def _by_round(
    compare: Callable[[float, float], float],
    ones: list[Round],
    others: list[Round],
    parts: Collection[Part] = tuple(Part),
) -> dict[str, float]:
    """Compare each round with the one beside it in time, by the median of some parts of their steps."""
    pairs = zip(_medians(ones, parts), _medians(others, parts), strict=True)
    values = [compare(one, other) for one, other in pairs]
    return {"median": median(values), "min": min(values), "max": max(values)}


def _medians(rounds: list[Round], parts: Collection[Part]) -> list[float]:
    return [median(sum(step[part] for part in parts) for step in one["steps"]) for one in rounds]


def benchmark_page(results: BenchmarkResults) -> str:
    """Return the page."""
    sections = (_heading, _variants, _differences, _parts, _evaluation, _startup)
    return "\n\n".join(filter(None, (section(results) for section in sections))) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, text in its first column, numbers in the others."""
    return tabulate(rows, head, "pipe", colalign=["left", *["right"] * (len(head) - 1)], disable_numparse=True)


def model_in_words(results: BenchmarkResults) -> str:
    """Return what distinguishes the model in a sweep."""
    config = results["config"]
    return (
        f"{config['cell']}, {config['num_layers']} x {config['hidden_size']}, "
        f"{results['corpus']['vocabulary_size']:,} words, batch {config['batch_size']} x {config['seq_len']}"
    )


def _heading(results: BenchmarkResults) -> str:
    versions, peak = results["versions"], results["peak_flops"]
    return (
        f"# {model_in_words(results)}, dropout {results['config']['dropout']:g}, {results['corpus']['name']}\n\n"
        f"{results['device']}, PyTorch {versions['torch']}, commit {versions['commit']}; {results['precision']}\n"
        f"{results['steps']} steps in {results['rounds']} rounds, the variants taking turns; medians. "
        f"A step takes {results['flops'] / GIGA:.2f} GFLOP. Peak: {peak['float32'] / GIGA:,.0f} GFLOP/s "
        f"in float32, {peak['lm.train'] / GIGA:,.0f} in the precision of lm.train."
    )


def _variants(results: BenchmarkResults) -> str:
    rows = (
        (LABELS[name], f"{found['step_ms']:.2f}", f"{found['tokens_per_second']:,.0f}",
         f"{found['flops_per_second'] / GIGA:,.0f}", f"{found['mfu']:.0%}", f"{found['peak_memory'] / MEGA:,.0f}")
        for name, found in results["variants"].items()
    )  # fmt: skip
    busy = any(found["mfu"] > 1 for found in results["variants"].values())
    note = "\n\nMFU above 100%: the machine was busy with something else while its peak was measured." if busy else ""
    return table(("", "ms per step", "tokens/s", "GFLOP/s", "MFU", "peak memory, MB"), rows) + note


def _differences(results: BenchmarkResults) -> str:
    baseline, lightning = (median(results["variants"][name]["nats"][-20:]) for name in (BASELINE, LIGHTNING))
    return (
        f"lm.train takes {results['speedup']['median']:.2f} times as many steps per second as the baseline "
        f"({_range(results, 'speedup', no_difference=1)}).\n"
        f"Lightning's Trainer, with its checks and logs, costs {results['trainer_ms']['median']:.2f} ms per step "
        f"({_range(results, 'trainer_ms', no_difference=0)}).\n"
        f"Nats per token at the end: {baseline:.3f} in the baseline, {lightning:.3f} in lm.train."
    )


def _range(results: BenchmarkResults, name: str, no_difference: float) -> str:
    """Return the range of the rounds; if they contradict each other, the difference is within noise."""
    least, most = results[name]["min"], results[name]["max"]
    noise = ", within noise" if least <= no_difference <= most else ""
    return f"{least:.2f} to {most:.2f} by round{noise}" if results["rounds"] > 1 else "one round: noise unknown"


def _parts(results: BenchmarkResults) -> str:
    baseline, lightning = (results["variants"][name]["parts_ms"] for name in (BASELINE, LIGHTNING))
    labels = {part: str(part) for part in Part} | {Part.LOOP: "loop (lm.train: Trainer)"}
    rows = ((labels[part], f"{baseline[part]:.2f}", f"{lightning[part]:.2f}") for part in Part)
    return table(("part of a step", "baseline, ms", "lm.train, ms"), rows)


def _evaluation(results: BenchmarkResults) -> str:
    training = results["variants"][LIGHTNING]["tokens_per_second"]
    rows = ((kind, f"{speed:,.0f}", f"{speed / training:.1f}") for kind, speed in results["evaluation"].items())
    return table(("evaluation", "tokens/s", "times training"), rows)


def _startup(results: BenchmarkResults) -> str:
    seconds = results["startup_seconds"]
    if not seconds:
        return ""
    return f"From the command to the end of the first step: {median(seconds):.1f} s (median of {len(seconds)})."
