import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.saved_run import untrained_run


def generated(run_command, capsys, run, *options):
    """The texts, one per line of standard output, and the notes on standard error."""
    capsys.readouterr()
    assert run_command("lm.generate", f"run={run}", *options) == 0
    shown = capsys.readouterr()
    return shown.out.splitlines(), shown.err


def test_a_checkpoint_alone_generates(run_command, copy_of_run, capsys):
    shutil.rmtree(copy_of_run / ".hydra")
    (copy_of_run / "checkpoints" / "last.ckpt").unlink()
    (copy_of_run / "results.json").unlink()
    options = ("num_samples=3", "temperature=0.8", "top_k=5", "top_p=0.9", "seed=2", "max_new_tokens=6")
    texts, notes = generated(run_command, capsys, copy_of_run, "prompt=ada reads", *options)
    assert len(texts) == 3
    assert all(text.startswith("ada reads") for text in texts)
    assert re.search(r"\d+ tokens generated in [\d.]+ s; the model read \d+: [\d,]+ tokens/s", notes)
    assert "warning" not in notes


def test_a_seed_gives_the_same_bytes_again(run_command, saved_run, capsys):
    first, again, other = (
        generated(run_command, capsys, saved_run, "num_samples=4", f"seed={n}")[0] for n in (1, 1, 2)
    )
    assert first == again != other


def test_a_width_of_one_is_greedy(run_command, saved_run, capsys):
    greedy, _ = generated(run_command, capsys, saved_run, "prompt=alan", "beam.width=1")
    assert generated(run_command, capsys, saved_run, "prompt=alan", "top_k=1")[0] == greedy


def test_beam_search_prints_its_best_texts_and_their_scores(run_command, saved_run, capsys):
    options = ("beam.width=6", "num_samples=3", "beam.length_penalty=0.6", "max_new_tokens=6")
    texts, notes = generated(run_command, capsys, saved_run, *options)
    scores = [float(score) for score in re.findall(r"score (-[\d.]+)", notes)]
    assert len(set(texts)) == 3
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("formula", ["gnmt", "average", "per_word"])
def test_the_length_penalty_makes_texts_shorter_and_longer(run_command, saved_run, capsys, formula):
    options = ("beam.width=30", f"beam.length_formula={formula}", "max_new_tokens=8")
    (short, *_), _ = generated(run_command, capsys, saved_run, "beam.length_penalty=-20", *options)
    (long, *_), _ = generated(run_command, capsys, saved_run, "beam.length_penalty=20", *options)
    assert len(short.split()) <= 2
    assert len(long.split()) >= 7


def test_unknown_words_of_the_prompt_are_named(run_command, saved_run, capsys):
    _, notes = generated(run_command, capsys, saved_run, "prompt=Ada reads Turing's <unk>")
    assert notes.startswith("warning: not in the vocabulary, read as <unk>: 'Ada' ('ada' is), \"Turing's\"\n")


def test_a_text_continues_after_eos_if_asked_to(run_command, saved_run, capsys):
    (text,), _ = generated(run_command, capsys, saved_run, "stop_at_eos=false", "temperature=5", "max_new_tokens=80")
    assert len(text.split()) == 80
    assert "<eos>" in text


def test_unk_is_generated_only_if_allowed(run_command, saved_run, capsys):
    options = ("num_samples=40", "temperature=10", "stop_at_eos=false")
    assert "<unk>" not in " ".join(generated(run_command, capsys, saved_run, *options)[0])
    assert "<unk>" in " ".join(generated(run_command, capsys, saved_run, *options, "allow_unk=true")[0])


def test_the_lengths_are_those_of_the_texts(run_command, saved_run, capsys):
    texts, notes = generated(run_command, capsys, saved_run, "prompt=ada", "num_samples=7")
    lengths = [len(text.split()) for text in texts]
    assert f"7 texts of {sum(lengths) / 7:.2f} ± " in notes
    assert [int(words) for words in re.findall(r"    (\d+) words?", notes)] == lengths
    assert notes.count(" nats") == 7


@pytest.mark.parametrize(
    ("prompt", "shown"), [("\x1b[31mred \x9b0m", "\\x1b[31mred \\x9b0m"), ("caf\udcff", "caf\\udcff")]
)
def test_a_prompt_cannot_control_the_terminal(run_command, saved_run, capsys, prompt, shown):
    (text,), notes = generated(run_command, capsys, saved_run, f"prompt={prompt}", "max_new_tokens=2")
    assert text.startswith(shown)
    assert prompt not in notes


