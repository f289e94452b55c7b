"""Effects in words: "Dropout 0.25 lowers test perplexity by 19.6 % (18.9 to 20.3) for the LSTM, 3 seeds."."""

from lm.models.cells import CELLS
from lm.reporting.columns import format_value
from lm.reporting.effects import Change, Effect
from lm.run_dir import Value

PERPLEXITY_NAMES = {"valid": "validation perplexity", "test": "test perplexity"}

EFFECTS_NOTE = (
    "Brackets are 95 % intervals. If there is no difference, about one interval in twenty still excludes zero."
)

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
    size = f", by {size_text(effect)} of {PERPLEXITY_NAMES[effect.split]}" if effect.by else ""
    numbers = f": {percent_text(effect)}" if unclear else size
    start = text if "=" in text.split()[0] else text[0].upper() + text[1:]
    return f"{start}{numbers}, {seeds_text(effect)}{OVER[effect.over]}."


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
    before = format_value(change.before) if change.option != "cell" else noun(change.option, change.before)
    return f"{noun(change.option, change.after)} instead of {before}"


def noun(option: str, value: Value) -> str:
    """Return the words for a value, as `the GRU`, `dropout 0.25` or `hidden_size=400`."""
    text = "null" if value is None else format_value(value)
    if option == "cell":
        return f"the {CELLS[text].display_name if text in CELLS else text}"
    if option == "dropout":
        return f"dropout {text}" if value else "no dropout"
    return f"{option}={text}"


def _no_difference(effect: Effect) -> list[str]:
    change, perplexity = effect.change, PERPLEXITY_NAMES[effect.split]
    if effect.by is None:
        values = f"{noun(change.option, change.after)} and {noun(change.option, change.before)}"
        return ["no difference in", perplexity, "can be told between", values]
    places = f"{_place(effect.by.option, effect.by.after)} and {_place(effect.by.option, effect.by.before)}"
    return ["no difference can be told in what", subject(change), "does to", perplexity, places]


def _difference(effect: Effect) -> list[str]:
    verb = "lowers" if effect.estimate.value < 0 else "raises"
    return [subject(effect.change), verb, PERPLEXITY_NAMES[effect.split], "by", size_text(effect)]


def _interaction(effect: Effect) -> list[str]:
    before, after = effect.sides
    harms = before > 0 and after > 0
    more = harms == (after > before)
    assert effect.by is not None
    return [subject(effect.change), "harms" if harms else "helps", "more" if more else "less", _than(effect.by)]


def _than(by: Change) -> str:
    return f"{_place(by.option, by.after)} than {_place(by.option, by.before)}"


def _place(option: str, value: Value) -> str:
    if option == "cell":
        return f"for {noun(option, value)}"
    return "without dropout" if option == "dropout" and not value else f"with {noun(option, value)}"


def _setting(effect: Effect) -> list[str]:
    """Return where the effect is measured, as `for the LSTM` and `with dropout 0.25, seq_len=35 and averaging=ema`."""
    places = [_place(option, value) for option, value in effect.setting.items()]
    values = [place.removeprefix("with ") for place in places if place.startswith("with ")]
    others = [place for place in places if not place.startswith("with ")]
    return [*others, f"with {_listed(values)}"] if values else others


def _listed(words: list[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def interval_text(value: float, low: float, high: float) -> str:
    """Return a percentage with the ends of its interval, which are left out if they are not known (NaN)."""
    digits = 1 if max(abs(value), abs(low), abs(high)) >= 1 else 2
    return f"{value:.{digits}f} %" + (f" ({low:.{digits}f} to {high:.{digits}f})" if low == low else "")
