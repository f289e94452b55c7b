"""The yardstick: the same model in a loop as one writes it from PyTorch's documentation, in true float32."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lm.benchmark.benchmark_job import Job
from lm.benchmark.loop import Loop
from lm.benchmark.timing import DATA, EMBEDDING, LOOP, SOFTMAX, UPDATE, attach
from lm.config import Config
from lm.data.corpus import Corpus
from lm.models.cells import get_cell
from lm.models.language_model import LanguageModel, State, detach_states
from lm.training.hardware import set_precision


class PlainLanguageModel(nn.Module):
    """The model in PyTorch's own modules, with the weights that the project's model starts with by the same seed.

    Raises:
        ValueError: where PyTorch has no such cell.
    """

    def __init__(self, vocabulary_size: int, settings: Config) -> None:
        super().__init__()
        sizes = (settings.embedding_size, settings.hidden_size, settings.num_layers)
        self.embedding = nn.Embedding(vocabulary_size, settings.embedding_size)
        self.dropout = nn.Dropout(settings.dropout)
        between = settings.dropout if settings.num_layers > 1 else 0.0
        self.recurrent = get_cell(settings.cell).reference(*sizes, dropout=between)
        self.projection = nn.Linear(settings.hidden_size, vocabulary_size)
        if settings.tie_weights:
            self.projection.weight = self.embedding.weight
        torch.manual_seed(settings.seed)
        self._take_weights(LanguageModel(vocabulary_size, **settings.model_arguments()))

    @torch.no_grad()
    def _take_weights(self, model: LanguageModel) -> None:
        self.embedding.load_state_dict(model.embedding.state_dict())
        self.projection.load_state_dict(model.decoder.state_dict())
        for index, layer in enumerate(model.rnns):
            for name, value in layer.named_parameters():
                getattr(self.recurrent, name.replace("_l0", f"_l{index}")).copy_(value)

    def forward(self, tokens_TB: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the hidden states that the projection reads, and the state after the last word."""
        hidden_TBH, state = self.recurrent(self.dropout(self.embedding(tokens_TB)), state)
        return self.dropout(hidden_TBH), state


class PlainLoop(Loop):
    """Steps of the plain model. Everything is float32, and the machine is as PyTorch finds it."""

    def __init__(self, job: Job, corpus: Corpus) -> None:
        super().__init__(job)
        set_precision("32-true", self.clock.device)
        self.windows = job.windows_of(corpus)
        self.model = PlainLanguageModel(len(corpus.vocabulary), job.settings).to(self.clock.device)
        self.parameters = list(self.model.parameters())
        self.state: State = None
        attach(self.clock, self.model, self.model.embedding)

    def step(self, index: int) -> Tensor:
        """Train on a window."""
        inputs_TB, targets_TB = (part.to(self.clock.device) for part in self.windows.window(index))
        self.clock.lap(DATA)
        hidden_TBH, state = self.model(inputs_TB, self.state)
        (self.state,) = detach_states([state])
        logits_NV = self.model.projection(hidden_TBH).flatten(0, 1)
        nats = F.cross_entropy(logits_NV, targets_TB.flatten(), reduction="sum")
        loss: Tensor = nats / self.job.settings.batch_size
        self.clock.lap(SOFTMAX)
        self.model.zero_grad()
        self.clock.lap(LOOP)
        torch.autograd.backward(loss)
        self.clock.lap(EMBEDDING)
        self._update()
        self.clock.lap(UPDATE)
        return loss.detach()

    @torch.no_grad()
    def _update(self) -> None:
        nn.utils.clip_grad_norm_(self.parameters, self.job.settings.max_grad_norm)
        for parameter in self.parameters:
            assert parameter.grad is not None
            parameter.add_(parameter.grad, alpha=-self.job.settings.lr)
