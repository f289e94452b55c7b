import contextlib
import math
import re

import pytest

from lm.data.bptt import IGNORE_INDEX
from lm.evaluation.loading import load_saved_run
from lm.evaluation.methods import METHODS, Method, Nats, evaluation_mode
from lm.models.language_model import LanguageModel


@pytest.mark.parametrize("training", [True, False])
def test_a_model_gets_its_mode_back_even_after_an_error(training):
    model = LanguageModel(5, "gru", 4, 4, dropout=0.5).train(training)
    with contextlib.suppress(KeyError), evaluation_mode(model):
        assert not any(module.training for module in model.modules())
        raise KeyError
    assert all(module.training == training for module in model.modules())


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_registered_under_its_name(name):
    method = METHODS[name]()
    assert isinstance(method, Method)
    assert method.protocol()["method"] == name


class Uniform(Method):
    name = "uniform"

    def score(self, model, batch, state, per_token):
        scored_TB = (batch.targets_TB != IGNORE_INDEX).double() * math.log(model.decoder.out_features)
        return Nats(scored_TB if per_token else scored_TB.sum()), state


def test_a_new_method_needs_a_registry_entry_and_nothing_else(run_command, saved_run, monkeypatch, capsys):
    monkeypatch.setitem(METHODS, "uniform", Uniform)
    size = len(load_saved_run(saved_run).vocabulary)
    assert run_command("lm.evaluate", f"run={saved_run}", "split=test", "method=uniform") == 0
    assert re.search(rf"test perplexity +{size}\.0000\n(.|\n)*uniform evaluation", capsys.readouterr().out)
    assert run_command("lm.evaluate", f"run={saved_run}", "text=ada reads", "method=uniform") == 0
    assert f"perplexity {size}.0000" in capsys.readouterr().out
