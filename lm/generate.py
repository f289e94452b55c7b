"""Let a saved run write.

    python -m lm.generate run=RUN_FOLDER prompt="the company" max_new_tokens=30 temperature=0.8      # by chance
    python -m lm.generate run=RUN_FOLDER prompt="the company" num_samples=5 top_p=0.9 seed=2
    python -m lm.generate run=RUN_FOLDER prompt="the company" length=12    # trained with length_conditioning=true
    python -m lm.generate run=RUN_FOLDER prompt="the company" beam.width=8 beam.length_penalty=1  # the likeliest text

It needs the run folder alone. `conf/generate.yaml` explains all options; `lm/generation/beam_search.py` explains
the length penalty.
"""

import time
from collections.abc import Sequence
from statistics import fmean, stdev

from omegaconf import DictConfig, OmegaConf

from lm.checks import check_flag, check_whole
from lm.cli import command
from lm.data.vocabulary import EOS, Vocabulary
from lm.evaluation.loading import load_model
from lm.generation.beam_search import Beam, beam_search
from lm.generation.decoder import Continuation, Decoder
from lm.generation.length_conditioned import LengthConditionedDecoder, decoder_for
from lm.generation.sampling import Sampling, sample
from lm.models.language_model import LanguageModel
from lm.models.matmul_precision import full_precision_matmul
from lm.run_dir import RunDir
from lm.terminal import warn_of_unknown


@command("generate", literal=("run", "prompt"))
def main(config: DictConfig) -> None:
    """Write what the config asks for."""
    print(generate(config))


def generate(config: DictConfig) -> str:
    """Return the texts, what the model gives them, and how fast they were written.

    Raises:
        ValueError, FileNotFoundError: where the config asks for what can't be had.
    """
    if OmegaConf.is_missing(config, "run"):
        raise ValueError('expected a run\'s folder, found none: type python -m lm.generate run=RUN_FOLDER prompt="the"')
    strategy = decoding_strategy(config)
    model, vocabulary, _ = load_model(RunDir.existing(str(config.run)), config.checkpoint)
    prompt = str(config.prompt).split()
    warn_of_unknown(prompt, vocabulary)
    started = time.perf_counter()
    with full_precision_matmul():
        decoder = make_decoder(config, model, vocabulary, prompt, strategy)
        texts = write(decoder, vocabulary, prompt, config, strategy)
    seconds = time.perf_counter() - started
    shown = "\n".join(describe(prompt, text, vocabulary, strategy) for text in texts)
    told = told_length(decoder)
    lines = [*describe_length(told, config.length), *describe_lengths(texts, len(prompt), told)]
    return "\n".join([shown, "", *lines, describe_speed(texts, decoder.tokens_read, seconds)])


def decoding_strategy(config: DictConfig) -> Sampling | Beam:
    """Return how to write, checked: by search where a beam has a width, else by chance.

    Raises:
        ValueError: where an option has a value it can't have, or beside others that it can't go with.
    """
    check_whole("max_new_tokens", config.max_new_tokens, 30)
    check_whole("num_samples", config.num_samples, 1)
    check_whole("seed", config.seed, 1, least=0)
    check_flag("stop_at_eos", config.stop_at_eos)
    if config.length is not None:
        check_whole("length", config.length, 12)
    check_flag("allow_unk", config.allow_unk)
    sampling = Sampling(config.temperature, config.top_k, config.top_p)
    if config.beam.width is None:
        return sampling
    beam = Beam(config.beam.width, config.beam.length_penalty, config.beam.length_formula)
    if sampling != Sampling():
        raise ValueError(
            "expected a search or draws, found options of both: leave out beam.width, or temperature and top"
        )
    if config.num_samples > beam.width:
        raise ValueError(
            f"expected at most as many samples as the beam is wide, found num_samples={config.num_samples} and "
            f"beam.width={beam.width}: type beam.width={config.num_samples}"
        )
    return beam


