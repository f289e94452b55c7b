import shutil

import pytest
import torch

from lm.data.sources import SPLITS, make_source
from lm.data.sources.wikitext import WikiText2
from lm.evaluation.loading import load_corpus_of, load_other_corpus, load_saved_run
from tests.saved_run import untrained_run


def test_a_model_is_loaded_in_evaluation_mode_from_its_checkpoint_alone(copy_of_run, tmp_path):
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    shutil.copy(copy_of_run / "checkpoints" / "best.ckpt", tmp_path / "run" / "checkpoints")
    saved = load_saved_run(tmp_path / "run")
    assert not saved.model.training
    assert saved.model.decoder.out_features == len(saved.vocabulary)
    assert saved.config.cell == "gru"
    assert saved.corpus["name"] == "text"
    with pytest.raises(FileNotFoundError, match=r"found no file '.*/last\.ckpt'"):
        load_saved_run(tmp_path / "run", "last")


@pytest.mark.parametrize("checkpoint", ["../best", None, 5])
def test_a_checkpoint_of_another_name_is_refused(saved_run, checkpoint):
    with pytest.raises(ValueError, match="expected checkpoint to be one of best, last, found"):
        load_saved_run(saved_run, checkpoint)


@pytest.mark.parametrize("folder", [None, "", 5, ["a"]])
def test_a_run_is_a_folder(folder):
    with pytest.raises(ValueError, match="expected run to be the folder of a run, found"):
        load_saved_run(folder)


def test_the_corpus_is_read_from_the_folder_of_the_training_or_from_another(saved_run, corpus_folder, tmp_path):
    saved, moved = load_saved_run(saved_run), shutil.copytree(corpus_folder, tmp_path / "moved")
    there, here = (load_corpus_of(saved, folder) for folder in (None, str(moved)))
    assert all(torch.equal(there.splits[split], here.splits[split]) for split in there.splits)


def test_another_corpus_is_refused(saved_run, corpus_folder, tmp_path):
    other = shutil.copytree(corpus_folder, tmp_path / "other")
    (other / "test.txt").write_text("ada reads\n")
    with pytest.raises(ValueError, match=r"expected the corpus of the training \(text, SHA-256 .*data.dir=FOLDER"):
        load_corpus_of(load_saved_run(saved_run), str(other))


def test_a_folder_for_a_corpus_without_files_is_refused(saved_run):
    saved = load_saved_run(saved_run)
    saved.config.source.clear()
    saved.config.source.update(name="synthetic", words=5, branching=2)
    with pytest.raises(ValueError, match=r"expected an option of data=synthetic, found data\.dir=: leave it out"):
        load_corpus_of(saved, "somewhere")
    with pytest.raises(ValueError, match=r"expected the corpus of the training \(text, .* the Python of the training"):
        load_corpus_of(saved)


def test_a_run_without_its_config_needs_the_folder_of_its_corpus(copy_of_run, corpus_folder):
    shutil.rmtree(copy_of_run / ".hydra")
    with pytest.raises(FileNotFoundError, match="expected the run's config, found no file"):
        load_corpus_of(load_saved_run(copy_of_run))
    assert load_corpus_of(load_saved_run(copy_of_run), str(corpus_folder)).name == "text"


def test_a_split_of_another_corpus_has_the_words_of_the_run(saved_run, corpus_folder, tmp_path):
    other = shutil.copytree(corpus_folder, tmp_path / "other")
    (other / "test.txt").write_text("ada meets turing\n")
    saved = load_saved_run(saved_run)
    corpus = load_other_corpus(saved, "test", "text", dir=str(other), lowercase=True)
    assert list(corpus.splits) == ["test"]
    assert saved.vocabulary.decode(corpus.splits["test"].tolist()) == ["ada", "<unk>", "<unk>", "<eos>"]
    assert corpus.sha256 != saved.corpus["sha256"]


def test_a_split_of_another_corpus_without_words_is_refused(saved_run, corpus_folder, tmp_path):
    other = shutil.copytree(corpus_folder, tmp_path / "other")
    (other / "test.txt").write_text("")
    with pytest.raises(ValueError, match="expected at least two words in the test split, found 0: add sentences to it"):
        load_other_corpus(load_saved_run(saved_run), "test", "text", dir=str(other))


def test_a_checkpoint_without_its_epoch_is_damaged(copy_of_run):
    path = copy_of_run / "checkpoints" / "best.ckpt"
    saved = torch.load(path, weights_only=True)
    del saved["epoch"]
    torch.save(saved, path)
    with pytest.raises(ValueError, match="damaged or of another kind"):
        load_saved_run(copy_of_run)


def test_another_corpus_may_be_of_another_kind(saved_run):
    corpus = load_other_corpus(load_saved_run(saved_run), "test", "synthetic", words=5, branching=2, test_tokens=50)
    assert corpus.name == "synthetic"
    with pytest.raises(ValueError, match="expected data to be one of"):
        load_other_corpus(load_saved_run(saved_run), "test", "nothing")


def test_another_corpus_has_its_own_blank_lines_and_the_lower_case_of_the_run(corpus_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(WikiText2, "tokens", dict.fromkeys(SPLITS, 8))
    for split in SPLITS:
        (tmp_path / f"wiki.{split}.tokens").write_text(" \n = Ada = \n \n READS \n")
    saved = load_saved_run(untrained_run(tmp_path / "run", corpus_folder, "data.lowercase=true"))
    corpus = load_other_corpus(saved, "test", "wikitext2", dir=str(tmp_path))
    words = corpus.vocabulary.decode(corpus.splits["test"].tolist())
    assert " ".join(words) == "<eos> <unk> ada <unk> <eos> <eos> reads <eos>"


@pytest.mark.parametrize(("name", "options"), [("synthetic", {"words": 5, "branching": 2}), ("python_docs", {})])
def test_a_run_on_characters_reads_the_characters_of_another_corpus(corpus_folder, tmp_path, name, options):
    saved = load_saved_run(untrained_run(tmp_path / "run", corpus_folder, "data.level=char"))
    corpus = load_other_corpus(saved, "test", name, **options)
    [first, *_] = make_source(name, level="char", **options).sentences("test")
    assert corpus.splits["test"].tolist()[: len(first)] == saved.vocabulary.encode(first)
