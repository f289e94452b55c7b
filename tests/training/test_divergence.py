import math
from unittest.mock import Mock

import pytest
import torch

from lm.data.bptt import IGNORE_INDEX
from lm.models.language_model import LanguageModel
from lm.training.divergence import Diverged, StopOnNonFiniteLoss
from lm.training.lightning_module import LanguageModelModule
from tests.configs import config_with

UNIFORM = 30


@pytest.fixture
def module():
    return LanguageModelModule(LanguageModel(UNIFORM, hidden_size=4, embedding_size=4), config_with(lr=8.0), {})


def end_epoch(callback, module, train_ppl, valid_ppl=20.0, epoch=0):
    """Let the callback see the end of an epoch with these perplexities."""
    module.train_perplexity.reset()
    module.train_perplexity.update(torch.tensor(math.log(train_ppl) * 100, dtype=torch.float64), 100)
    module.validation_perplexity = lambda: valid_ppl
    callback.on_train_epoch_end(Mock(current_epoch=epoch), module)


@pytest.mark.parametrize("ppls", [[20, 10], [40, 25], [59, 58.5, 58], [55, 31, 29], [10, 29.9, 29.9]])
def test_a_slow_start_is_no_divergence(module, ppls):
    callback = StopOnNonFiniteLoss(every=1)
    for epoch, ppl in enumerate(ppls):
        end_epoch(callback, module, ppl, epoch=epoch)


@pytest.mark.parametrize("ppls", [[61], [1e300], [10, 31], [55, 56]])
def test_a_training_perplexity_above_that_of_the_uniform_distribution_is_divergence(module, ppls):
    callback = StopOnNonFiniteLoss(every=1)
    for epoch, ppl in enumerate(ppls[:-1]):
        end_epoch(callback, module, ppl, epoch=epoch)
    with pytest.raises(
        Diverged, match=rf"uniform distribution is 30\), found .* in epoch {len(ppls)}: type lr=0.8 or .* or less if"
    ):
        end_epoch(callback, module, ppls[-1], epoch=len(ppls) - 1)


def test_the_limit_survives_a_resume(module):
    callback, resumed = StopOnNonFiniteLoss(every=1), StopOnNonFiniteLoss(every=1)
    end_epoch(callback, module, 40)
    resumed.load_state_dict(callback.state_dict())
    with pytest.raises(Diverged):
        end_epoch(resumed, module, 41, epoch=1)


def test_the_last_finite_perplexity_is_that_of_the_words_of_the_last_batch(module):
    """Of four columns two are padding; the loss is the sum of the nats over the batch size."""
    callback, targets_TB = StopOnNonFiniteLoss(every=1), torch.zeros(5, 4, dtype=torch.int64)
    targets_TB[:, 2:] = IGNORE_INDEX
    module.config, module.last_norm = config_with(batch_size=4), torch.tensor(2.0)
    trainer, batch = Mock(global_step=1, world_size=1), Mock(targets_TB=targets_TB)
    callback.on_train_batch_end(trainer, module, {"loss": torch.tensor(10 * math.log(7) / 4)}, batch, 0)
    with pytest.raises(Diverged, match=r"found nan at step 1 \(last finite: perplexity 7\.00, gradient norm 2\)"):
        callback.on_train_batch_end(trainer, module, {"loss": torch.tensor(math.nan)}, batch, 1)


@pytest.mark.parametrize("valid_ppl", [math.inf, math.nan])
def test_a_validation_perplexity_that_is_not_finite_is_divergence(module, valid_ppl):
    with pytest.raises(Diverged, match="expected a finite validation perplexity, found"):
        end_epoch(StopOnNonFiniteLoss(every=1), module, 10, valid_ppl)


def test_a_validation_perplexity_that_was_not_measured_is_no_divergence(module):
    end_epoch(StopOnNonFiniteLoss(every=1), module, 10, valid_ppl=None)
