"""A search as its sweep's folder shows it, without training."""

from pathlib import Path

from lm.study import OVERRIDES, open_study
from tests.run_folders import MakeRun

DRAWN = [(0.5, "lstm", 95.0), (1.0, "gru", 105.0), (0.4, "lstm", 93.0), (0.7, "gru", 101.0), (1.9, "lstm", None)]
"""The drawn learning rate and cell of each trial, and its validation perplexity; None: pruned."""


def make_search(sweep: Path, make_run: MakeRun) -> None:
    """Write the runs and the study of a search."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution
    from optuna.trial import TrialState, create_trial

    study = open_study(sweep)
    space = {"lr": FloatDistribution(0.3, 2, log=True), "cell": CategoricalDistribution(["lstm", "gru"])}
    for lr, cell, ppl in DRAWN:
        overrides = [f"lr={lr}", f"cell={cell}"]
        results = {"best": {"train_ppl": 50.0, "valid_ppl": ppl, "test_ppl": 90.0}}
        pruned = {"status": "pruned", "error": "validation perplexity 200.00 after epoch 1"}
        make_run(*overrides, cell=cell, config={"lr": lr}, results=pruned if ppl is None else results)
        study.add_trial(
            create_trial(
                state=TrialState.PRUNED if ppl is None else TrialState.COMPLETE,
                value=ppl,
                params={"lr": lr + 1e-6, "cell": cell},
                distributions=space,
                user_attrs={OVERRIDES: overrides},
                intermediate_values={0: 200.0},
            )
        )
