import pytest

from lm.evaluation.composition import Composition
from lm.evaluation.methods.dynamic import Dynamic
from lm.evaluation.methods.neural_cache import Cache
from tests.evaluation.method_options import OPTIONS, composition


def test_methods_are_composed_in_one_order_whatever_was_typed():
    method = composition("method='cache,temperature,dynamic'").method()
    assert isinstance(method, Cache)
    assert isinstance(method.inner.inner, Dynamic)
    assert method.protocol() == {
        "method": "dynamic,temperature,cache",
        "settings": {name: dict(OPTIONS[name]) for name in ("dynamic", "temperature", "cache")},
    }


def test_a_wrapper_alone_is_around_static_evaluation():
    assert composition("method=cache").method().protocol()["method"] == "cache"
    assert composition("method=static").method().protocol() == {"method": "static"}


def test_what_the_reader_needs_the_composition_needs_too():
    method = composition("method='dynamic,cache'").method()
    assert method.seq_len == 20
    assert method.needs_study
    assert method.needs_hidden
    assert not composition("method=temperature").method().needs_stream


@pytest.mark.parametrize("names", [("dynamic", "mc"), ("static", "dynamic"), ("cache", "cache"), ("mc", "cache")])
def test_methods_that_do_not_compose_are_one_sentence(names):
    with pytest.raises(ValueError, match=r"^expected (one|a) method [^\n]*, found [^\n]*: type method="):
        Composition(names, OPTIONS)


BAD = {
    "temperature": ["0", "-1", "abc", "null", "nan", "inf", "[1]", "true"],
    "cache.theta": ["-1", "abc", "null", "nan"],
    "cache.weight": ["-0.1", "1", "abc", "null", "nan"],
    "cache.window": ["0", "1.5", "abc", "null"],
    "dynamic.lr": ["-1", "abc", "null", "nan", "inf"],
    "dynamic.decay": ["-1", "1.5", "abc", "null"],
    "dynamic.epsilon": ["0", "-1", "abc", "null"],
    "dynamic.seq_len": ["0", "1.5", "abc", "null"],
    "dynamic_sgd.lr": ["-1", "abc", "null"],
    "dynamic_sgd.decay": ["-1", "2", "null"],
    "dynamic_sgd.seq_len": ["0", "null"],
    "mc.samples": ["0", "1.5", "abc", "null"],
    "mc.dropout_factor": ["-0.1", "1.1", "abc", "null"],
    "mc.seed": ["-1", "abc", "null"],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in BAD.items() for value in values])
def test_every_bad_value_of_every_option_is_one_sentence(key, value):
    with pytest.raises(ValueError, match=rf"^expected {key} to be [^\n]*, found [^\n]*: type {key}="):
        composition(f"method={key.partition('.')[0]}", f"{key}={value}")


def test_typed_options_are_not_part_of_the_grid():
    chosen = composition("method='dynamic,cache'")
    assert set(chosen.grid()["cache"]) == {"theta", "weight", "window"}
    assert set(chosen.grid(["cache.theta", "dynamic.lr"])["cache"]) == {"weight", "window"}
    assert set(chosen.grid(["cache.theta", "dynamic.lr"])["dynamic"]) == {"decay"}
