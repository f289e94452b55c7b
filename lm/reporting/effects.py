"""The effects of swept options: differences of log-perplexity between groups of runs that differ in one option.

An interaction is the difference of two effects: whether an option does more in one setting than in another.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, compress, product

import numpy as np

from lm.reporting.groups import RunGroup
from lm.reporting.statistics import Array, Estimate, block_means, estimate_contrast
from lm.run_dir import RunDir, Value

SAME_NATS = 1e-4
"""Nats belong to a run's results if their mean is at most this far from its log-perplexity.

With length conditioning it is farther, because the nats leave out the lengths.
"""


@dataclass(frozen=True)
class Change:
    """Two values of an option."""

    option: str
    before: Value
    after: Value


@dataclass(frozen=True)
class Effect:
    """What a change does to the perplexity of a split.

    Args:
        change: of an option.
        setting: the values of the other options.
        split: `valid` or `test`.
        estimate: the difference of log-perplexity, or of two such differences.
        seeds: the number of seeds of each group.
        paired: whether the groups are compared token by token, on the same text.
        by: for an interaction, the change of another option: the estimate is the effect after it minus that before it.
        sides: for an interaction, the effects before and after it.
        num_settings: the number of settings of the other options of which the estimate is the mean.
    """

    change: Change
    setting: dict[str, Value]
    split: str
    estimate: Estimate
    seeds: tuple[int, ...]
    paired: bool
    by: Change | None = None
    sides: tuple[Estimate, ...] = ()
    num_settings: int = 1

    @property
    def over(self) -> str:
        """What the interval is over: `seeds and text`, `text`, `seeds`, or nothing."""
        parts = {"seeds": min(self.seeds) > 1, "text": self.paired}
        return " and ".join(part for part, holds in parts.items() if holds)


@dataclass(frozen=True)
class Sample:
    """A group's nats, [S, M] with the hash of the text, or one value per seed, [S, 1], without a hash."""

    nats_SM: Array
    text: str
    corpus: str


Samples = dict[tuple[Value, ...], Sample]


def find_effects(groups: Sequence[RunGroup], split: str = "test", mean: bool = False) -> list[Effect]:
    """Return the effect of each swept option at each setting of the others, then the interactions.

    Numbers are compared with the smallest one that was run at this setting, other values with the first one. A setting
    without a counterpart has no effect, and neither has a group without a perplexity of the split. With `mean`, each
    effect and interaction is returned once for a corpus: its mean over the settings of the other options.
    """
    samples = {tuple(group.values.values()): sample for group in groups if (sample := take_sample(group, split))}
    settings = [group.values for group in groups]

    def of(*changes: Change) -> list[Effect]:
        contrasts = _contrasts(settings, samples, changes)
        if not mean:
            return [_effect([contrast], contrast.setting, split, changes) for contrast in contrasts]
        of_corpora: dict[str, list[Contrast]] = {}
        for contrast in contrasts:
            of_corpora.setdefault(contrast.corners[0][1].corpus, []).append(contrast)
        return [_effect(found, _common(found, settings), split, changes) for found in of_corpora.values()]

    with_samples = [setting for setting in settings if tuple(setting.values()) in samples]
    simple = [effect for change in _changes(with_samples) for effect in of(change)]
    changes = list(dict.fromkeys(effect.change for effect in simple))
    pairs = [(by, change) for by, change in combinations(changes, 2) if by.option != change.option]
    return simple + [effect for pair in pairs for effect in of(*pair)]


def take_sample(group: RunGroup, split: str) -> Sample | None:
    """Return the nats of a group: by blocks if all its runs have saved them for the same text, else by seeds."""
    ppls = [run.result(f"best.{split}_ppl") for run in group.runs]
    if not all(isinstance(ppl, float) and 1 <= ppl < math.inf for ppl in ppls):
        return None
    nats = [recorded_nats(run, split) for run in group.runs]
    texts = {text for text, _ in nats}
    if len(texts) == 1 and "" not in texts:
        return Sample(block_means(np.stack([nats_N for _, nats_N in nats])), texts.pop(), group.corpus)
    return Sample(np.log(ppls)[:, None], "", group.corpus)


