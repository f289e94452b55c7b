"""A model and a text -> its perplexity, with dropout off and every target scored exactly once."""

from dataclasses import dataclass

import torch
from tqdm import tqdm

from lm.data.streams import Streams
from lm.model.language_model import LanguageModel
from lm.training.perplexity import perplexity


@dataclass(frozen=True)
class Score:
    """Nats and tokens of a text, and the columns it was read in: the state is carried down each and starts at zero."""

    nats: float
    tokens: int
    batch_size: int

    @property
    def ppl(self) -> float:
        """The perplexity, exp(nats / tokens)."""
        return perplexity(self.nats, self.tokens)

    @property
    def protocol(self) -> dict[str, int | str]:
        """What the number is a number of, for the results."""
        return {"batch_size": self.batch_size, "tokens": self.tokens, "state": "carried"}


@torch.inference_mode()
def score(model: LanguageModel, streams: Streams, device: torch.device | str = "cpu", progress: str = "") -> Score:
    """Score a text with a model, whose mode is given back as it was.

    Args:
        model: on `device`.
        streams: the text's windows.
        device: where to compute.
        progress: the words before a progress bar; none is shown without.
    """
    was_training = model.training
    model.eval()
    nats, states = torch.zeros((), dtype=torch.float64, device=device), None
    for window in tqdm(streams, desc=progress, disable=None if progress else True, leave=False):
        window_nats, states = model.total_nats(window.inputs_TB.to(device), window.targets_TB.to(device), states)
        nats += window_nats
    model.train(was_training)
    return Score(float(nats), streams.num_targets, streams.batch_size)
