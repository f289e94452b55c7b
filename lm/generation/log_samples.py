"""Samples of the model after each epoch, as text in TensorBoard."""

import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger

from lm.data.vocabulary import Vocabulary
from lm.evaluation.methods import evaluation_mode
from lm.generation.length_conditioned import make_decoder
from lm.generation.sampling import sample
from lm.models.language_model import LanguageModel
from lm.training.averaged_weights import averaged
from lm.training.lightning_module import LanguageModelModule

SAMPLE_TOKENS = 30


class LogSamples(pl.Callback):
    """Generates a few sentences after each epoch, with the same random numbers, so that only the model changes.

    Args:
        vocabulary: of the model.
        num_samples: the number of sentences.
    """

    def __init__(self, vocabulary: Vocabulary, num_samples: int = 3) -> None:
        self.vocabulary, self.num_samples = vocabulary, num_samples

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the samples to TensorBoard, one per line."""
        assert isinstance(pl_module, LanguageModelModule)
        boards = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
        if boards and trainer.is_global_zero:
            with averaged(trainer):
                lines = sample_sentences(pl_module.model, self.vocabulary, self.num_samples)
            text = "\n".join(f"- {line}" for line in lines)
            boards[0].experiment.add_text("samples", text, trainer.global_step)


def sample_sentences(model: LanguageModel, vocabulary: Vocabulary, num_samples: int) -> list[str]:
    """Return sentences without `<unk>` that the model generates with dropout off; its mode is restored."""
    eos_id = vocabulary.eos_id
    with evaluation_mode(model):
        decoder = make_decoder(model, [eos_id], [vocabulary.unk_id], length=None, seed=1)
        texts = sample(decoder, [eos_id], eos_id, SAMPLE_TOKENS, num_samples)
    return [vocabulary.text(vocabulary.decode(text.ids)) for text in texts]
