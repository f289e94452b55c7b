import contextlib
import math
import re

import pytest

from lm.data.bptt import IGNORE_INDEX, BPTTBatches
from lm.evaluation.composition import Composition
from lm.evaluation.evaluation_loop import evaluate
from lm.evaluation.loading import load_saved_run
from lm.evaluation.methods import METHODS, Method, Nats, evaluation_mode
from lm.models.language_model import LanguageModel
from tests.evaluation.method_options import OPTIONS
from tests.evaluation.slow_references import WORDS
from tests.evaluation.small_models import IDS, small_model


@pytest.mark.parametrize("training", [True, False])
def test_a_model_gets_its_mode_back_even_after_an_error(training):
    model = LanguageModel(5, "gru", 4, 4, dropout=0.5).train(training)
    with contextlib.suppress(KeyError), evaluation_mode(model):
        assert not any(module.training for module in model.modules())
        raise KeyError
    assert all(module.training == training for module in model.modules())


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_registered_under_its_name(name):
    assert issubclass(METHODS[name], Method)
    assert Composition((name,), OPTIONS).method().protocol()["method"] == name


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


METHODS_AND_OPTIONS = ["static", "temperature", "cache", "dynamic_sgd", "dynamic", "mc", "dynamic,temperature,cache"]


@pytest.mark.parametrize("names", METHODS_AND_OPTIONS)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_change_of_the_future_changes_no_earlier_number(names, cell):
    model = small_model(cell)
    options = {
        "temperature": {"temperature": 1.2},
        "dynamic": {"lr": 0.01, "decay": 0.1, "epsilon": 0.01, "seq_len": 5},
        "mc": {"samples": 2, "dropout_factor": 0.5, "seed": 1},
    }
    chosen = Composition(tuple(names.split(",")), OPTIONS | options)
    method, other = chosen.method().study(model, IDS), IDS.clone()
    other[100:] = (other[100:] + 1) % WORDS
    first, second = (evaluate(model, BPTTBatches(ids, 1, 5), method, per_token=True).token_nats for ids in (IDS, other))
    assert first[:99].tolist() == pytest.approx(second[:99].tolist(), abs=1e-12)
    assert first[99:].tolist() != pytest.approx(second[99:].tolist(), abs=1e-3)
