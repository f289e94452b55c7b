import tracemalloc

import pytest
import torch

from lm.data.corpus import load_corpus
from lm.data.sources.source import SPLITS, Source, digest
from lm.data.sources.text import TextSource
from tests.conftest import no_file_larger_than
from tests.processes import FORK_SERVER


class Sentences(Source):
    """Sentences given in memory, with a count of how often they were read."""

    name = "sentences"

    def __init__(self, train, valid="a b", test="a b", min_count=1, literal_eos=()):
        self.texts = {"train": train, "valid": valid, "test": test}
        self.min_count, self.literal_eos = min_count, dict(literal_eos)
        self.readings = 0

    def fingerprint(self):
        return digest(self.texts, self.min_count)

    def sentences(self, split):
        self.readings += 1
        return (line.split() for line in self.texts[split].splitlines())


def words(corpus, split):
    return " ".join(corpus.vocabulary.decode(corpus.splits[split].tolist()))


def corpus_folder(cache):
    return next(path for path in (cache / "corpora").iterdir() if path.is_dir())


def test_an_end_follows_every_sentence_and_fuses_no_words(tmp_path):
    corpus = load_corpus(Sentences("the cat\nsat", "sat\nthe cat", "cat sat"), tmp_path)
    assert words(corpus, "train") == "the cat <eos> sat <eos>"
    assert words(corpus, "valid") == "sat <eos> the cat <eos>"
    assert words(corpus, "test") == "cat sat <eos>"


def test_the_vocabulary_comes_from_the_training_split_and_other_words_become_unknown(tmp_path):
    corpus = load_corpus(Sentences("a b a", "a zebra b", "lion lion"), tmp_path)
    assert corpus.vocabulary.words == ("a", "<eos>", "b", "<unk>")
    assert words(corpus, "valid") == "a <unk> b <eos>"
    assert words(corpus, "test") == "<unk> <unk> <eos>"


def test_rare_words_become_unknown_and_none_vanishes(tmp_path):
    corpus = load_corpus(Sentences("a b a c", min_count=2), tmp_path)
    assert words(corpus, "train") == "a <unk> a <unk> <eos>"


def test_splits_are_int32_and_of_one_dimension(tmp_path):
    for ids in load_corpus(Sentences("a b"), tmp_path).splits.values():
        assert (ids.dtype, ids.ndim) == (torch.int32, 1)


def test_a_second_start_reads_no_text(tmp_path):
    first = load_corpus(Sentences("the cat\nsat"), tmp_path)
    source = Sentences("the cat\nsat")
    second = load_corpus(source, tmp_path)
    assert source.readings == 0
    assert second.vocabulary.words == first.vocabulary.words
    assert all(torch.equal(second.splits[split], first.splits[split]) for split in SPLITS)
    assert (second.name, second.sha256) == ("sentences", source.fingerprint())


def test_another_text_or_option_is_encoded_anew(tmp_path):
    assert len(load_corpus(Sentences("a b c"), tmp_path).vocabulary) == 5
    assert len(load_corpus(Sentences("a b a b"), tmp_path).vocabulary) == 4
    assert len(load_corpus(Sentences("a b c", min_count=2), tmp_path).vocabulary) == 2


def truncate(folder):
    (folder / "train.int32").write_bytes((folder / "train.int32").read_bytes()[:-4])


def change_a_byte(folder):
    ids = bytearray((folder / "valid.int32").read_bytes())
    ids[0] ^= 1
    (folder / "valid.int32").write_bytes(ids)


def lose_a_file(folder):
    (folder / "test.int32").unlink()


def edit(change):
    """Return a function that damages the description of an encoded corpus."""

    def damage(folder):
        text = (folder / "corpus.json").read_text()
        assert change(text) != text
        (folder / "corpus.json").write_text(change(text))

    return damage


