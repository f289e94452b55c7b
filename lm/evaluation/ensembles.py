"""Several saved runs -> one prediction: the mean of their probabilities.

    p(w) = 1/M sum_m p_m(w)

Each run has a method and a state of its own, such as its own cache, or weights that adapt.
"""

from collections.abc import Sequence
from typing import Any

from lm.data.batching import Batches
from lm.evaluation.evaluation_loop import EvalResult, evaluate
from lm.evaluation.loading import SavedRun, load_saved_run
from lm.evaluation.methods import Method
from lm.evaluation.methods.mc_dropout import mean_probability
from lm.models.language_model import LanguageModel
from lm.run_search import runs_in


def load_members(runs: Any, checkpoint: str) -> list[SavedRun]:
    """Load one or several runs, named as `conf/evaluate.yaml` explains, that predict the same words.

    Raises:
        ValueError: as `load_saved_run`, or if the runs cannot be combined.
        FileNotFoundError: as `load_saved_run`.
    """
    folders = runs_in(runs) if runs and isinstance(runs, str) else [runs]
    members = [load_saved_run(folder, checkpoint) for folder in folders]
    for other in members[1:]:
        check_combinable(members[0], other)
    return members


def check_combinable(one: SavedRun, other: SavedRun) -> None:
    """Raise a ValueError unless two runs predict the same words from the same text."""
    differences = {
        "one vocabulary": one.vocabulary.words != other.vocabulary.words,
        "one data.batching": one.config.batching != other.config.batching,
        "length_conditioning=false": one.config.length_conditioning or other.config.length_conditioning,
    }
    for wanted, differs in differences.items():
        if differs:
            found = f"'{one.run.folder}' ({len(one.vocabulary):,} words, data.batching={one.config.batching})"
            found += f" and '{other.run.folder}' ({len(other.vocabulary):,} words, {other.config.batching})"
            raise ValueError(f"expected an ensemble of runs with {wanted}, found {found}: type run= with one of them")


def evaluate_ensemble(
    models: Sequence[LanguageModel],
    batches: Batches,
    methods: Sequence[Method],
    progress: str = "",
    per_token: bool = False,
) -> EvalResult:
    """Score a text with the mean of the probabilities of several models, each with its method.

    The other arguments are those of `evaluate`. Several models have one vocabulary and no length conditioning.
    """
    if len(models) == 1:
        return evaluate(models[0], batches, methods[0], progress, per_token)
    found = [
        evaluate(model, batches, method, progress and f"{progress}, run {number} of {len(models)}", per_token=True)
        for number, (model, method) in enumerate(zip(models, methods, strict=True), 1)
    ]
    token_nats = mean_probability([one.token_nats for one in found if one.token_nats is not None])
    protocol = {**found[0].protocol, "ensemble": len(models)}
    return EvalResult(
        float(token_nats.sum()), batches.num_targets, protocol, token_nats=token_nats if per_token else None
    )
