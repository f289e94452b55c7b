"""A model and a text -> its perplexity, with dropout off and every target scored exactly once."""

from dataclasses import dataclass

import torch
from tqdm import tqdm

from lm.data.batching import Batches
from lm.data.sentences import SentenceBatch
from lm.model.language_model import LanguageModel
from lm.training.perplexity import perplexity


@dataclass(frozen=True)
class Score:
    """Nats and tokens of a text, and the columns it was read in.

    The state is `carried` down each, from zero at its top, or `reset` to zero at the start of every sentence.
    """

    nats: float
    tokens: int
    batch_size: int
    state: str = "carried"

    @property
    def ppl(self) -> float:
        """The perplexity, exp(nats / tokens)."""
        return perplexity(self.nats, self.tokens)

    @property
    def protocol(self) -> dict[str, int | str]:
        """What the number is a number of, for the results."""
        return {"batch_size": self.batch_size, "tokens": self.tokens, "state": self.state}


@torch.inference_mode()
def score(model: LanguageModel, batches: Batches, device: torch.device | str = "cpu", progress: str = "") -> Score:
    """Score a text with a model, whose mode is given back as it was.

    Args:
        model: on `device`.
        batches: the text's, which leave nothing out.
        device: where to compute.
        progress: the words before a progress bar; none is shown without.
    """
    was_training = model.training
    model.eval()
    nats, states = torch.zeros((), dtype=torch.float64, device=device), None
    for batch in tqdm(batches, desc=progress, disable=None if progress else True, leave=False):
        if isinstance(batch, SentenceBatch):
            nats += model.sentence_nats(SentenceBatch(*(part_TB.to(device) for part_TB in batch)))
        else:
            window_nats, states = model.total_nats(batch.inputs_TB.to(device), batch.targets_TB.to(device), states)
            nats += window_nats
    model.train(was_training)
    return Score(float(nats), batches.num_targets, batches.batch_size, batches.state)
