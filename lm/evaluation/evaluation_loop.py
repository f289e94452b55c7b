"""A model and a text -> its perplexity, with dropout off and every target scored exactly once."""

from dataclasses import dataclass

import torch
from tqdm import tqdm

from lm.data.batching import Batches
from lm.data.sentences import SentenceBatch
from lm.evaluation.perplexity import perplexity
from lm.models.language_model import LanguageModel

LENGTHS = "predicted and counted in ppl; told, so not comparable with other models, in ppl_given_length"


@dataclass(frozen=True)
class EvalResult:
    """Nats and tokens of a text, and the columns it was read in.

    The state is `carried` down each, from zero at its top or at the top of its lead-in, or `reset` to zero at the start
    of every sentence. Of the nats, `length_nats` are those of the sentences' predicted lengths; None where the model
    predicts none.
    """

    nats: float
    tokens: int
    batch_size: int
    state: str = "carried"
    length_nats: float | None = None

    @property
    def ppl(self) -> float:
        """The perplexity, exp(nats / tokens)."""
        return perplexity(self.nats, self.tokens)

    @property
    def ppl_given_length(self) -> float | None:
        """The same of the words alone where their number was told: not comparable with a model that is not told."""
        return None if self.length_nats is None else perplexity(self.nats - self.length_nats, self.tokens)

    @property
    def protocol(self) -> dict[str, int | str]:
        """What the number is a number of, for the results."""
        known: dict[str, int | str] = {"batch_size": self.batch_size, "tokens": self.tokens, "state": self.state}
        return known if self.length_nats is None else {**known, "lengths": LENGTHS}


@torch.inference_mode()
def evaluate(
    model: LanguageModel, batches: Batches, device: torch.device | str = "cpu", progress: str = ""
) -> EvalResult:
    """Score a text with a model, whose mode is given back as it was.

    Args:
        model: on `device`.
        batches: the text's, which leave nothing out.
        device: where to compute.
        progress: the words before a progress bar; none is shown without.
    """
    was_training = model.training
    model.eval()
    nats, length_nats = torch.zeros(2, dtype=torch.float64, device=device)
    states = None
    for batch in tqdm(batches, desc=progress, disable=None if progress else True, leave=False):
        if isinstance(batch, SentenceBatch):
            found = model.sentence_loss(SentenceBatch(*(part_TB.to(device) for part_TB in batch)))
            nats += found.words + found.lengths
            length_nats += found.lengths
        else:
            inputs_TB, targets_TB = batch
            window_nats, states = model.total_nats(inputs_TB.to(device), targets_TB.to(device), states)
            nats += window_nats
    model.train(was_training)
    of_lengths = None if model.lengths is None else float(length_nats)
    return EvalResult(float(nats), batches.num_targets, batches.batch_size, batches.state, of_lengths)
