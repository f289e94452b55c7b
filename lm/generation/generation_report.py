"""Generated texts -> what `lm.generate` prints: the texts, and notes on their lengths and log-probabilities.

Everywhere, the words of a text are all of its words: those of the prompt count, `<eos>` does not.
"""

from collections.abc import Sequence
from statistics import fmean, stdev

from lm.data.vocabulary import Vocabulary
from lm.generation.beam_search import Beam
from lm.generation.decoder import Continuation
from lm.generation.text_generation import GeneratedTexts, GenerationOptions
from lm.output import plural, print_note, print_results


def print_texts(generated: GeneratedTexts, vocabulary: Vocabulary, options: GenerationOptions, seconds: float) -> None:
    """Print each text as one line of standard output, with the prompt; everything else goes to standard error."""
    for text in generated.texts:
        print_results(vocabulary.text([*generated.prompt, *vocabulary.decode(text.ids)]))
        print_note(describe_text(generated, text, options))
    print_note("\n".join(["", *describe_lengths(generated, options), describe_speed(generated, seconds)]))


def describe_text(generated: GeneratedTexts, text: Continuation, options: GenerationOptions) -> str:
    """Return the length, the log-probability and the score of a text."""
    length = plural(_words(generated, text), "word") + (" and <eos>" if text.ended else "")
    wanted = "" if generated.length is None else f" ({_wanted(generated.length, options)})"
    parts = [f"{length}{wanted}", f"log-probability {text.log_probability:.4f} nats"]
    strategy = options.strategy
    if isinstance(strategy, Beam) and strategy.length_penalty:
        parts.append(f"score {strategy.score(text.log_probability, text.num_tokens):.4f}")
    return "    " + ", ".join(parts)


def describe_lengths(generated: GeneratedTexts, options: GenerationOptions) -> list[str]:
    """Return the lengths of several texts, and how far they are from the length that the model was given."""
    lengths = [_words(generated, text) for text in generated.texts]
    if len(lengths) < 2:
        return []
    ended = sum(text.ended for text in generated.texts)
    lines = [f"{len(lengths)} texts of {_mean(lengths)} words (mean ± standard deviation), {ended} with <eos>"]
    if generated.length is not None:
        misses = [abs(length - generated.length) for length in lengths]
        exact = plural(misses.count(0), "text")
        lines.append(f"{_wanted(generated.length, options)}: mean error {_mean(misses)} words, exact in {exact}")
    return lines


def _wanted(length: int, options: GenerationOptions) -> str:
    return f"{length} {'predicted' if options.length is None else 'asked for'}"


def describe_speed(generated: GeneratedTexts, seconds: float) -> str:
    """Return how fast the texts were generated; reading the prompt, and texts that a search gave up, is included."""
    tokens = sum(text.num_tokens for text in generated.texts)
    speed = generated.tokens_read / seconds
    read = f"the model read {generated.tokens_read:,}: {speed:,.0f} tokens/s"
    return f"{plural(tokens, 'token')} generated in {seconds:.2f} s; {read}"


def _words(generated: GeneratedTexts, text: Continuation) -> int:
    return len(generated.prompt) + len(text.ids)


def _mean(values: Sequence[int]) -> str:
    return f"{fmean(values):.2f} ± {stdev(values):.2f}"
