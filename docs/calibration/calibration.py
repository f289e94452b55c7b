"""Check the intervals of effects where the true effect is known.

    python docs/calibration/calibration.py

The models of two settings are next-word probabilities of the synthetic source (`lm/data/sources/synthetic.py`),
disturbed for the setting and for each seed. The source's own probabilities are known, so the perplexity of each model
is exact, and with it the true effect: for one seed the effect between these very models, for several the mean over all
seeds. Each of 1,000 draws takes new seeds and a new text. The script writes `calibration.csv`, `.png` and `.svg` beside
itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lm.data.sources.synthetic import MarkovSource, stationary
from lm.reporting.figures import COLOURS, MARKERS, REFERENCE, STYLE, image
from lm.reporting.statistics import RESAMPLES, block_means, estimate_contrast

DRAWS, TOKENS, POOL = 1000, 20_000, 2000
"""The draws, the tokens of each draw's text, and the seeds of a setting, of which each draw takes some."""

SETTING_NOISE, WORD_NOISE, SPREAD = 0.5, 0.3, 0.03
"""How log-probabilities differ: between settings, and between seeds word by word and as a whole."""

DRIFT, MEMORY = 0.3, 0.95
"""What the subject of a text adds to the nats of one setting: standard deviation, and correlation of neighbours."""


@dataclass(frozen=True)
class Case:
    """What is drawn.

    Args:
        seeds: of each setting.
        differs: whether the settings differ.
        spread: how much the seeds differ as a whole.
        drifts: whether neighbouring tokens are correlated beyond the source.
        seeds_after: the seeds of the second setting, if it has another number of them.
        interaction: whether the effect is the difference of two effects, of four settings.
    """

    seeds: int
    differs: bool = True
    spread: float = SPREAD
    drifts: bool = False
    seeds_after: int | None = None
    interaction: bool = False

    @property
    def weights(self) -> tuple[int, ...]:
        """The sign of each setting in the effect."""
        return (1, -1, -1, 1) if self.interaction else (-1, 1)

    @property
    def num_seeds(self) -> list[int]:
        """The seeds of each setting."""
        return [self.seeds, *[self.seeds_after or self.seeds] * (len(self.weights) - 1)]

    @property
    def name(self) -> str:
        """The case in words."""
        parts = {
            "no difference": not self.differs,
            "equal seeds": self.spread == 0,
            "unequal seeds": self.spread > SPREAD,
            "correlated tokens": self.drifts,
            "interaction": self.interaction,
        }
        seeds = " and ".join(map(str, dict.fromkeys(self.num_seeds)))
        return ", ".join([f"{seeds} seed{'s' * (seeds != '1')}", *(part for part, holds in parts.items() if holds)])


CASES = [
    *(Case(seeds) for seeds in (1, 2, 3, 5)),
    *(Case(seeds, drifts=True) for seeds in (1, 3)),
    *(Case(3, spread=spread) for spread in (0.0, 3 * SPREAD)),
    *(Case(seeds, differs=False) for seeds in (1, 2, 3, 5)),
    *(Case(2, seeds_after=seeds) for seeds in (3, 10)),
    Case(3, interaction=True),
]


class Source:
    """The synthetic source as pairs of a context and a word that can follow it, numbered from 0 to P."""

    def __init__(self) -> None:
        probabilities = MarkovSource().probabilities
        self.classes, self.vocabulary, _ = probabilities.shape
        self.table = probabilities.reshape(-1, self.vocabulary)
        self.contexts_P, _ = np.nonzero(self.table)
        self.logs_P = np.log(self.table[self.table > 0])
        self.frequencies_P = (stationary(probabilities).reshape(-1, 1) * self.table)[self.table > 0]

    def texts(self, count: int, tokens: int, generator: np.random.Generator) -> np.ndarray:
        """Return `count` texts as the numbers of their pairs, [count, tokens]."""
        numbers = (self.table.reshape(-1) > 0).cumsum().reshape(self.table.shape) - 1
        cumulative = self.table.cumsum(1)
        starts = self.contexts_P[generator.choice(len(self.contexts_P), count, p=self.frequencies_P)]
        texts, contexts = np.empty((tokens, count), np.int32), starts
        for step in range(tokens):
            words = (cumulative[contexts] <= generator.random((count, 1)) * cumulative[contexts, -1:]).sum(1)
            texts[step] = numbers[contexts, words]
            contexts = contexts % self.vocabulary % self.classes * self.vocabulary + words
        return texts.T

    def models(self, count: int, spread: float, generator: np.random.Generator) -> np.ndarray:
        """Return the nats of each pair under each of `count` seeds of a new setting, [count, P]."""
        setting = self.logs_P + SETTING_NOISE * generator.standard_normal(len(self.logs_P))
        sharpness = np.exp(spread * generator.standard_normal((count, 1)))
        logits = sharpness * setting + WORD_NOISE * generator.standard_normal((count, len(setting)))
        sums = np.add.reduceat(np.exp(logits), np.flatnonzero(np.diff(self.contexts_P, prepend=-1)), axis=1)
        nats: np.ndarray = (np.log(sums)[:, self.contexts_P] - logits).astype(np.float32)
        return nats


