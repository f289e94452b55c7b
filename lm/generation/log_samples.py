"""A few words of the model's own after each epoch, as text in TensorBoard."""

import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger

from lm.data.vocabulary import Vocabulary
from lm.generation.decoder import evaluation_mode
from lm.generation.length_conditioned import decoder_for
from lm.generation.sampling import sample
from lm.models.language_model import LanguageModel
from lm.training.lightning_module import LanguageModelling


class WriteSamples(pl.Callback):
    """Lets the model write after each epoch.

    Args:
        vocabulary: of the model.
        samples: sentences each time; by the same random numbers every epoch, so that only the model changes.
    """

    def __init__(self, vocabulary: Vocabulary, samples: int = 3) -> None:
        self.vocabulary, self.samples = vocabulary, samples

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the samples to TensorBoard, a line each."""
        assert isinstance(pl_module, LanguageModelling)
        if isinstance(trainer.logger, TensorBoardLogger) and trainer.is_global_zero:
            lines = sample_sentences(pl_module.model, self.vocabulary, self.samples)
            text = "\n".join(f"- {line}" for line in lines)
            trainer.logger.experiment.add_text("samples", text, trainer.current_epoch + 1)


def sample_sentences(model: LanguageModel, vocabulary: Vocabulary, samples: int) -> list[str]:
    """Return sentences without `<unk>` that the model writes, whatever its mode; it is given back in it."""
    end_id = vocabulary.end_id
    with evaluation_mode(model):
        decoder = decoder_for(model, [end_id], [vocabulary.unknown_id], length=None, seed=1)
        texts = sample(decoder, [end_id], end_id, samples=samples)
    return [" ".join(vocabulary.decode(text.ids)) for text in texts]
