from pathlib import Path

import pytest
import yaml

from lm.data.sources import SOURCES, SPLITS, make_source

CONFIGS = Path(__file__).parents[3] / "conf" / "data"


def test_an_unknown_corpus_is_refused_with_the_names_of_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"data must be one of ptb, text, python_docs, synthetic, got 'ptp'\."):
        make_source("ptp")


def test_every_source_has_a_config_and_every_config_a_source() -> None:
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == set(SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_the_options_of_a_config_are_those_of_its_source(name: str, tmp_path: Path) -> None:
    for split in SPLITS:
        (tmp_path / f"{split}.txt").touch()
    options = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    if name == "text":
        options["dir"] = str(tmp_path)
    assert make_source(**options).name == name
