"""Two groups of runs with the nats of the same text."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lm.compare.compare_options import matching_folders
from lm.reporting.effects import recorded_nats
from lm.reporting.groups import RunGroup, group_runs, swept_keys, values_of
from lm.reporting.statistics import Array
from lm.run_dir import RunDir
from lm.run_search import find_runs


@dataclass(frozen=True)
class RunPair:
    """Two groups of seeds.

    Args:
        first: the runs to compare with.
        second: the runs that are compared with them.
        split: of the corpus.
        text: the hash of the tokens' ids.
        nats: the nats [S, N] of both.
    """

    first: RunGroup
    second: RunGroup
    split: str
    text: str
    nats: tuple[Array, Array]

    @property
    def titles(self) -> tuple[str, str]:
        """What the groups are called: by their options, or by their folders if these are the same."""
        if self.first.title != self.second.title:
            return self.first.title, self.second.title
        return str(self.first.runs[0].folder), str(self.second.runs[0].folder)


def load_pair(first: str, second: str, split: str) -> RunPair:
    """Return the two groups that the texts name.

    Raises:
        ValueError: if a group has no finished run, runs of different settings, or no nats, or the texts differ.
    """
    sides = [find_seeds(text) for text in (first, second)]
    keys = swept_keys([run for runs in sides for run in runs])
    groups = [RunGroup(values_of(runs[0], keys), tuple(runs)) for runs in sides]
    saved = [[_required_nats(run, split) for run in runs] for runs in sides]
    texts = {text for found in saved for text, _ in found}
    if len(texts) > 1:
        raise ValueError(
            f"expected runs of one corpus, found {len(texts)} different {split} texts: type runs of the same corpus"
        )
    nats = [np.stack([nats_N for _, nats_N in found]) for found in saved]
    return RunPair(groups[0], groups[1], split, texts.pop(), (nats[0], nats[1]))


def find_seeds(text: str) -> list[RunDir]:
    """Return the finished runs in the folders that a text names, which may differ in their seed only."""
    folders = matching_folders(text)
    if not folders:
        raise ValueError(f"expected the folder of a run, found nothing at '{text}': type outputs/DATE/TIME or the like")
    found = {run.folder.resolve(): run for folder in folders for run in find_runs(folder)}
    runs = [run for run in found.values() if run.finished]
    groups = group_runs(runs)
    if len(groups) != 1:
        what = (
            "no finished run" if not groups else f"{len(groups)} settings, as {groups[0].title} and {groups[1].title}"
        )
        raise ValueError(
            f"expected runs in '{text}' that differ in their seed only, found {what}: "
            "type the folder of a run, or folders of seeds with commas between them"
        )
    return runs


def _required_nats(run: RunDir, split: str) -> tuple[str, NDArray[np.float64]]:
    text, nats_N = recorded_nats(run, split)
    if run.value("length_conditioning") is True:
        raise ValueError(
            f"expected runs whose nats are those of their perplexity, found length conditioning in '{run.folder}', "
            "whose nats leave out the lengths: type runs without length_conditioning=true"
        )
    if not text:
        raise ValueError(
            f"expected the nats of the {split} split, found none of these results in '{run.nats_path}': "
            "copy the run again, or train it again"
        )
    return text, nats_N