def recorded_nats(run: RunDir, split: str) -> tuple[str, Array]:
    """Return the hash of a split's tokens and the nats of each, empty if not saved or not those of the results."""
    try:
        text, nats_N = str(run.nats[f"{split}_sha256"]), run.nats[split].astype(np.float64)
        recorded = math.log(run.result(f"best.{split}_ppl"))
    except (OSError, LookupError, TypeError, ValueError):  # no or damaged nats; the results are worth a report
        return "", np.empty(0)
    return (text, nats_N) if abs(nats_N.mean() - recorded) < SAME_NATS else ("", np.empty(0))


def _changes(settings: Sequence[dict[str, Value]]) -> list[Change]:
    """Return the changes of each option from its first value at a setting; `run` is no option, but a name."""
    changes = []
    for option in dict.fromkeys(option for setting in settings for option in setting if option != "run"):
        order = _in_order([setting[option] for setting in settings])
        at_settings: dict[tuple[Value, ...], list[Value]] = {}
        for setting in settings:
            others = tuple(value for name, value in setting.items() if name != option)
            at_settings.setdefault(others, []).append(setting[option])
        for values in at_settings.values():
            first, *further = sorted(values, key=order.index)
            changes += [Change(option, first, value) for value in further]
    return list(dict.fromkeys(changes))


def _in_order(values: Sequence[Value]) -> list[Value]:
    """Return the different values: numbers by size, with null as zero; others as they come."""
    different = list(dict.fromkeys(values))
    numeric = all(isinstance(value, int | float) for value in different if value is not None)
    return sorted(different, key=lambda value: float(value or 0)) if numeric else different


@dataclass(frozen=True)
class Contrast:
    """The samples of one corpus before and after some changes at one setting of the other options, with their signs."""

    setting: dict[str, Value]
    corners: list[tuple[int, Sample]]


def _contrasts(settings: Sequence[dict[str, Value]], samples: Samples, changes: Sequence[Change]) -> list[Contrast]:
    """Return the contrasts of one change, or of two for their interaction, that have all of their samples."""
    start = {change.option: change.before for change in changes}
    left_out = {*start, "run"}  # a run has a name in a row of its own, which has no counterpart
    return [
        Contrast({option: value for option, value in setting.items() if option not in left_out}, corners)
        for setting in settings
        if start.items() <= setting.items() and (corners := _corners(setting, samples, changes))
    ]


def _corners(setting: dict[str, Value], samples: Samples, changes: Sequence[Change]) -> list[tuple[int, Sample]] | None:
    """Return the samples before and after the changes, with their signs in the difference; None if one is missing."""
    corners = []
    for done in product((False, True), repeat=len(changes)):
        changed = {change.option: change.after for change in compress(changes, done)}
        corners.append(((-1) ** done.count(False), samples.get(tuple((setting | changed).values()))))
    found = [(sign, sample) for sign, sample in corners if sample is not None]
    same = len(found) == len(corners) and len({sample.corpus for _, sample in found}) == 1
    return found if same else None


def _common(contrasts: Sequence[Contrast], settings: Sequence[dict[str, Value]]) -> dict[str, Value]:
    """Return the values that all contrasts have and some other setting of the sweep has not."""
    return {
        option: value
        for option, value in contrasts[0].setting.items()
        if all(contrast.setting[option] == value for contrast in contrasts)
        and any(setting.get(option) != value for setting in settings)
    }


def _effect(contrasts: Sequence[Contrast], setting: dict[str, Value], split: str, changes: Sequence[Change]) -> Effect:
    """Return the mean of the contrasts."""
    *by, change = changes
    corners = [corner for contrast in contrasts for corner in contrast.corners]
    texts = {sample.text for _, sample in corners}
    paired = len(texts) == 1 and "" not in texts
    nats = [sample.nats_SM if paired else sample.nats_SM.mean(1, keepdims=True) for _, sample in corners]
    weighted = [(sign / len(contrasts), nats_SM) for (sign, _), nats_SM in zip(corners, nats, strict=True)]
    return Effect(
        change,
        setting,
        split,
        estimate_contrast(weighted),
        tuple(len(nats_SM) for nats_SM in nats),
        paired,
        by[0] if by else None,
        _sides(weighted) if by else (),
        len(contrasts),
    )


def _sides(corners: Sequence[tuple[float, Array]]) -> tuple[Estimate, Estimate]:
    """Return the effects of which an interaction is the difference; of four corners each, the first two are one."""
    before = [(-weight, nats_SM) for number, (weight, nats_SM) in enumerate(corners) if number % 4 < 2]
    after = [corner for number, corner in enumerate(corners) if number % 4 >= 2]
    return estimate_contrast(before), estimate_contrast(after)
