"""A benchmark's results as a page of tables, the same for the terminal and for Markdown."""

from collections.abc import Iterable, Sequence
from statistics import median

from tabulate import tabulate

from lm.benchmark.comparison import BY_HAND, CONTENDERS, PLAIN, TRAIN
from lm.benchmark.measurements import Results
from lm.benchmark.timing import LOOP, PARTS

NAMES = {PLAIN: "plain PyTorch loop, float32", BY_HAND: "the step of lm.train without Lightning", TRAIN: "lm.train"}
GIGA, MEGA = 1e9, 1e6


def page(results: Results) -> str:
    """Return the whole page."""
    sections = (
        f"# {title(results)}",
        _machine(results),
        _contenders(results),
        _speedup(results),
        _parts(results),
        _evaluation(results),
        _first_step(results),
    )
    return "\n\n".join(filter(None, sections)) + "\n"


def title(results: Results) -> str:
    """Return the model in a line."""
    model = results["model"]
    return (
        f"{model['cell']}, {model['num_layers']} x {model['hidden_size']}, batch {model['batch_size']} x "
        f"{model['seq_len']}, {model['vocabulary']:,} words ({model['corpus']}), dropout {model['dropout']:g}"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown, its first column words, all others numbers."""
    return tabulate(rows, head, "pipe", colalign=["left", *["right"] * (len(head) - 1)], disable_numparse=True)


def _machine(results: Results) -> str:
    machine, ceiling = results["machine"], results["ceiling"]
    return (
        f"{machine['device']}, PyTorch {machine['versions']['torch']}, commit {machine['versions']['commit']}; "
        f"{machine['precision']}\n"
        f"{results['steps']} steps in {results['rounds']} rounds, contenders taking turns; medians. "
        f"A step is {sum(results['flops'].values()) / GIGA:.2f} GFLOP of matrix products. "
        f"Large products run at {ceiling['float32'] / GIGA:,.0f} GFLOP/s in float32, "
        f"{ceiling['in_force'] / GIGA:,.0f} in the precision of lm.train."
    )


def _contenders(results: Results) -> str:
    head = ("", "ms a step", "tokens/s", "GFLOP/s", "of the ceiling", "peak memory, MB")
    rows = (_contender(NAMES[name], results["contenders"][name]) for name in CONTENDERS)
    return table(head, rows)


def _contender(name: str, found: Results) -> Sequence[str]:
    return (
        name,
        f"{found['step_ms']:.2f}",
        f"{found['tokens_per_second']:,.0f}",
        f"{found['flops_per_second'] / GIGA:,.0f}",
        f"{found['share_of_ceiling']:.0%}",
        f"{found['peak_memory'] / MEGA:,.0f}",
    )


def _speedup(results: Results) -> str:
    speedup, contenders = results["speedup"], results["contenders"]
    lightning, with_products = results["lightning_ms"], results["lightning_with_products_ms"]
    last = {name: median(contenders[name]["nats"][-20:]) for name in (PLAIN, TRAIN)}
    return (
        f"lm.train takes {speedup['median']:.2f} times as many steps a second as the plain loop "
        f"({speedup['least']:.2f} to {speedup['greatest']:.2f} by round).\n"
        f"Lightning, its checks and records cost {lightning['median']:.2f} ms a step "
        f"({lightning['least']:.2f} to {lightning['greatest']:.2f} by round), by the parts around the products; "
        f"whole steps differ by {with_products['median']:.2f} "
        f"({with_products['least']:.2f} to {with_products['greatest']:.2f}).\n"
        f"Nats a token at the end: {last[PLAIN]:.3f} in the plain loop, {last[TRAIN]:.3f} in lm.train."
    )


def _parts(results: Results) -> str:
    head = ("part of a step", "plain, ms", "lm.train, ms", "ratio", "lm.train's rate")
    plain, train = (results["contenders"][name]["parts_ms"] for name in (PLAIN, TRAIN))
    return table(head, (_part(part, plain[part], train[part], results) for part in PARTS))


def _part(part: str, plain: float, train: float, results: Results) -> Sequence[str]:
    # Of what is not the same work in both there is no ratio.
    ratio = "" if part == LOOP or not train else f"{plain / train:.2f}"
    name = "loop (lm.train: Lightning)" if part == LOOP else part
    return name, f"{plain:.2f}", f"{train:.2f}", ratio, rate(part, results)


def rate(part: str, results: Results) -> str:
    """Return at what rate lm.train does a part of its step, by the operations or the bytes that it takes."""
    milliseconds = results["contenders"][TRAIN]["parts_ms"][part]
    for kind, unit in (("flops", "GFLOP/s"), ("bytes", "GB/s")):
        if part in results[kind] and milliseconds:
            return f"{results[kind][part] / milliseconds * 1000 / GIGA:,.0f} {unit}"
    return ""


def _evaluation(results: Results) -> str:
    rows = (
        (kind, f"{found['tokens_per_second']:,.0f}", f"{found['times_training']:.1f}")
        for kind, found in results["evaluation"].items()
    )
    return table(("evaluation, without gradients", "tokens/s", "times training"), rows)


def _first_step(results: Results) -> str:
    seconds = results["first_step_seconds"]
    if not seconds:
        return ""
    return f"From the command to the end of the first step: {median(seconds):.1f} s (median of {len(seconds)})."
