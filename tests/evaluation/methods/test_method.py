import contextlib

import pytest

from lm.evaluation.methods import METHODS, Method, evaluation_mode
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
