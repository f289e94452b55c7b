"""Effects in words: "Dropout 0.25 lowers test perplexity by 19.6 % (18.9 to 20.3) for the LSTM, 3 seeds."."""

from collections.abc import Sequence

from lm.models.cells import CELLS
from lm.reporting.columns import null_or_value
from lm.reporting.effects import Change, Effect
from lm.run_dir import Value

PERPLEXITY_NAMES = {"valid": "validation perplexity", "test": "test perplexity"}

NOTE_ON_INTERVALS = "Brackets are 95 % intervals. If there is no difference, one in twenty still excludes zero"
NOTE_ON_ONE_SEED = "; of those over the text alone more do, because they leave out the difference between seeds"

MAX_DECIMALS = 5

OVER = {
    "seeds and text": "",
    "seeds": ": the interval is over the seeds alone",
    "text": ": the interval is over the text alone, for these weights",
    "": ": no interval without several seeds or nats.npz",
}
"""What is added to a sentence whose interval is not over both."""


def effect_sentence(effect: Effect) -> str:
    """Return the sentence of an effect or an interaction."""
    unclear = effect.estimate.has_interval and not effect.estimate.is_clear
    words = (_no_difference if unclear else _interaction if effect.by else _difference)(effect)
    others = [f"on average over {effect.num_settings} settings of the other options"] if effect.num_settings > 1 else []
    text = " ".join([*words, *_setting(effect), *others])
    numbers = f": {_factor(effect)}" if effect.by else f": {percent_text(effect)}" if unclear else ""
    start = text if "=" in text.split()[0] else text[0].upper() + text[1:]
    return f"{start}{numbers}, {seeds_text(effect)}{OVER[effect.over]}."


def effects_note(effects: Sequence[Effect]) -> str:
    """Return what a reader of the effects has to know about their intervals."""
    return NOTE_ON_INTERVALS + NOTE_ON_ONE_SEED * any(effect.over == "text" for effect in effects) + "."


def effect_label(effect: Effect) -> str:
    """Return the words of an effect beside its mark in a figure."""
    by = effect.by
    against = [f"{_place(by.option, by.after)} against {noun(by.option, by.before)}"] if by else []
    return " ".join([subject(effect.change), *against, *_setting(effect)])


def percent_text(effect: Effect) -> str:
    """Return an effect with its interval, as `-19.6 % (-20.3 to -18.9)`."""
    return interval_text(effect.estimate.percent, *effect.estimate.percent_interval)


def seeds_text(effect: Effect) -> str:
    """Return the number of seeds, as `3 seeds` or `2 to 3 seeds`."""
    low, high = min(effect.seeds), max(effect.seeds)
    return "1 seed" if high == 1 else f"{low} seeds" if low == high else f"{low} to {high} seeds"


def size_text(effect: Effect) -> str:
    """Return the size of an effect, up or down, with its interval in the same direction."""
    low, high = effect.estimate.percent_interval
    ends = (low, high) if effect.estimate.value > 0 else (-high, -low)
    return interval_text(abs(effect.estimate.percent), *ends)


def subject(change: Change) -> str:
    """Return the words for a change, as `dropout 0.25` or `the GRU instead of the LSTM`."""
    if change.option == "dropout" and not change.before:
        return noun(change.option, change.after)
    before = null_or_value(change.before) if change.option != "cell" else noun(change.option, change.before)
    return f"{noun(change.option, change.after)} instead of {before}"


def noun(option: str, value: Value) -> str:
    """Return the words for a value, as `the GRU`, `dropout 0.25` or `hidden_size=400`."""
    text = null_or_value(value)
    if option == "cell":
        return f"the {CELLS[text].display_name if text in CELLS else text}"
    if option == "dropout":
        return f"dropout {text}" if value else "no dropout"
    return f"{option}={text}"


def _no_difference(effect: Effect) -> list[str]:
    change, perplexity = effect.change, PERPLEXITY_NAMES[effect.split]
    if effect.by is None:
        values = f"{noun(change.option, change.after)} and {noun(change.option, change.before)}"
        return ["there is no clear difference in", perplexity, "between", values]
    places = f"{_place(effect.by.option, effect.by.after)} and {_place(effect.by.option, effect.by.before)}"
    return ["there is no clear difference between the effects of", subject(change), places]


def _difference(effect: Effect) -> list[str]:
    verb = "lowers" if effect.estimate.value < 0 else "raises"
    return [subject(effect.change), verb, PERPLEXITY_NAMES[effect.split], "by", size_text(effect)]


def _interaction(effect: Effect) -> list[str]:
    """Return which setting an option helps or harms more, if it does one of them in both settings."""
    by, harms, lowers = effect.by, effect.sides[0].value > 0, effect.estimate.value < 0
    assert by is not None
    after, before = _place(by.option, by.after), _place(by.option, by.before)
    if not all(side.is_clear for side in effect.sides) or (effect.sides[1].value > 0) != harms:
        return ["the effect of", subject(effect.change), "differs", after, "from that", before]
    more = "more" if harms != lowers else "less"
    return [subject(effect.change), "harms" if harms else "helps", more, after, "than", before]


def _factor(effect: Effect) -> str:
    """Return how much lower or higher the factor is by which a change multiplies the perplexity."""
    assert effect.by is not None
    direction = "lower" if effect.estimate.value < 0 else "higher"
    place = "" if effect.estimate.is_clear else f" {_place(effect.by.option, effect.by.after)}"
    return f"its factor on {PERPLEXITY_NAMES[effect.split]} is {size_text(effect)} {direction}{place}"


def _place(option: str, value: Value) -> str:
    if option == "cell":
        return f"for {noun(option, value)}"
    return "without dropout" if option == "dropout" and not value else f"with {noun(option, value)}"


def _setting(effect: Effect) -> list[str]:
    """Return where an effect is measured, as `for the LSTM` or `without dropout and with lr=1 and averaging=ema`."""
    places = [_place(option, value) for option, value in effect.setting.items()]
    values = [place.removeprefix("with ") for place in places if place.startswith("with ")]
    others = [place for place in places if not place.startswith("with ")]
    joined = ["and"] if values and others[-1:] == ["without dropout"] else []
    return [*others, *joined, f"with {_listed(values)}"] if values else others


def _listed(words: list[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def interval_text(value: float, low: float, high: float) -> str:
    """Return a percentage with the ends of its interval, which are left out if they are not known (NaN)."""
    ends = [value, low, high] if low == low else [value]
    # As many decimals as it takes to see on which side of zero an end is.
    fewest = 1 if max(map(abs, ends)) >= 1 else 2
    digits = next((n for n in range(fewest, MAX_DECIMALS) if all(round(end, n) for end in ends)), fewest)
    texts = [f"{round(end, digits) + 0.0:.{digits}f}" for end in ends]  # adding zero removes the sign of -0.0
    return f"{texts[0]} %" + (f" ({texts[1]} to {texts[2]})" if len(texts) > 1 else "")