def test_a_length_is_asked_for_or_predicted(run_command, corpus_folder, tmp_path, capsys):
    options = ("data.batching=sentences", "length_conditioning=true")
    run = untrained_run(tmp_path / "run", corpus_folder, *options)
    texts, notes = generated(run_command, capsys, run, "length=5", "prompt=ada", "num_samples=2", "max_new_tokens=6")
    lengths = [len(text.split()) for text in texts]
    assert re.findall(r"    (\d+) words? (?:and <eos> )?\(5 asked for\), log-probability", notes) == list(
        map(str, lengths)
    )
    assert "5 asked for: mean error " in notes
    _, notes = generated(run_command, capsys, run, "beam.width=2", "max_new_tokens=3")
    assert " predicted), log-probability" in notes


def test_nothing_is_left_behind(run_command, saved_run, tmp_path):
    run_command("lm.generate", f"run={saved_run}")
    assert not list(tmp_path.iterdir())


def test_a_sweep_over_run_folders_says_which_run_a_text_is_of(run_command, saved_run, copy_of_run, tmp_path, capsys):
    """The folders have commas and equal signs in their names."""
    before = set(tmp_path.iterdir())
    runs = f"run={saved_run},{copy_of_run}"
    assert run_command("lm.generate", "-m", runs, "num_samples=2", "seed=1,2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[::3] == [f"run {run}" for run in (saved_run, saved_run, copy_of_run, copy_of_run)]
    assert lines[1:3] == lines[7:9] != lines[4:6]
    assert set(tmp_path.iterdir()) == before


def test_the_command_runs_as_it_is_typed(saved_run):
    command = [sys.executable, "-m", "lm.generate", f"run={saved_run}", "prompt=ada, 's é", "max_new_tokens=5"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0
    assert done.stdout.startswith("ada, 's \\xe9")
    assert "Traceback" not in done.stderr


def test_the_help_has_the_options_and_no_groups(run_command, capsys):
    assert run_command("lm.generate", "--help") == 0
    shown = capsys.readouterr().out
    assert "python -m lm.generate run=RUN_FOLDER prompt=" in shown
    assert "  width: null\n" in shown
    for other in ("hydra:", "defaults:", "cell", "schedule", "Powered by"):
        assert other not in shown


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["temperature=0"], "expected temperature to be a number of at least 0.001 and at most 1000, found 0"),
        (["length=5"], "expected a run that was trained with length_conditioning=true for length=5, found one without"),
        (["num_samples=1000000000"], "expected num_samples to be a whole number of at most 10000, found 1000000000"),
        (["beam.width=1000000"], "expected beam.width to be a whole number of at most 10000, found 1000000"),
        (
            ["beam.width=2", "num_samples=3"],
            "expected num_samples to be at most beam.width=2, found 3: type beam.width=3",
        ),
        (["beam.width=2", "top_k=3"], "expected options for beam search, found top_k=, which is for sampling"),
        (["beam.length_penalty=1"], "found beam.length_penalty=, which is for beam.width=: leave it out"),
        (["temprature=1"], "found temprature=: type temperature="),
        (["run=nowhere"], "found no file 'nowhere/checkpoints/best.ckpt'"),
    ],
)
def test_bad_input_is_one_sentence(run_command, saved_run, capsys, words, sentence):
    assert run_command("lm.generate", f"run={saved_run}", *words) == 1
    error = capsys.readouterr().err.strip()
    assert sentence in error
    assert "\n" not in error


def test_an_empty_run_is_one_sentence(run_command, capsys):
    assert run_command("lm.generate", "run=", "prompt=ada") == 1
    error = capsys.readouterr().err.strip()
    assert "expected run to be the folder of a run, found" in error
    assert "\n" not in error


def test_a_damaged_checkpoint_is_one_sentence(run_command, copy_of_run, capsys):
    (copy_of_run / "checkpoints" / "best.ckpt").write_bytes(b"no checkpoint")
    assert run_command("lm.generate", f"run={copy_of_run}") == 1
    error = capsys.readouterr().err.strip()
    assert "damaged" in error
    assert "\n" not in error


def test_without_a_run_it_uses_the_best_one_of_the_embedded_corpus(run_command, copy_of_run, tmp_path, capsys):
    results = json.loads((copy_of_run / "results.json").read_text())
    results["corpus"]["name"] = "python_docs"
    (copy_of_run / "results.json").write_text(json.dumps(results))
    (tmp_path / "outputs").mkdir()
    copy_of_run.rename(tmp_path / "outputs" / "demo")
    assert run_command("lm.generate", "num_samples=2") == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 2
    assert "generating with outputs/demo" in shown.err


def test_without_any_run_it_says_how_to_get_one(run_command, capsys):
    assert run_command("lm.generate") == 1
    assert "type make demo" in capsys.readouterr().err
