"""The options of evaluation methods as `conf/evaluate.yaml` has them."""

from lm.evaluation.composition import Composition
from lm.evaluation.evaluation_options import EvaluationOptions
from tests.bad_values import composed


def composition(*overrides: str) -> Composition:
    """Return the methods that `python -m lm.evaluate` composes with these overrides."""
    return EvaluationOptions.from_hydra(composed("evaluate", "run=FOLDER", *overrides)).composition


OPTIONS = composition().options
