import os
import re
import shutil
import subprocess
import sys

import pytest

from lm.generate import describe_lengths, describe_speed
from lm.generation.decoder import Continuation


def texts_shown(out):
    """The texts: the lines before the speed that are not indented."""
    return [line for line in out.split("\n\n")[0].splitlines() if not line.startswith("    ")]


def test_a_freshly_saved_run_goes_on_from_a_prompt(run_command, copy_of_run, capsys):
    shutil.rmtree(copy_of_run / ".hydra")  # the checkpoint alone is enough
    words = (
        "prompt=ada reads",
        "num_samples=3",
        "temperature=0.8",
        "top_k=5",
        "top_p=0.9",
        "seed=2",
        "max_new_tokens=6",
    )
    assert run_command("lm.generate", f"run={copy_of_run}", *words) == 0
    shown = capsys.readouterr()
    assert len(texts_shown(shown.out)) == 3
    assert all(text.startswith("ada reads") for text in texts_shown(shown.out))
    assert re.search(r"\d+ tokens written, \d+ read in [\d.]+ s: [\d,]+ tokens/s", shown.out)
    assert shown.err == ""


def test_a_seed_gives_the_same_texts_again(run_command, saved_run, capsys):
    outputs = []
    for seed in (1, 1, 2):
        run_command("lm.generate", f"run={saved_run}", "num_samples=4", f"seed={seed}")
        outputs.append(texts_shown(capsys.readouterr().out))
    assert outputs[0] == outputs[1] != outputs[2]


def test_a_width_of_one_is_greedy(run_command, saved_run, capsys):
    run_command("lm.generate", f"run={saved_run}", "prompt=alan", "beam.width=1")
    greedy = texts_shown(capsys.readouterr().out)
    run_command("lm.generate", f"run={saved_run}", "prompt=alan", "top_k=1")
    assert texts_shown(capsys.readouterr().out) == greedy


def test_a_beam_gives_its_best_texts_and_their_scores(run_command, saved_run, capsys):
    options = (
        "beam.width=6",
        "num_samples=3",
        "beam.length_penalty=0.6",
        "beam.length_formula=gnmt",
        "max_new_tokens=6",
    )
    assert run_command("lm.generate", f"run={saved_run}", *options) == 0
    out = capsys.readouterr().out
    scores = [float(score) for score in re.findall(r"score (-[\d.]+)", out)]
    assert len(set(texts_shown(out))) == 3
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("formula", ["gnmt", "average", "per_word"])
def test_the_length_penalty_makes_texts_shorter_and_longer(run_command, saved_run, capsys, formula):
    lengths = []
    for penalty in (-20, 20):
        options = (
            "beam.width=30",
            f"beam.length_penalty={penalty}",
            f"beam.length_formula={formula}",
            "max_new_tokens=8",
        )
        run_command("lm.generate", f"run={saved_run}", *options)
        lengths.append(len(texts_shown(capsys.readouterr().out)[0].split()))
    assert lengths[0] <= 2
    assert lengths[1] >= 7  # and an end


def test_unknown_words_of_the_prompt_are_named(run_command, saved_run, capsys):
    assert run_command("lm.generate", f"run={saved_run}", "prompt=Ada reads Turing's <unk>") == 0
    assert capsys.readouterr().err == (
        "warning: not in the vocabulary, read as <unk>: 'Ada' ('ada' is), \"Turing's\"\n"
    )


def test_a_text_goes_on_past_its_end_where_it_may(run_command, saved_run, capsys):
    run_command("lm.generate", f"run={saved_run}", "stop_at_eos=false", "temperature=5", "max_new_tokens=80")
    [text] = texts_shown(capsys.readouterr().out)
    assert len(text.split()) == 80
    assert "<eos>" in text


def test_unknown_is_written_only_where_it_is_allowed(run_command, saved_run, capsys):
    options = ("num_samples=40", "temperature=10", "stop_at_eos=false")
    run_command("lm.generate", f"run={saved_run}", *options)
    assert "<unk>" not in capsys.readouterr().out
    run_command("lm.generate", f"run={saved_run}", *options, "allow_unk=true")
    assert "<unk>" in capsys.readouterr().out


def test_nothing_is_left_behind(run_command, saved_run, tmp_path):
    run_command("lm.generate", f"run={saved_run}")
    assert not list(tmp_path.iterdir())


