"""A model, a prompt and the options of `conf/generate.yaml` -> texts."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Annotated, Any

from tqdm import tqdm

from lm.checks import check_fields, check_flag, check_group, check_whole, unexpected
from lm.data.vocabulary import EOS, Vocabulary
from lm.generation.beam_search import Beam, beam_search
from lm.generation.decoder import Continuation, Decode
from lm.generation.length_conditioned import LengthConditionedDecoder, make_decoder
from lm.generation.sampling import Sampling, sample
from lm.models.language_model import LanguageModel

MAX_NEW_TOKENS = 1_000_000
MAX_SAMPLES = 10_000  # with a vocabulary of 10,000 words, the probabilities of one step take about a gigabyte
QUIET_SECONDS = 2
"""A progress bar appears after that time."""


@dataclass(frozen=True)
class GenerationOptions:
    """What to generate, and how, under the names that `conf/generate.yaml` explains.

    Raises:
        ValueError: if a value cannot be used, by itself or together with the others.
    """

    run: Any
    checkpoint: Any
    prompt: str
    length: Annotated[int | None, partial(check_whole, example=12, optional=True)]
    max_new_tokens: Annotated[int, partial(check_whole, example=30, most=MAX_NEW_TOKENS)]
    stop_at_eos: Annotated[bool, check_flag]
    allow_unk: Annotated[bool, check_flag]
    num_samples: Annotated[int, partial(check_whole, example=1, most=MAX_SAMPLES)]

    temperature: float
    top_k: int | None
    top_p: float | None
    seed: Annotated[int, partial(check_whole, example=1, least=0, most=2**63 - 1)]

    beam: Annotated[Mapping[str, Any], check_group]

    def __post_init__(self) -> None:
        check_fields(self)
        if not isinstance(self.prompt, str):
            raise unexpected("prompt", "text", self.prompt, "'the company'")
        if isinstance(self.strategy, Beam) and self.num_samples > self.strategy.width:
            raise ValueError(
                f"expected num_samples to be at most beam.width={self.strategy.width}, found {self.num_samples}: "
                f"type beam.width={self.num_samples}"
            )

    @cached_property
    def strategy(self) -> Sampling | Beam:
        """Beam search if the beam has a width, or else sampling."""
        sampling = Sampling(self.temperature, self.top_k, self.top_p)
        return sampling if self.beam.get("width") is None else Beam(**self.beam)

    @property
    def unused(self) -> tuple[str, str, tuple[str, ...]]:
        """The arguments of `refuse_options`: what the options are for, and those that are for something else."""
        if isinstance(self.strategy, Beam):
            return "beam search", "sampling", ("temperature", "top_k", "top_p", "seed")
        return "sampling", "beam.width=", ("beam.length_penalty", "beam.length_formula")


@dataclass(frozen=True)
class GeneratedTexts:
    """Texts that continue one prompt.

    Args:
        prompt: its words.
        texts: what was generated after it, the best first if by beam search.
        length: the number of words that the model was conditioned on, the prompt's included; None if on none.
        tokens_read: by the model, with the prompt and with texts that the search gave up.
    """

    prompt: Sequence[str]
    texts: Sequence[Continuation]
    length: int | None
    tokens_read: int


def generate(
    model: LanguageModel, vocabulary: Vocabulary, prompt: Sequence[str], options: GenerationOptions
) -> GeneratedTexts:
    """Generate texts that start with a prompt, at the start of a sentence.

    Args:
        model: in evaluation mode, on any device.
        vocabulary: of the model.
        prompt: words; one that is not in the vocabulary is read as `<unk>`.
        options: how to generate.

    Raises:
        ValueError: if the model cannot generate as the options say.
    """
    _check_length(model, len(prompt), options)
    ids, strategy = vocabulary.encode([EOS, *prompt]), options.strategy
    eos_id = vocabulary.eos_id if options.stop_at_eos else None
    suppressed_ids = [] if options.allow_unk else [vocabulary.unk_id]
    seed = options.seed if isinstance(strategy, Sampling) else None
    decoder = make_decoder(model, ids, suppressed_ids, options.length, seed)
    with progress(decoder, options.max_new_tokens) as decode:
        if isinstance(strategy, Beam):
            texts = beam_search(decode, ids, eos_id, options.max_new_tokens, strategy)[: options.num_samples]
        else:
            texts = sample(decode, ids, eos_id, options.max_new_tokens, options.num_samples, strategy, options.seed)
    length = decoder.length if isinstance(decoder, LengthConditionedDecoder) else None
    return GeneratedTexts(prompt, texts, length, decoder.tokens_read)


def _check_length(model: LanguageModel, prompt_words: int, options: GenerationOptions) -> None:
    if model.lengths is not None and not options.stop_at_eos:
        raise ValueError(
            "expected stop_at_eos=true for a run with length_conditioning=true, found false: leave stop_at_eos out"
        )
    if options.length is not None and options.length - prompt_words >= options.max_new_tokens:
        raise ValueError(
            f"expected max_new_tokens to leave room for length={options.length} and <eos>, "
            f"found {options.max_new_tokens}: type max_new_tokens={options.length + 1}"
        )


@contextmanager
def progress(decode: Decode, steps: int) -> Iterator[Decode]:
    """Return the same function, which moves a progress bar by one step per call."""
    with tqdm(total=steps, desc="generating", unit="token", delay=QUIET_SECONDS, disable=None, leave=False) as bar:
        yield lambda tokens_TB, states: (bar.update(), decode(tokens_TB, states))[1]
