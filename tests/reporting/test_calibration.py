"""A small version of `docs/calibration/calibration.py`, which records the coverage over 1,000 draws per case."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "calibration" / "calibration.py"
DRAWS = 100


@pytest.fixture(scope="module")
def calibration() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("calibration", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    sys.modules["calibration"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["calibration"]


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("differs", [True, False])
def test_intervals_cover_the_true_effect_and_p_values_are_uniform(
    calibration: ModuleType, seeds: int, differs: bool
) -> None:
    source = calibration.Source()
    texts = source.texts(DRAWS, 5000, np.random.default_rng(1))

    draws = calibration.draw_case(calibration.Case(seeds, differs), source, texts, pool=200)

    assert 0.89 <= draws["covered"].mean() <= 0.995  # 0.95 within three standard errors
    assert calibration.distance_from_uniform(draws["p_value"]) < 0.165  # exceeded in 1 of 100 uniform samples


def test_the_texts_are_drawn_from_the_source(calibration: ModuleType) -> None:
    source = calibration.Source()

    (text,) = source.texts(1, 200_000, np.random.default_rng(1))

    fractions = np.bincount(text, minlength=len(source.frequencies_P)) / len(text)
    assert abs(fractions - source.frequencies_P).max() < 0.002
    assert source.logs_P @ -source.frequencies_P == pytest.approx(np.log(calibration.MarkovSource().floor_ppl()))


def test_the_recorded_coverage_is_that_of_all_cases(calibration: ModuleType) -> None:
    table = calibration.pd.read_csv(SCRIPT.with_name("calibration.csv"))

    assert table["case"].tolist() == [case.name for case in calibration.CASES]
    assert (table["draws"] == calibration.DRAWS).all()