def test_the_speed_counts_what_was_read():
    texts = [Continuation((3, 4), -1.0, ended=True), Continuation((3, 4, 5), -1.0, ended=False)]
    assert describe_speed(texts, 1200, 0.5) == "6 tokens written, 1,200 read in 0.50 s: 2,400 tokens/s"


def test_several_texts_are_told_to_be_as_long_as_they_are():
    texts = [Continuation((3,) * words, -1.0, ended) for words, ended in ((4, True), (6, True), (5, True), (9, False))]
    assert describe_lengths(texts[:1], 1, told=5) == []
    assert describe_lengths(texts, 1, told=None) == [
        "4 texts of 7.00 ± 2.16 words (mean ± standard deviation), 3 ended by themselves"
    ]
    assert describe_lengths(texts, 1, told=6)[1:] == [
        "away from length 6: 1.50 ± 1.73 words, 1 texts exactly of that length"
    ]


def test_the_lengths_that_are_said_are_those_of_the_texts(run_command, saved_run, capsys):
    run_command("lm.generate", f"run={saved_run}", "prompt=ada", "num_samples=7")
    out = capsys.readouterr().out
    mean = sum(len(text.split()) for text in texts_shown(out)) / 7
    assert f"7 texts of {mean:.2f} ± " in out


def test_the_command_runs_as_it_is_typed(saved_run):
    command = [sys.executable, "-m", "lm.generate", f"run={saved_run}", "prompt=ada, 's", "max_new_tokens=5"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0
    assert done.stdout.startswith("ada, 's")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["temperature=-1"], "expected a positive temperature, found -1"),
        (["temperature=hot"], "expected temperature to be a number, found 'hot'"),
        (["top_k=0"], "expected top_k to be a whole number of at least 1, found 0"),
        (["top_p=2"], "expected top_p above 0 and at most 1, found 2"),
        (["max_new_tokens=0"], "expected max_new_tokens to be a whole number of at least 1, found 0"),
        (["length=5"], "expected a run that was trained with length_conditioning=true for length=5, found one without"),
        (["num_samples=-3"], "expected samples to be a whole number of at least 1, found -3"),
        (["seed=a"], "expected seed to be a whole number of at least 0, found 'a'"),
        (["allow_unk=no"], "expected allow_unk to be true or false, found 'no'"),
        (["stop_at_eos=1"], "expected stop_at_eos to be true or false, found 1"),
        (["beam.width=0"], "expected beam.width to be a whole number of at least 1, found 0"),
        (["beam.width=2", "beam.length_penalty=gnmt"], "expected beam.length_penalty to be a number, found 'gnmt'"),
        (
            ["beam.width=2", "beam.length_formula=x"],
            "expected beam.length_formula to be one of gnmt, average, per_word",
        ),
        (["beam.width=2", "num_samples=3"], "expected at most as many samples as the beam is wide"),
        (["beam.width=2", "top_k=3"], "expected a search or draws, found options of both"),
        (["checkpoint=first"], "expected checkpoint to be one of best, last, found 'first'"),
        (["temprature=1"], "found temprature=: type temperature="),
        (["run=nowhere"], "expected a run folder with checkpoints/last.ckpt, found none in 'nowhere'"),
    ],
)
def test_bad_input_is_told_in_one_sentence(run_command, saved_run, capsys, words, sentence):
    assert run_command("lm.generate", f"run={saved_run}", *words) == 1
    error = capsys.readouterr().err.strip()
    assert sentence in error
    assert "\n" not in error


def test_a_missing_run_is_told_in_one_sentence(run_command, capsys):
    assert run_command("lm.generate", "prompt=ada") == 1
    error = capsys.readouterr().err.strip()
    assert "expected a run's folder, found none: type python -m lm.generate run=RUN_FOLDER" in error
    assert "\n" not in error


def test_a_damaged_checkpoint_is_told_in_one_sentence(run_command, copy_of_run, capsys):
    (copy_of_run / "checkpoints" / "best.ckpt").write_bytes(b"no checkpoint")
    assert run_command("lm.generate", f"run={copy_of_run}") == 1
    error = capsys.readouterr().err.strip()
    assert "damaged" in error
    assert "\n" not in error