DAMAGE = {
    "a split is cut": truncate,
    "an id is changed": change_a_byte,
    "a split is lost": lose_a_file,
    "a word is changed": edit(lambda text: text.replace('"cat"', '"cap"')),
    "two words are exchanged": edit(
        lambda text: text.replace('"cat"', '"?"').replace('"the"', '"cat"').replace('"?"', '"the"')
    ),
    "a count is changed": edit(lambda text: text.replace('"valid": 1', '"valid": 0')),
    "the description is cut": edit(lambda text: text[:-9]),
    "a list": edit(lambda text: "[1, 2]"),
    "a number": edit(lambda text: "5"),
    "other keys": edit(lambda text: '{"about": {}}'),
    "many brackets": edit(lambda text: "[" * 100_000),
    "no text": lambda folder: (folder / "corpus.json").write_bytes(b"\xff"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_built_again(tmp_path, damage):
    load_corpus(Sentences("the cat\nsat", "cat the", literal_eos={"valid": 1}), tmp_path)
    DAMAGE[damage](corpus_folder(tmp_path))
    source = Sentences("the cat\nsat", "cat the", literal_eos={"valid": 1})
    corpus = load_corpus(source, tmp_path)
    assert source.readings > 0
    assert words(corpus, "train") == "the cat <eos> sat <eos>"
    assert words(corpus, "valid") == "cat the <eos>"
    assert corpus.literal_eos == {"valid": 1}


@pytest.mark.parametrize("bit", range(0, 8 * 300, 37))
def test_no_flipped_bit_of_the_description_goes_unseen(tmp_path, bit):
    load_corpus(Sentences("the cat\nsat"), tmp_path)
    path = corpus_folder(tmp_path) / "corpus.json"
    damaged = bytearray(path.read_bytes())
    damaged[bit // 8] ^= 1 << bit % 8
    path.write_bytes(damaged)
    corpus = load_corpus(source := Sentences("the cat\nsat"), tmp_path)
    assert words(corpus, "train") == "the cat <eos> sat <eos>"
    assert source.readings > 0


def test_a_cache_without_room_is_named_and_left_as_it_was(tmp_path):
    text = "the cat\nsat\n" * 1000
    with no_file_larger_than(5000), pytest.raises(OSError, match=r"File too large: '.*corpora.*sentences-"):
        load_corpus(Sentences(text), tmp_path)
    assert not [path for path in (tmp_path / "corpora").iterdir() if path.is_dir()]
    assert len(load_corpus(Sentences(text), tmp_path).splits["train"]) == 5000


def test_what_an_interrupted_start_left_behind_does_no_harm(tmp_path):
    load_corpus(Sentences("a b"), tmp_path)
    folder = corpus_folder(tmp_path)
    folder.rename(folder.with_name(f"{folder.name}.part"))
    assert words(load_corpus(Sentences("a b"), tmp_path), "train") == "a b <eos>"
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]


def test_unknown_words_of_each_split_are_counted(tmp_path):
    corpus = load_corpus(Sentences("a b a c", "a x y", "<unk> b", min_count=2), tmp_path)
    assert corpus.unk == {
        "train": {"count": 2, "fraction": 0.4},
        "valid": {"count": 2, "fraction": 0.5},
        "test": {"count": 2, "fraction": 0.666667},
    }


def test_many_unknown_words_are_reported_whenever_the_corpus_is_loaded(tmp_path, caplog):
    for _ in range(2):
        caplog.clear()
        load_corpus(Sentences("a b c d\n" * 5, "a b c e", "x y\n" + "a b c d\n" * 9), tmp_path)
        assert caplog.messages == [
            "warning: 20.0% of the valid split is <unk>, which is easier to predict than words are"
        ]


def test_literal_ends_in_the_text_are_counted_and_reported_whenever_it_is_loaded(tmp_path, caplog):
    for split, text in {"train": "a b <eos>\nb a\n<eos>\n", "valid": "a <eos> b\n", "test": "a b\n"}.items():
        (tmp_path / f"{split}.txt").write_text(text)
    for _ in range(2):
        caplog.clear()
        corpus = load_corpus(TextSource(tmp_path), tmp_path)
        assert caplog.messages == [
            f"warning: the text of the {split} split has {count} literal <eos>, each of which ends a sentence"
            for split, count in {"train": 2, "valid": 1}.items()
        ]
    assert words(corpus, "train") == "a b <eos> b a <eos>"
    assert words(corpus, "valid") == "a <eos> b <eos>"


def test_writing_to_a_split_does_not_reach_the_cache(tmp_path):
    load_corpus(Sentences("a b"), tmp_path).splits["train"].zero_()
    assert words(load_corpus(Sentences("a b"), tmp_path), "train") == "a b <eos>"


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(("text", "count"), [("", 0), ("\n\n", 0), ("word\n", 1)])
def test_a_split_with_nothing_to_predict_is_refused(tmp_path, split, text, count):
    for other in SPLITS:
        (tmp_path / f"{other}.txt").write_text(text if other == split else "a b\n")
    with pytest.raises(
        ValueError, match=rf"at least two words in the {split} split, found {count}: add sentences to it"
    ):
        load_corpus(TextSource(tmp_path), tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache" / "corpora").iterdir() if path.is_dir()]


def test_an_unwritable_cache_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"found '.*' \(.*\): type LM_DATA=FOLDER before the command"):
        load_corpus(Sentences("a b"), tmp_path / "file")


def test_the_cache_folder_is_the_one_of_lm_data(tmp_path, monkeypatch):
    monkeypatch.setenv("LM_DATA", str(tmp_path / "named"))
    load_corpus(Sentences("a b"))
    assert corpus_folder(tmp_path / "named").is_dir()


def test_processes_that_start_at_once_agree(tmp_path):
    for split in SPLITS:
        (tmp_path / f"{split}.txt").write_text("the cat sat\n" * 20_000)
    sums = [tmp_path / name for name in "abcd"]
    processes = [FORK_SERVER.Process(target=write_sum, args=(tmp_path, path)) for path in sums]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 4
    write_sum(tmp_path, tmp_path / "expected")
    assert {path.read_text() for path in sums} == {(tmp_path / "expected").read_text()}


def write_sum(folder, path):
    """Write the sum of the ids of the training split."""
    path.write_text(str(int(load_corpus(TextSource(folder), folder).splits["train"].sum())))


class Endless(Source):
    """A text that exists only while it is read."""

    name = "endless"

    def fingerprint(self):
        return digest("endless")

    def sentences(self, split):
        return ([f"w{number % 50}"] * 19 for number in range(20_000))


def test_a_long_text_is_never_in_memory_as_a_whole(tmp_path):
    tracemalloc.start()
    try:
        corpus = load_corpus(Endless(), tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(corpus.splits["train"]) == 400_000
    # 1.6 MB of ids a split; what is counted here is the block that is being written and the file that is checked.
    assert peak < 2.5e6
