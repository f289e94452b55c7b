"""What was measured -> what it says: medians, rates, shares and ratios."""

from collections.abc import Callable, Collection
from operator import sub, truediv
from statistics import median
from typing import Any

from lm.benchmark.benchmark_job import Job
from lm.benchmark.comparison import BY_HAND, PLAIN, TRAIN, Contest
from lm.benchmark.flops import model_without_weights, step_bytes, step_flops
from lm.benchmark.loop import Round
from lm.benchmark.timing import PARTS, RECURRENT, SOFTMAX
from lm.data.corpus import Corpus

Results = dict[str, Any]

AROUND_PRODUCTS = tuple(part for part in PARTS if part not in (RECURRENT, SOFTMAX))
"""The parts in which Lightning does its work. The others are the same work with it and without, and take so long that
their difference, which is noise, is greater than what is looked for."""


def results_of(job: Job, corpus: Corpus, measured: Contest, first_step: list[float]) -> Results:
    """Return all that is said of a benchmark, in plain values: milliseconds, and per second what is a rate."""
    model = model_without_weights(len(corpus.vocabulary), job.settings)
    flops, moved = step_flops(model, job.tokens), step_bytes(model, job.tokens, job.device())
    ceilings = {PLAIN: measured.ceiling["float32"]} | dict.fromkeys((BY_HAND, TRAIN), measured.ceiling["in_force"])
    contenders = {
        name: _contender(rounds, job.tokens, sum(flops.values()), ceilings[name], measured.peak_memory[name])
        for name, rounds in measured.rounds.items()
    }
    return {
        "model": _model(job, corpus, model.parameter_counts()),
        "machine": measured.machine,
        "steps": job.steps_a_round * job.rounds,
        "rounds": job.rounds,
        "flops": flops,
        "bytes": moved,
        "ceiling": measured.ceiling,
        "contenders": contenders,
        "speedup": _by_round(truediv, measured.rounds[PLAIN], measured.rounds[TRAIN]),
        "lightning_ms": _by_round(sub, measured.rounds[TRAIN], measured.rounds[BY_HAND], AROUND_PRODUCTS),
        "lightning_with_products_ms": _by_round(sub, measured.rounds[TRAIN], measured.rounds[BY_HAND]),
        "evaluation": _evaluation(measured.evaluations, contenders[TRAIN]["tokens_per_second"]),
        "first_step_seconds": first_step,
    }


def _model(job: Job, corpus: Corpus, parameters: dict[str, int]) -> Results:
    names = ("cell", "dropout", "hidden_size", "embedding_size", "num_layers", "tie_weights", "batch_size", "seq_len")
    known = {name: getattr(job.settings, name) for name in names}
    return known | {"vocabulary": len(corpus.vocabulary), "corpus": corpus.name, "parameters": parameters}


def _contender(rounds: list[Round], tokens: int, flops: int, ceiling: float, memory: int) -> Results:
    steps = [step for one in rounds for step in one["steps"]]
    milliseconds = median(sum(step.values()) for step in steps)
    rate = flops / milliseconds * 1000
    return {
        "step_ms": milliseconds,
        "parts_ms": {part: median(step[part] for step in steps) for part in PARTS},
        "tokens_per_second": tokens / milliseconds * 1000,
        "flops_per_second": rate,
        "share_of_ceiling": rate / ceiling,
        "peak_memory": memory,
        "nats": [nats for one in rounds for nats in one["nats"]],
    }


def _medians(rounds: list[Round], parts: Collection[str]) -> list[float]:
    return [median(sum(step[part] for part in parts) for step in one["steps"]) for one in rounds]


def _by_round(
    compare: Callable[[float, float], float], ones: list[Round], others: list[Round], parts: Collection[str] = PARTS
) -> Results:
    """Compare rounds with those beside them in time, by some parts of their steps."""
    pairs = zip(_medians(ones, parts), _medians(others, parts), strict=True)
    values = [compare(one, other) for one, other in pairs]
    return {"median": median(values), "least": min(values), "greatest": max(values)}


def _evaluation(rates: list[dict[str, float]], training: float) -> Results:
    medians = {kind: median(rate[kind] for rate in rates) for kind in rates[0]}
    return {kind: {"tokens_per_second": rate, "times_training": rate / training} for kind, rate in medians.items()}
