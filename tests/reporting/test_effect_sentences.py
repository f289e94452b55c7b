from typing import Any

import pytest

from lm.reporting.effect_sentences import effect_label, effect_sentence, effects_note, interval_text, percent_text
from lm.reporting.effects import Change, Effect
from lm.reporting.statistics import Estimate
from lm.run_dir import Value

DROPOUT, CELL = Change("dropout", 0, 0.25), Change("cell", "lstm", "gru")
LOWER, HIGHER, UNCLEAR = Estimate(-0.218, 0.004, 5), Estimate(0.05, 0.004, 5), Estimate(-0.001, 0.004, 5)


def effect(
    change: Change,
    estimate: Estimate,
    setting: dict[str, Value],
    seeds: int = 3,
    paired: bool = True,
    **others: Any,
) -> Effect:
    return Effect(change, setting, "test", estimate, (seeds, seeds), paired, **others)


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            effect(DROPOUT, LOWER, {"cell": "lstm"}),
            "Dropout 0.25 lowers test perplexity by 19.6 % (18.8 to 20.4) for the LSTM, 3 seeds.",
        ),
        (
            effect(CELL, HIGHER, {"dropout": 0.25}),
            "The GRU instead of the LSTM raises test perplexity by 5.1 % (4.1 to 6.2) with dropout 0.25, 3 seeds.",
        ),
        (
            effect(Change("hidden_size", 200, 400), LOWER, {"cell": "gru", "dropout": 0}),
            "hidden_size=400 instead of 200 lowers test perplexity by 19.6 % (18.8 to 20.4) for the GRU "
            "without dropout, 3 seeds.",
        ),
        (
            effect(Change("patience", None, 5), LOWER, {}),
            "patience=5 instead of null lowers test perplexity by 19.6 % (18.8 to 20.4), 3 seeds.",
        ),
        (
            effect(CELL, HIGHER, {"dropout": 0, "seq_len": 35, "tie_weights": True, "cutoffs": None}),
            "The GRU instead of the LSTM raises test perplexity by 5.1 % (4.1 to 6.2) without dropout "
            "and with seq_len=35, tie_weights=true and cutoffs=null, 3 seeds.",
        ),
        (
            effect(DROPOUT, LOWER, {}, num_settings=4),
            "Dropout 0.25 lowers test perplexity by 19.6 % (18.8 to 20.4) on average over 4 settings of the other "
            "options, 3 seeds.",
        ),
        (
            effect(Change("dropout", 0.25, 0.5), UNCLEAR, {"cell": "lstm"}),
            "There is no clear difference in test perplexity between dropout 0.5 and dropout 0.25 for the LSTM: "
            "-0.1 % (-1.1 to 0.9), 3 seeds.",
        ),
        (
            effect(DROPOUT, LOWER, {"cell": "lstm"}, seeds=1),
            "Dropout 0.25 lowers test perplexity by 19.6 % (18.8 to 20.4) for the LSTM, 1 seed: "
            "the interval is over the text alone, for these weights.",
        ),
        (
            effect(DROPOUT, LOWER, {"cell": "lstm"}, paired=False),
            "Dropout 0.25 lowers test perplexity by 19.6 % (18.8 to 20.4) for the LSTM, 3 seeds: "
            "the interval is over the seeds alone.",
        ),
        (
            effect(DROPOUT, Estimate(-0.218), {"cell": "lstm"}, seeds=1, paired=False),
            "Dropout 0.25 lowers test perplexity by 19.6 % for the LSTM, 1 seed: "
            "no interval without several seeds or nats.npz.",
        ),
    ],
)  # fmt: skip
def test_an_effect_is_one_plain_sentence(found: Effect, sentence: str) -> None:
    assert effect_sentence(found) == sentence


def interaction(estimate: Estimate, *sides: Estimate) -> Effect:
    return effect(DROPOUT, estimate, {}, by=CELL, sides=sides)


@pytest.mark.parametrize(
    ("estimate", "sides", "what"),
    [
        (LOWER, (-0.2, -0.4), "helps more"),
        (HIGHER, (-0.4, -0.35), "helps less"),
        (HIGHER, (0.1, 0.15), "harms more"),
        (LOWER, (0.4, 0.2), "harms less"),
    ],
)
def test_an_interaction_says_for_which_setting_an_option_does_more(
    estimate: Estimate, sides: tuple[float, float], what: str
) -> None:
    sentence = effect_sentence(interaction(estimate, *(Estimate(side, 0.004, 5) for side in sides)))

    size = "19.6 % (18.8 to 20.4) lower" if estimate is LOWER else "5.1 % (4.1 to 6.2) higher"
    assert sentence == (
        f"Dropout 0.25 {what} for the GRU than for the LSTM: its factor on test perplexity is {size}, 3 seeds."
    )


@pytest.mark.parametrize("sides", [(LOWER, HIGHER), (UNCLEAR, HIGHER), (Estimate(-0.4), Estimate(-0.35))])
def test_an_interaction_helps_or_harms_only_if_both_settings_show_it(sides: tuple[Estimate, Estimate]) -> None:
    assert effect_sentence(interaction(HIGHER, *sides)) == (
        "The effect of dropout 0.25 differs for the GRU from that for the LSTM: its factor on test perplexity is "
        "5.1 % (4.1 to 6.2) higher, 3 seeds."
    )


def test_an_interaction_that_is_not_clear_is_said_to_be_so() -> None:
    assert effect_sentence(effect(DROPOUT, UNCLEAR, {"lr": 2}, by=CELL)) == (
        "There is no clear difference between the effects of dropout 0.25 for the GRU and for the LSTM with lr=2: "
        "its factor on test perplexity is 0.1 % (-0.9 to 1.1) lower for the GRU, 3 seeds."
    )


def test_a_label_names_the_change_and_the_setting() -> None:
    assert effect_label(effect(DROPOUT, LOWER, {"cell": "lstm"})) == "dropout 0.25 for the LSTM"
    assert effect_label(effect(DROPOUT, LOWER, {}, by=CELL)) == "dropout 0.25 for the GRU against the LSTM"


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ((1.8, 0.02, 3.54), "1.80 % (0.02 to 3.54)"),
        ((1.2, -0.003, 2.4), "1.200 % (-0.003 to 2.400)"),
        ((1.2, -1e-9, 2.4), "1.2 % (0.0 to 2.4)"),
    ],
)
def test_the_side_of_zero_of_each_end_is_shown(ends: tuple[float, float, float], text: str) -> None:
    assert interval_text(*ends) == text


def test_the_note_says_what_intervals_over_the_text_alone_leave_out() -> None:
    several, one = effect(DROPOUT, LOWER, {}), effect(DROPOUT, LOWER, {}, seeds=1)
    assert "between seeds" not in effects_note([several])
    assert effects_note([several, one]).endswith("because they leave out the difference between seeds.")


def test_small_effects_have_two_decimals() -> None:
    assert percent_text(effect(DROPOUT, Estimate(-0.001, 0.0001, 50), {})) == "-0.10 % (-0.12 to -0.08)"


def test_unequal_numbers_of_seeds_are_stated() -> None:
    found = Effect(DROPOUT, {}, "test", LOWER, (3, 2), paired=True)

    assert effect_sentence(found).endswith(", 2 to 3 seeds.")