def draw_case(case: Case, source: Source, texts: np.ndarray, pool: int = POOL) -> pd.DataFrame:
    """Return a row per text: the p-value of the true effect, and whether each kind of interval covers it."""
    generator = np.random.default_rng(2)
    settings = [source.models(pool, case.spread, generator)]
    settings += [source.models(pool, case.spread, generator) if case.differs else settings[0] for _ in case.weights[1:]]
    exact = [models @ source.frequencies_P for models in settings]
    rows = []
    for text in texts:
        # No seed is in two groups, since they would be the same model if the settings do not differ.
        picked = generator.choice(pool, sum(case.num_seeds), replace=False)
        seeds = np.split(picked, np.cumsum(case.num_seeds)[:-1])
        means = [nats[rows] if case.seeds == 1 else nats for nats, rows in zip(exact, seeds, strict=True)]
        groups = [block_means(models[rows][:, text]) for models, rows in zip(settings, seeds, strict=True)]
        groups[1] += block_means(drift(len(text), generator)[None]) if case.drifts else 0
        truth = sum(weight * nats.mean() for weight, nats in zip(case.weights, means, strict=True))
        rows.append(judge(list(zip(case.weights, groups, strict=True)), float(truth), generator))
    return pd.DataFrame(rows)


def judge(groups: Sequence[tuple[float, np.ndarray]], truth: float, generator: np.random.Generator) -> dict[str, float]:
    """Return whether the intervals cover the truth, and the p-value of a difference from it."""
    *others, (weight, last) = groups
    estimate = estimate_contrast([*others, (weight, last - weight * truth)])
    low, high = estimate.log_interval
    plain_low, plain_high = plain_interval(groups, generator)
    covered, plain_covered = low <= 0 <= high, plain_low <= truth <= plain_high
    return {"covered": covered, "plain_covered": plain_covered, "p_value": estimate.p_value, "width": high - low}


def drift(tokens: int, generator: np.random.Generator) -> np.ndarray:
    """Return a first-order autoregressive series; what came before `reach` tokens is forgotten."""
    reach = math.ceil(10 / (1 - MEMORY))
    kernel = DRIFT * (1 - MEMORY**2) ** 0.5 * MEMORY ** np.arange(reach)
    return np.convolve(generator.standard_normal(tokens + reach - 1), kernel, "valid")


def plain_interval(groups: Sequence[tuple[float, np.ndarray]], generator: np.random.Generator) -> tuple[float, float]:
    """Return the percentiles of the hierarchical bootstrap without corrections, for comparison."""
    blocks_RM = counts(groups[0][1].shape[1], generator)
    draws = [weight * (counts(len(nats_SM), generator) @ nats_SM * blocks_RM).sum(1) for weight, nats_SM in groups]
    low, high = np.percentile(np.sum(draws, axis=0), [2.5, 97.5])
    return float(low), float(high)


def counts(size: int, generator: np.random.Generator) -> np.ndarray:
    """Return how often each of `size` things is drawn in each resample, as fractions."""
    return generator.multinomial(size, [1 / size] * size, RESAMPLES) / size


def distance_from_uniform(p_values: Sequence[float]) -> float:
    """Return the Kolmogorov-Smirnov distance of the p-values from the uniform distribution."""
    ordered, ranks = np.sort(p_values), np.arange(len(p_values) + 1) / len(p_values)
    return float(max((ordered - ranks[:-1]).max(), (ranks[1:] - ordered).max()))


def summary(case: Case, draws: pd.DataFrame) -> dict[str, float | str]:
    """Return the row of a case in `calibration.csv`."""
    return {
        "case": case.name,
        "draws": len(draws),
        "covered": draws["covered"].mean(),
        "covered without corrections": draws["plain_covered"].mean(),
        "p-values below 0.05": (draws["p_value"] < 0.05).mean(),
        "distance of p-values from uniform": round(distance_from_uniform(draws["p_value"]), 4),
        "median width": round(draws["width"].median(), 5),
    }


def draw_figure(table: pd.DataFrame, p_values: dict[str, np.ndarray]) -> Figure:
    """Draw the coverage of each case, and the distribution of p-values where there is no difference."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.3, 1))
        rows = range(len(table))
        left.axvspan(93, 97, color="#DDDDDD", linewidth=0, zorder=0)
        left.axvline(95, color=REFERENCE, linewidth=0.9, zorder=0.5)
        plain, ours = 100 * table["covered without corrections"], 100 * table["covered"]
        left.plot(
            plain, rows, "s", color=COLOURS[1], markersize=4, markerfacecolor="white", label="without corrections"
        )
        left.plot(ours, rows, "o", color=COLOURS[0], markersize=5, label="as in the report")
        left.set_yticks(rows, table["case"])
        left.invert_yaxis()
        left.set_xlabel("draws whose interval covers the true effect, %")
        left.legend(loc="lower center", bbox_to_anchor=(0.4, 1), ncols=2, fontsize=8)
        right.axline((0, 0), (1, 1), color=REFERENCE, linewidth=0.9, linestyle=":")
        for number, (name, values) in enumerate(p_values.items()):
            fractions = np.arange(1, len(values) + 1) / len(values)
            style = {"color": COLOURS[number], "marker": MARKERS[number], "markevery": len(values) // 8}
            right.plot(np.sort(values), fractions, label=name.partition(",")[0], linewidth=1, **style)
        right.set(xlabel="p-value where there is no difference", ylabel="fraction of draws below it", aspect="equal")
        right.legend(loc="lower right")
    return figure


def main() -> None:
    """Draw all cases, and write the table and the figure."""
    source, folder, rows, p_values = Source(), Path(__file__).parent, [], {}
    texts = source.texts(DRAWS, TOKENS, np.random.default_rng(1))
    for case in CASES:
        draws = draw_case(case, source, texts)
        rows.append(summary(case, draws))
        print(*rows[-1].values(), sep="\t", flush=True)
        if not case.differs:
            p_values[case.name] = draws["p_value"].to_numpy()
    table = pd.DataFrame(rows)
    table.to_csv(folder / "calibration.csv", index=False, lineterminator="\n")
    for form in ("png", "svg"):
        (folder / f"calibration.{form}").write_bytes(image(draw_figure(table, p_values), form))


if __name__ == "__main__":
    main()
