import math
import re

import pytest

import lm
from lm.data.corpus import load_corpus
from lm.data.sources import make_source


@pytest.fixture
def folder(tmp_path):
    for split, text in {"train": "the cat\n<unk> sat <eos> a\n", "valid": "cat sat\n", "test": "at sea\n"}.items():
        (tmp_path / f"{split}.txt").write_text(text)
    return tmp_path


def test_a_sentence_becomes_its_characters_with_a_sign_for_spaces(folder):
    source = make_source("text", level="char", dir=folder)
    assert ["".join(one) for one in source.sentences("train")] == ["the_cat", "<unk>_sat", "a"]
    assert source.literal_eos["train"] == 1


def test_the_vocabulary_has_the_characters_of_the_training_split(folder):
    corpus = load_corpus(make_source("text", level="char", dir=folder))
    assert set(corpus.vocabulary.words) == {*"thecat_<unk>sa", "<unk>", "<eos>"}
    assert corpus.vocabulary.is_characters
    assert corpus.vocabulary.text(corpus.vocabulary.decode(corpus.splits["valid"].tolist()[:-1])) == "cat sat"


def test_words_and_characters_have_fingerprints_of_their_own(folder):
    word, char = (make_source("text", level=level, dir=folder) for level in ("word", "char"))
    assert word.fingerprint() == make_source("text", dir=folder).fingerprint() != char.fingerprint()


@pytest.mark.parametrize("name", ["python_docs", "synthetic"])
def test_any_corpus_has_characters(name):
    sentences = make_source(name, level="char").sentences("valid")
    assert all(len(character) == 1 for character in next(sentences))


def test_another_level_is_refused(folder):
    with pytest.raises(ValueError, match=r"expected data\.level to be one of word, char, found 'letter'"):
        make_source("text", level="letter", dir=folder)


def test_a_run_on_characters_has_bits_per_character(small, tmp_path, monkeypatch, run_command, capsys):
    monkeypatch.chdir(tmp_path)
    run = lm.train(overrides=[*small, "data.level=char", "trainer.enable_progress_bar=false"])
    best = run.results["best"]
    for split in ("valid", "test"):
        assert best[f"{split}_bpc"] == pytest.approx(math.log2(best[f"{split}_ppl"]))
    assert run.score(["ada"])[0].words == ("a", "d", "a", "<eos>")
    assert run.generate("ada re")[0].startswith("ada re")
    capsys.readouterr()
    assert run_command("lm.evaluate", f"run={run.folder}", "split=test") == 0
    shown = re.search(r"^bits per char +([\d.]+)$", capsys.readouterr().out, re.M)
    assert float(shown[1]) == pytest.approx(best["test_bpc"], abs=1e-4)
