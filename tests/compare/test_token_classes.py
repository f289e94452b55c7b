from pathlib import Path

import numpy as np
import pytest

from lm.compare.token_classes import classify_tokens, frequency_classes, positions_in_sentences, read_corpus
from lm.data.vocabulary import Vocabulary
from lm.run_dir import RunDir


def test_positions_are_counted_from_the_start_of_each_sentence() -> None:
    eos = 9
    ids = np.array([1, 2, eos, 3, eos, eos, 4, 5])

    assert positions_in_sentences(ids, eos).tolist() == [1, 2, 3, 1, 2, 1, 1, 2]


def test_words_are_classed_by_how_often_training_has_them() -> None:
    vocabulary = Vocabulary(["the", "<eos>", "cat", "<unk>", "dog", "ox"])

    classes = frequency_classes(np.array([12_000, 900, 1000, 700, 10, 9]), vocabulary)

    assert classes.tolist() == ["10,000 and more", "<eos>", "1,000-9,999", "<unk>", "10-99", "below 10"]


def test_the_scored_tokens_are_those_of_the_text(saved_run: Path, corpus_folder: Path) -> None:
    run = RunDir(saved_run)
    words = (corpus_folder / "test.txt").read_text().replace("\n", " <eos> ").split()

    tokens = classify_tokens(read_corpus(run, None), "test", len(run.nats["test"]), str(run.nats["test_sha256"]))

    assert tokens["word"].tolist() == words[1:]
    assert tokens["position"].tolist()[:6] == ["2", "3", "4-5", "4-5", "1", "2"]
    assert set(tokens["frequency"]) <= {"10-99", "100-999", "<eos>"}


def test_another_text_is_refused(saved_run: Path) -> None:
    with pytest.raises(ValueError, match="expected the test text of the runs, found another one"):
        classify_tokens(read_corpus(RunDir(saved_run), None), "test", 20, "0" * 64)


def test_another_corpus_is_refused(saved_run: Path, tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.txt").write_text("another text\nof some words\n")

    with pytest.raises(ValueError, match=r"expected the corpus of the training .* type data.dir=FOLDER"):
        read_corpus(RunDir(saved_run), str(tmp_path))
