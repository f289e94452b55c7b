import pytest
import torch

from lm.data.bptt import BPTTBatches
from lm.evaluation.evaluation_loop import evaluate
from lm.evaluation.methods import Static
from lm.evaluation.methods import dynamic as dynamic_module
from lm.evaluation.methods.dynamic import Dynamic, DynamicSGD, gradient_rms, learning_mode
from lm.evaluation.methods.neural_cache import Cache
from lm.evaluation.methods.temperature import Temperature
from tests.evaluation import slow_references
from tests.evaluation.small_models import IDS, small_model

RMS = {"lr": 0.002, "decay": 0.2, "seq_len": 5, "epsilon": 0.001}
SGD = {"lr": 0.5, "decay": 0.05, "seq_len": 5}
TRAIN = slow_references.random_ids(61, seed=2)


@pytest.fixture(autouse=True)
def three_columns(monkeypatch):
    monkeypatch.setattr(dynamic_module, "STATISTICS_BATCH_SIZE", 3)


def method_for(model, kind):
    return DynamicSGD(**SGD) if kind == "sgd" else Dynamic(**RMS).study(model, TRAIN)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_statistics_are_those_of_a_loop_over_columns(cell):
    found = gradient_rms(small_model(cell), TRAIN, seq_len=7)
    expected = slow_references.gradient_mean_square_roots(small_model(cell), TRAIN, columns=3, seq_len=7)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-7)


@pytest.mark.parametrize("options", [{}, {"tie_weights": True}, {"softmax": "adaptive", "cutoffs": [6]}])
@pytest.mark.parametrize("kind", ["rms", "sgd"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_it_is_the_formula_word_by_word(cell, kind, options):
    model = small_model(cell, **options)
    found = evaluate(model, BPTTBatches(IDS, 1, 5), method_for(model, kind), per_token=True).token_nats
    expected = {
        "sgd": lambda: slow_references.dynamic(model, IDS, **SGD),
        "rms": lambda: slow_references.dynamic(
            model, IDS, **RMS, ms=slow_references.gradient_mean_square_roots(model, TRAIN, 3, 5)
        ),
    }[kind]()
    assert found.tolist() == pytest.approx(expected, abs=1e-7)
    assert found.tolist() != pytest.approx(slow_references.static(small_model(cell), IDS), abs=1e-3)


@pytest.mark.parametrize("kind", ["rms", "sgd"])
def test_at_a_learning_rate_of_zero_it_is_static_evaluation(kind):
    model, batches = small_model(), BPTTBatches(IDS, 1, 5)
    found = evaluate(model, batches, method_for(model, kind).with_settings(lr=0.0))
    assert found.nats == pytest.approx(evaluate(model, batches).nats, abs=1e-9)


@pytest.mark.parametrize("kind", ["rms", "sgd"])
def test_the_weights_and_the_mode_are_restored(kind):
    model = small_model().train()
    before = [parameter.clone() for parameter in model.parameters()]
    method = method_for(model, kind)
    first, second = (evaluate(model, BPTTBatches(IDS, 1, 5), method).nats for _ in range(2))
    assert first == second
    assert model.training
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), before, strict=True))


def test_only_recurrent_layers_are_in_training_mode_on_a_gpu_which_changes_no_number(monkeypatch):
    """cuDNN has no backward pass in evaluation mode."""
    model = small_model()
    with learning_mode(model):
        assert not any(module.training for module in model.modules())
    expected = evaluate(model, BPTTBatches(IDS, 1, 5), method_for(model, "sgd")).nats
    modes = []
    model.rnns[0].register_forward_hook(
        lambda *_: modes.append((model.rnns[0].training, model.output_dropout.training))
    )
    train = type(model.rnns).train
    monkeypatch.setattr(type(model.rnns), "train", lambda self, mode=True: train(self, self is model.rnns))
    assert evaluate(model, BPTTBatches(IDS, 1, 5), method_for(model, "sgd")).nats == pytest.approx(expected, abs=1e-9)
    assert set(modes) == {(True, False)}


def test_a_full_decay_forgets_what_was_learned():
    """With decay 1 each part starts from the trained weights, but for one step."""
    model, batches = small_model(), BPTTBatches(IDS, 1, 5)
    kept, forgotten = (evaluate(model, batches, DynamicSGD(lr=0.1, decay=d, seq_len=5)).nats for d in (0.0, 1.0))
    assert kept != pytest.approx(forgotten, rel=1e-6)


def test_it_composes_with_temperature_and_cache():
    """The gradient is that of the model alone; only the prediction is divided and mixed."""
    model, batches = small_model(), BPTTBatches(IDS, 1, 5)
    dynamic = method_for(model, "rms")
    composed = Cache(Temperature(dynamic, 1.4), theta=1.0, weight=0.0, window=9)
    found = evaluate(model, batches, composed, per_token=True).token_nats
    assert found.tolist() == pytest.approx(
        evaluate(model, batches, Temperature(dynamic, 1.4), per_token=True).token_nats.tolist(), abs=1e-9
    )
    mixed = evaluate(model, batches, Cache(dynamic, theta=1.0, weight=0.3, window=9), per_token=True).token_nats
    alone = evaluate(model, batches, dynamic, per_token=True).token_nats
    assert mixed[0] == pytest.approx(float(alone[0]), abs=1e-9)
    static = evaluate(model, batches, Cache(Static(), theta=1.0, weight=0.3, window=9), per_token=True).token_nats
    torch.testing.assert_close(mixed[:5], static[:5])  # nothing is learned within the first part
    assert composed.protocol()["method"] == "dynamic,temperature,cache"
