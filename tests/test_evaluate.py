import csv
import os
import re
import shutil
import subprocess
import sys

import pytest

from lm.run_dir import RunDir


def perplexity_shown(text):
    return float(re.search(r"perplexity +([\d.]+)", text)[1])


@pytest.mark.parametrize("checkpoint", ["best", "last"])
@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_freshly_saved_run_gives_the_numbers_of_its_results(run_command, saved_run, capsys, split, checkpoint):
    assert run_command("lm.evaluate", f"run={saved_run}", f"split={split}", f"checkpoint={checkpoint}") == 0
    out = capsys.readouterr().out
    recorded = RunDir(saved_run).results
    assert perplexity_shown(out) == pytest.approx(recorded[checkpoint][f"{split}_ppl"], abs=1e-4)
    assert f"{recorded['protocol'][split]['tokens']:,} tokens scored once (all but the first)" in out
    assert "the same" in out


def test_the_width_is_an_option_and_part_of_the_protocol(run_command, saved_run, capsys):
    assert run_command("lm.evaluate", f"run={saved_run}", "split=test", "batch_size=7") == 0
    out = capsys.readouterr().out
    assert "in 7 columns, state carried" in out
    assert re.search(
        r"results.json +[\d.]+ in 1 column, state carried, float32: this one is [\d.]+% (higher|lower)", out
    )


def test_a_run_and_its_corpus_may_have_moved(run_command, copy_of_run, corpus_folder, tmp_path, capsys):
    recorded = RunDir(copy_of_run).results["best"]["test_ppl"]
    (copy_of_run / "results.json").unlink()
    shutil.copytree(corpus_folder, tmp_path / "a corpus")
    assert run_command("lm.evaluate", f"run={copy_of_run}", "data.dir=a corpus") == 0
    out = capsys.readouterr().out
    assert perplexity_shown(out) == pytest.approx(recorded, abs=1e-4)
    assert "has no such number: the run was not finished" in out


def test_nothing_is_left_behind(run_command, saved_run, tmp_path):
    run_command("lm.evaluate", f"run={saved_run}", "text=ada reads")
    assert not list(tmp_path.iterdir())


def test_a_text_is_scored_word_by_word(run_command, copy_of_run, capsys, tmp_path):
    shutil.rmtree(copy_of_run / ".hydra")  # neither the corpus nor how it was made is needed
    words = ("text=ada reads 's, <unk> <eos> a book", "csv=table.csv")
    assert run_command("lm.evaluate", f"run={copy_of_run}", *words) == 0
    shown = capsys.readouterr()
    assert 'warning: not in the vocabulary, read as <unk>: "\'s,"\n' in shown.err
    assert "2 sentences, 8 tokens (<eos> included)" in shown.out
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert " ".join(row["word"] for row in rows) == "ada reads 's, <unk> <eos> a book <eos>"
    first = [float(row["log_probability"]) for row in rows if row["sentence"] == "1"]
    assert float(rows[0]["sentence_log_probability"]) == pytest.approx(sum(first))


def test_a_file_is_scored_sentence_by_sentence(run_command, saved_run, corpus_folder, capsys, tmp_path):
    words = (f"file={corpus_folder / 'test.txt'}", "csv=table.csv")
    assert run_command("lm.evaluate", f"run={saved_run}", *words) == 0
    assert "40 sentences, 200 tokens" in capsys.readouterr().out
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == (corpus_folder / "test.txt").read_text().splitlines()


def test_a_file_as_one_text_comes_close_to_the_perplexity_of_the_split(run_command, saved_run, corpus_folder, capsys):
    """It scores the first word too, after an end; the split has nothing before it."""
    run_command("lm.evaluate", f"run={saved_run}", f"file={corpus_folder / 'test.txt'}", "state=carried")
    recorded = RunDir(saved_run).results["best"]["test_ppl"]
    assert perplexity_shown(capsys.readouterr().out) == pytest.approx(recorded, rel=0.05)


def test_the_command_runs_as_it_is_typed(saved_run):
    command = [sys.executable, "-m", "lm.evaluate", f"run={saved_run}", "text=ada reads"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 sentence, 3 tokens" in done.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["split=tset"], "expected split to be one of train, valid, test, found 'tset'"),
        (["checkpoint=first"], "expected checkpoint to be one of best, last, found 'first'"),
        (["batch_size=0"], "expected batch_size to be a whole number of at least 1, found 0"),
        (["batch_size=1000000"], "expected the test split to have more words than batch_size=1000000"),
        (["data.dir=."], "a folder with train.txt, valid.txt, test.txt, found no train.txt in '.'"),
        (["data.dir=other"], "expected the corpus of the training (text, SHA-256"),
        (["text= "], "expected at least one word to score, found none"),
        (["text=a", "file=b"], "expected text= or file=, found both"),
        (["file=nowhere.txt"], "expected to use the file or folder 'nowhere.txt', found: No such file"),
        (["text=ada", "csv=nowhere/table.csv"], "expected a folder to write to, found none at 'nowhere'"),
        (["text=ada", "rows=word"], "expected rows to be one of words, sentences, found 'word'"),
        (["text=ada", "state=kept"], "expected state to be one of reset, carried, found 'kept'"),
        (["spilt=test"], "found spilt=: type split="),
    ],
)
def test_bad_input_is_told_in_one_sentence(run_command, saved_run, corpus_folder, tmp_path, capsys, words, sentence):
    shutil.copytree(corpus_folder, tmp_path / "other")
    (tmp_path / "other" / "valid.txt").write_text("ada reads a book\n")
    assert run_command("lm.evaluate", f"run={saved_run}", *words) == 1
    error = capsys.readouterr().err.strip()
    assert sentence in error
    assert "\n" not in error


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "expected a run's folder, found none: type python -m lm.evaluate run=RUN_FOLDER"),
        (["run=."], "expected a run folder with checkpoints/last.ckpt, found none in '.'"),
        (["run=multirun/cell=gru,dropout=0"], "found none in 'multirun/cell=gru,dropout=0'"),
    ],
)
def test_a_run_that_is_none_is_told_in_one_sentence(run_command, capsys, words, sentence):
    assert run_command("lm.evaluate", *words) == 1
    error = capsys.readouterr().err.strip()
    assert sentence in error
    assert "\n" not in error


@pytest.mark.parametrize(
    "damage",
    [lambda data: b"no checkpoint", lambda data: data[: len(data) // 2], lambda data: b""],
    ids=["other bytes", "cut off", "empty"],
)
def test_a_damaged_checkpoint_is_told_in_one_sentence(run_command, copy_of_run, capsys, damage):
    path = copy_of_run / "checkpoints" / "best.ckpt"
    path.write_bytes(damage(path.read_bytes()))
    assert run_command("lm.evaluate", f"run={copy_of_run}") == 1
    error = capsys.readouterr().err.strip()
    assert "damaged" in error
    assert "\n" not in error
