"""Averages of the weights against those computed from the weights after every step."""

import math
from copy import deepcopy
from unittest.mock import Mock

import pytest
import pytorch_lightning as pl
import torch

from lm.data.bptt import BPTTBatches
from lm.models.language_model import LanguageModel
from lm.training.averaged_weights import ExponentialAverage, NonMonotonicAverage, averaged
from lm.training.averaging import make_averaging
from lm.training.lightning_module import LanguageModelModule
from tests.configs import config_with

WORDS, SIZE, BATCH, SEQ_LEN, STEPS = 20, 8, 4, 5, 6


class Spy(pl.Callback):
    """Keeps the weights after every step, those that are validated, and the checkpoint after every epoch."""

    def __init__(self):
        self.trained, self.validated, self.checkpoints, self.sampled = [], [], [], []

    def on_train_batch_end(self, trainer, module, *_):
        self.trained.append(deepcopy(module.model.state_dict()))

    def on_validation_epoch_end(self, trainer, module):
        self.validated.append(deepcopy(module.model.state_dict()))

    def on_train_epoch_end(self, trainer, module):
        self.checkpoints.append(deepcopy(trainer._checkpoint_connector.dump_checkpoint()))
        with averaged(trainer):
            self.sampled.append(deepcopy(module.model.state_dict()))


def train(callbacks, epochs=3, **changes):
    """Train for epochs of six steps on random words, and return the Trainer and what was seen."""
    changes = {"cell": "gru", "hidden_size": SIZE, "embedding_size": SIZE, "tie_weights": True, "lr": 0.5} | changes
    config = config_with(batch_size=BATCH, seq_len=SEQ_LEN, epochs=epochs, **changes)
    torch.manual_seed(1)
    ids = torch.randint(WORDS, (BATCH * SEQ_LEN * STEPS + 1,))
    module = LanguageModelModule(LanguageModel(WORDS, **config.model_arguments()), config, metadata={})
    spy = Spy()
    trainer = pl.Trainer(
        max_epochs=epochs, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu",
        log_every_n_steps=1, use_distributed_sampler=False, num_sanity_val_steps=0,
        callbacks=[*(callbacks or make_averaging(config)), spy],
    )  # fmt: skip
    batches = BPTTBatches(ids, BATCH, SEQ_LEN)
    trainer.fit(module, batches, batches)
    return trainer, spy, batches


def mean(states):
    return {name: sum(state[name] for state in states) / len(states) for name in states[0]}


def exponential(states, decay):
    found = states[0]
    for state in states[1:]:
        found = {name: decay * found[name] + (1 - decay) * state[name] for name in found}
    return found


def model_of(checkpoint, key="state_dict"):
    return {name.removeprefix("model."): value for name, value in checkpoint[key].items() if name.startswith("model.")}


def assert_close(found, expected):
    torch.testing.assert_close(dict(found), dict(expected), atol=1e-6, rtol=1e-5)


def perplexity(weights, batches):
    model = LanguageModel(WORDS, cell="gru", embedding_size=SIZE, hidden_size=SIZE, tie_weights=True)
    model.load_state_dict(weights)
    nats, states = 0.0, None
    for batch in batches:
        found, states = model.eval().total_nats(batch.inputs_TB, batch.targets_TB, states)
        nats += float(found.detach())
    return math.exp(nats / (BATCH * SEQ_LEN * STEPS))


def test_the_exponential_average_is_validated_and_saved_and_training_goes_on_from_its_own_weights():
    trainer, spy, batches = train([ExponentialAverage(decay=0.75)])
    for epoch, checkpoint in enumerate(spy.checkpoints):
        expected = exponential(spy.trained[: (epoch + 1) * STEPS], 0.75)
        for found in (spy.validated[epoch], model_of(checkpoint), spy.sampled[epoch]):
            assert_close(found, expected)
        assert_close(model_of(checkpoint, "trained_weights"), spy.trained[(epoch + 1) * STEPS - 1])
    assert float(trainer.callback_metrics["valid_ppl"]) == pytest.approx(perplexity(expected, batches), rel=1e-5)


def test_training_is_the_same_with_and_without_an_average():
    (_, with_average, _), (_, without, _) = train([ExponentialAverage(0.9)]), train([])
    for found, expected in zip(with_average.trained, without.trained, strict=True):
        assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert "trained_weights" not in without.checkpoints[-1]


@pytest.mark.parametrize(
    ("perplexities", "start"),
    [([5.0, 4.0, 3.0, 2.0, 1.0], 5), ([5.0, 4.0, 6.0, 2.0, 1.0], 3), ([5.0, 4.0, 4.5, 6.0, 1.0], 4)],
)
def test_the_mean_is_of_the_weights_after_the_epoch_at_which_validation_stopped_improving(
    monkeypatch, perplexities, start
):
    values = iter(perplexities)
    monkeypatch.setattr(LanguageModelModule, "validation_perplexity", lambda self: next(values))
    average = NonMonotonicAverage(patience=1)
    _, spy, _ = train([average], epochs=5)
    for epoch, checkpoint in enumerate(spy.checkpoints):
        since = spy.trained[start * STEPS : (epoch + 1) * STEPS]
        assert_close(spy.validated[epoch], mean(since) if since else spy.trained[(epoch + 1) * STEPS - 1])
        assert ("trained_weights" in checkpoint) == bool(since)
    assert average.started == (start < 5)


@pytest.mark.parametrize("patience", [1, 2, 5])
@pytest.mark.parametrize(
    "losses", [[3, 2, 1, 1.5, 1.2, 1.1, 1.4], [3, 2, 2.5, 2.6, 1.9, 1.8, 1.7], [1, 2, 3, 4, 5, 6, 7, 8]]
)
def test_averaging_starts_where_the_code_of_awd_lstm_switches_to_asgd(losses, patience):
    best_val_loss, expected = [], None  # main.py of salesforce/awd-lstm-lm, with nonmono=patience
    for epoch, val_loss in enumerate(losses):
        if expected is None and len(best_val_loss) > patience and val_loss > min(best_val_loss[:-patience]):
            expected = epoch
        best_val_loss.append(val_loss)
    average, found = NonMonotonicAverage(patience), None
    for epoch, val_loss in enumerate(losses):
        module = Mock(spec=LanguageModelModule)
        module.validation_perplexity.return_value = val_loss
        average.on_validation_end(Mock(current_epoch=epoch), module)
        found = epoch if found is None and average.started else found
    assert found == expected


def test_the_averages_of_asgd_are_validated_and_saved():
    options = {"lambd": 0.0, "alpha": 0.75, "t0": 4}
    _, spy, _ = train(None, optimizer="asgd", optimizer_options=options)
    for epoch, checkpoint in enumerate(spy.checkpoints):
        expected = mean(spy.trained[4 : (epoch + 1) * STEPS])
        for found in (spy.validated[epoch], model_of(checkpoint)):
            assert_close(found, expected)


def test_averages_of_bf16_weights_are_float32():
    average, model = ExponentialAverage(decay=0.999), torch.nn.Linear(3, 2).bfloat16()
    for step in range(100):
        torch.nn.init.constant_(model.weight, 0.0 if step == 0 else 1.0)
        average.on_train_batch_end(None, model)
    found = average.averages(None)[0]
    torch.testing.assert_close(found, torch.full((2, 3), 1 - 0.999**99))
