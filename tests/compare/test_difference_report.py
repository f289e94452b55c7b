import csv
from pathlib import Path

import pytest

from lm.compare.difference_report import overall_sentence, write_differences
from lm.compare.run_pair import load_pair
from tests.compare.pairs import make_better


def test_the_sentence_states_the_difference_and_its_interval(saved_run: Path, copy_of_run: Path) -> None:
    pair = load_pair(str(saved_run), str(make_better(copy_of_run, 0.5)), "test")

    sentence = overall_sentence(pair)

    assert sentence.startswith(
        f"{copy_of_run} against {saved_run}: test perplexity is 39.3 % (39.3 to 39.3) lower, 1 seed"
    )


def test_equal_runs_have_no_difference(saved_run: Path, copy_of_run: Path) -> None:
    sentence = overall_sentence(load_pair(str(saved_run), str(copy_of_run), "valid"))

    assert "there is no clear difference in validation perplexity: 0.00 % (0.00 to 0.00), 1 seed" in sentence


def test_tables_and_figure_are_written(saved_run: Path, copy_of_run: Path, tmp_path: Path) -> None:
    pair = load_pair(str(saved_run), str(make_better(copy_of_run, 0.5, slice(0, 80))), "test")

    text = write_differences(pair, tmp_path / "out", None)

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"differences.{form}" for form in ("csv", "md", "png", "svg")
    ]
    with (tmp_path / "out" / "differences.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    words = [row for row in rows if row["kind"] == "word"]
    assert sum(float(row["total"]) for row in words) == pytest.approx(-40, rel=1e-4)
    assert sum(int(row["tokens"]) for row in words) == pair.nats[0].shape[1]
    for heading in ("By frequency of the word", "By position in the sentence", "Words with the largest gain"):
        assert heading in text
        assert heading in (tmp_path / "out" / "differences.md").read_text(encoding="utf-8")


def test_without_the_corpus_nothing_is_written(saved_run: Path, copy_of_run: Path, tmp_path: Path) -> None:
    pair = load_pair(str(saved_run), str(copy_of_run), "test")

    with pytest.raises(FileNotFoundError):
        write_differences(pair, tmp_path / "out", str(tmp_path / "nowhere"))
    assert not (tmp_path / "out").exists()
