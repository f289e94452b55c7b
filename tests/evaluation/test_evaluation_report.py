import pytest

from lm.evaluation.evaluation_options import EvaluationOptions
from lm.evaluation.evaluation_report import evaluation_report
from lm.run_dir import RunDir
from tests.bad_values import composed


def report(run, *overrides):
    options = composed("evaluate", "run=FOLDER", *overrides)
    options.run = str(run)
    return evaluation_report(EvaluationOptions.from_hydra(options), [one.partition("=")[0] for one in overrides])


def test_a_split_is_scored_and_kept(copy_of_run):
    shown = report(copy_of_run, "split=valid", "method=cache")
    assert shown.startswith("valid perplexity  ")
    assert RunDir(copy_of_run).evaluations[-1]["split"] == "valid"


def test_your_own_text_is_scored_and_not_kept(copy_of_run):
    before = RunDir(copy_of_run).evaluations
    shown = report(copy_of_run, "text='ada reads'", "method=cache", "state=carried", "tune=true", "cache.window=20")
    assert "1 sentence, 3 tokens" in shown
    assert " cache.window=20)\n" in shown
    assert "cache.theta, cache.weight chosen on the valid split" in shown
    assert RunDir(copy_of_run).evaluations == before


def test_a_text_is_read_before_a_method_studies_the_training_text(copy_of_run):
    with pytest.raises(FileNotFoundError):
        report(copy_of_run, "file=nowhere.txt", "method=dynamic", "state=carried")