def make_decoder(
    config: DictConfig, model: LanguageModel, vocabulary: Vocabulary, prompt: Sequence[str], strategy: Sampling | Beam
) -> Decoder:
    """Return what writes; a model that can be told a length is told the one asked for, or one it predicts.

    Raises:
        ValueError: where no text of that length could be written.
    """
    if model.lengths is not None and not config.stop_at_eos:
        raise ValueError(
            "expected texts that end, of a model trained on lengths, found stop_at_eos=false: leave it out"
        )
    if config.length is not None and config.length - len(prompt) >= config.max_new_tokens:
        raise ValueError(
            f"expected max_new_tokens to leave room for length={config.length} and <eos>, found {config.max_new_tokens}: "
            f"type max_new_tokens={config.length + 1}"
        )
    suppressed_ids = [] if config.allow_unk else [vocabulary.unk_id]
    seed = config.seed if isinstance(strategy, Sampling) else None
    return decoder_for(model, vocabulary.encode([EOS, *prompt]), suppressed_ids, config.length, seed)


def told_length(decoder: Decoder) -> int | None:
    """Return what length the model was told, None where it was told none."""
    return decoder.length if isinstance(decoder, LengthConditionedDecoder) else None


def describe_length(told: int | None, asked: int | None) -> list[str]:
    """Say what length the model was told, where it was told one."""
    if told is None:
        return []
    origin = "predicted by the model" if asked is None else "as asked for"
    return [f"length {told}, {origin}: words of a whole text, the prompt's included"]


def describe_lengths(texts: Sequence[Continuation], prompt_words: int, told: int | None) -> list[str]:
    """Say of several texts how long they came out, and how far from the length that the model was told."""
    if len(texts) < 2:
        return []
    lengths = [prompt_words + len(text.ids) for text in texts]
    ended = sum(text.ended for text in texts)
    lines = [f"{len(texts)} texts of {_mean(lengths)} words (mean ± standard deviation), {ended} ended by themselves"]
    if told is None:
        return lines
    misses = [abs(length - told) for length in lengths]
    return [*lines, f"away from length {told}: {_mean(misses)} words, {misses.count(0)} texts exactly of that length"]


def _mean(values: Sequence[int]) -> str:
    return f"{fmean(values):.2f} ± {stdev(values):.2f}"


def write(
    decoder: Decoder, vocabulary: Vocabulary, prompt: Sequence[str], config: DictConfig, strategy: Sampling | Beam
) -> list[Continuation]:
    """Return the texts; they go on from the prompt at the start of a sentence."""
    ids = vocabulary.encode([EOS, *prompt])
    eos_id = vocabulary.eos_id if config.stop_at_eos else None
    if isinstance(strategy, Beam):
        return beam_search(decoder, ids, eos_id, config.max_new_tokens, strategy)[: config.num_samples]
    return sample(decoder, ids, eos_id, config.max_new_tokens, config.num_samples, strategy, config.seed)


def describe(prompt: Sequence[str], text: Continuation, vocabulary: Vocabulary, strategy: Sampling | Beam) -> str:
    """Return a text, and under it what the model gives it."""
    words = " ".join([*prompt, *vocabulary.decode(text.ids)])
    length = f"{len(text.ids)} words" + (" and <eos>" if text.ended else "")
    score = (
        strategy.score(text.log_probability, text.num_tokens) if isinstance(strategy, Beam) else text.log_probability
    )
    shown_score = f", score {score:.4f}" if score != text.log_probability else ""
    return f"{words}\n    {length}, log-probability {text.log_probability:.4f}{shown_score}"


def describe_speed(texts: Sequence[Continuation], tokens_read: int, seconds: float) -> str:
    """Say how fast it went; what was read includes the prompt, and texts that were followed and given up."""
    written = sum(text.num_tokens for text in texts)
    return f"{written:,} tokens written, {tokens_read:,} read in {seconds:.2f} s: {tokens_read / seconds:,.0f} tokens/s"


if __name__ == "__main__":
    main()
