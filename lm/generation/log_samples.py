"""A few words of the model's own after each epoch, as text in TensorBoard."""

import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger

from lm.data.vocabulary import Vocabulary
from lm.generation.decoder import evaluation_mode
from lm.generation.length_conditioned import decoder_for
from lm.generation.sampling import sample
from lm.models.language_model import LanguageModel
from lm.training.lightning_module import LanguageModelModule


class LogSamples(pl.Callback):
    """Lets the model write after each epoch.

    Args:
        vocabulary: of the model.
        num_samples: sentences each time; by the same random numbers every epoch, so that only the model changes.
    """

    def __init__(self, vocabulary: Vocabulary, num_samples: int = 3) -> None:
        self.vocabulary, self.num_samples = vocabulary, num_samples

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the samples to TensorBoard, a line each."""
        assert isinstance(pl_module, LanguageModelModule)
        if isinstance(trainer.logger, TensorBoardLogger) and trainer.is_global_zero:
            lines = sample_sentences(pl_module.model, self.vocabulary, self.num_samples)
            text = "\n".join(f"- {line}" for line in lines)
            trainer.logger.experiment.add_text("samples", text, trainer.current_epoch + 1)


def sample_sentences(model: LanguageModel, vocabulary: Vocabulary, num_samples: int) -> list[str]:
    """Return sentences without `<unk>` that the model writes, whatever its mode; it is given back in it."""
    eos_id = vocabulary.eos_id
    with evaluation_mode(model):
        decoder = decoder_for(model, [eos_id], [vocabulary.unk_id], length=None, seed=1)
        texts = sample(decoder, [eos_id], eos_id, num_samples=num_samples)
    return [" ".join(vocabulary.decode(text.ids)) for text in texts]
