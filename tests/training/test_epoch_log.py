from unittest.mock import Mock

import torch

from lm.models.language_model import LanguageModel
from lm.training.epoch_log import ProgressBar
from lm.training.lightning_module import LanguageModelModule
from tests.configs import config_with


def test_the_progress_bar_shows_perplexities_as_plain_numbers():
    module = LanguageModelModule(LanguageModel(30, hidden_size=4, embedding_size=4), config_with(), {})
    module.train_perplexity.update(torch.tensor(700.0), 100)
    trainer = Mock(progress_bar_metrics={"valid_ppl": 1071.234})
    assert ProgressBar().get_metrics(trainer, module) == {"valid_ppl": "1071.23", "ppl": "1096.63"}


def test_an_exception_clears_the_progress_bar():
    bar = ProgressBar()
    bar._train_progress_bar = shown = Mock()
    bar.on_exception(Mock(), Mock(), KeyboardInterrupt())
    assert shown.leave is False
    shown.close.assert_called_once_with()
