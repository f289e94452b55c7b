import numpy as np
import pandas as pd

from lm.compare.class_differences import class_differences
from lm.compare.difference_figure import draw_differences, label
from lm.compare.run_pair import RunPair
from lm.reporting.figures import image
from lm.reporting.groups import RunGroup

GROUPS = [RunGroup({"cell": cell, "dropout": 0}, ()) for cell in ("lstm", "gru")]


def pair_and_words(change: float) -> tuple[RunPair, pd.DataFrame]:
    words = np.array(["the", "$", "<eos>", "_a^b$"] * 50)
    first = np.random.default_rng(0).exponential(4, (1, 200))
    pair = RunPair(GROUPS[0], GROUPS[1], "test", "", (first, first + change * np.where(words == "the", 1, -1)))
    tokens = pd.DataFrame({"word": words, "frequency": np.where(words == "<eos>", "<eos>", "10-99"), "position": "1"})
    return pair, class_differences(pair, tokens)


def test_the_figure_has_a_panel_per_kind_of_class_and_for_gains_and_losses() -> None:
    figure = draw_differences(*pair_and_words(0.3))

    labels = [[text.get_text() for text in axes.get_yticklabels()] for axes in figure.axes]
    assert labels[:2] == [["10-99", "<eos>"], ["1"]]
    assert sorted(labels[2]) == ["$", "<eos>", "_a^b$"]
    assert labels[3] == ["the"]
    assert image(figure, "png").startswith(b"\x89PNG")


def test_runs_without_a_difference_have_empty_panels_of_words() -> None:
    figure = draw_differences(*pair_and_words(0.0))

    assert all(not axes.patches for axes in figure.axes[2:])
    assert image(figure, "svg")


def test_a_long_word_is_cut() -> None:
    assert label("x" * 24) == "x" * 24
    assert label("x" * 25) == "x" * 21 + "..."
