"""Saved runs, each with its method, ready to score any text."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lm.data.batching import Batches
from lm.data.corpus import Corpus
from lm.evaluation.composition import Composition
from lm.evaluation.ensembles import evaluate_ensemble
from lm.evaluation.evaluation_loop import EvalResult, check_suited
from lm.evaluation.evaluations import describe_method, describe_tuning, save_evaluation
from lm.evaluation.loading import SavedRun, load_corpus_of
from lm.evaluation.methods import Method
from lm.evaluation.tuning import Tuner
from lm.models.language_model import LanguageModel


@dataclass(frozen=True)
class Scoring:
    """One run, or an ensemble. Each of `members` has one of `methods`.

    `tuned` says in plain values how the options of the methods were chosen; None if they were not.
    """

    members: Sequence[SavedRun]
    methods: Sequence[Method]
    tuned: Mapping[str, Any] | None = None

    @property
    def first(self) -> SavedRun:
        """The first run; all runs have its vocabulary and read its batches."""
        return self.members[0]

    @property
    def models(self) -> list[LanguageModel]:
        """The models of the runs."""
        return [member.model for member in self.members]

    def evaluate(self, batches: Batches, progress: str = "", per_token: bool = False) -> EvalResult:
        """Score a text, as `evaluate_ensemble`."""
        return evaluate_ensemble(self.models, batches, self.methods, progress, per_token)

    def notes(self) -> list[str]:
        """Return in words how text is scored, nothing for static evaluation of one run."""
        protocol = {**self.methods[0].protocol(), "ensemble": len(self.members)}
        if protocol["method"] == "static" and len(self.members) == 1:
            return []
        return [describe_method(protocol), *([describe_tuning(self.tuned)] if self.tuned else [])]

    def save(self, found: EvalResult, corpus: Corpus, split: str) -> list[str]:
        """Append a score, and all that it depends on, to the `evaluations.json` of each run; return their names."""
        entry = {
            "split": split,
            "ppl": found.ppl,
            "nats": found.nats,
            "protocol": found.protocol,
            "tuned": self.tuned,
            "checkpoint": self.first.checkpoint,
            "corpus": {"name": corpus.name, "sha256": corpus.sha256},
            "runs": [member.run.name for member in self.members],
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        return [save_evaluation(member.run, entry | self._epochs(member)) for member in self.members]

    def _epochs(self, member: SavedRun) -> dict[str, Any]:
        """Return which weights were scored: the epoch of a run, and those of the other runs by their relative paths."""
        others = {os.path.relpath(one.run.folder, member.run.folder): one.epoch for one in self.members}
        others.pop(".")
        return {"epoch": member.epoch, "other_epochs": others}


def prepare_scoring(
    members: Sequence[SavedRun],
    composition: Composition,
    carried: bool = True,
    data_dir: str | None = None,
    tuned: bool = False,
    fixed: Collection[str] = (),
) -> Scoring:
    """Let the methods study the training text, and choose their options on the validation split if `tuned`.

    Options whose keys are `fixed` are not chosen. `carried` says whether the text that will be scored is one stream.

    Raises:
        ValueError, FileNotFoundError: as `load_corpus_of`, or if the methods do not suit the runs.
    """
    check_suited(composition.method(), members[0].model, carried)
    if tuned and not any(composition.grid(fixed).values()):
        names = ",".join(composition.names)
        raise ValueError(f"expected an option of method={names} to choose, found all typed: leave tune out")
    readers = [composition.reader() for _ in members]
    record = None
    if tuned or readers[0].needs_study:
        corpus = load_corpus_of(members[0], data_dir)
        readers = [
            reader.study(member.model, corpus.splits["train"]) for reader, member in zip(readers, members, strict=True)
        ]
        if tuned:
            composition, record = Tuner(members, corpus, readers, composition, fixed).tune()
    chosen = composition.options.get(composition.reader().name, {})
    return Scoring(members, [composition.wrap(reader.with_settings(**chosen)) for reader in readers], record)
