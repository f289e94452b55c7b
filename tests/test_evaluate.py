import csv
import gzip
import io
import math
import os
import re
import shutil
import subprocess
import sys

import pytest

from lm.evaluation.loading import load_saved_run
from lm.run_dir import RunDir
from lm.run_files import read_arrays
from tests.saved_run import untrained_run


def perplexity_shown(text):
    return float(re.search(r"perplexity +([\d.]+)", text)[1])


@pytest.fixture
def evaluated(run_command, capsys):
    """Return a function that evaluates a run and returns what is printed to standard output."""

    def evaluate(run, *options):
        capsys.readouterr()
        assert run_command("lm.evaluate", f"run={run}", *options) == 0
        return capsys.readouterr().out

    return evaluate


@pytest.mark.parametrize("checkpoint", ["best", "last"])
@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_saved_run_has_the_perplexity_of_its_results(evaluated, saved_run, split, checkpoint):
    shown = evaluated(saved_run, f"split={split}", f"checkpoint={checkpoint}")
    recorded = RunDir(saved_run).results
    assert perplexity_shown(shown) == pytest.approx(recorded[checkpoint][f"{split}_ppl"], abs=1e-4)
    assert f"{recorded['protocol'][split]['tokens']:,} tokens, each scored once, except the first" in shown
    assert "the same" in shown


def test_the_batch_size_is_an_option_and_part_of_the_protocol(evaluated, saved_run):
    shown = evaluated(saved_run, "split=test", "batch_size=7")
    assert "batch size 7, state carried, static evaluation, matrix multiplication in float32" in shown
    assert re.search(r"results.json +[\d.]+: this one is [\d.]+% (higher|lower); measured with batch size 1\n", shown)


def test_a_run_and_its_corpus_may_have_moved(evaluated, copy_of_run, corpus_folder, tmp_path):
    recorded = RunDir(copy_of_run).results["best"]["test_ppl"]
    (copy_of_run / "results.json").unlink()
    (copy_of_run / "checkpoints" / "last.ckpt").unlink()
    shutil.rmtree(copy_of_run / ".hydra")
    shutil.copytree(corpus_folder, tmp_path / "a corpus")
    shown = evaluated(copy_of_run, "data.dir=a corpus")
    assert perplexity_shown(shown) == pytest.approx(recorded, abs=1e-4)
    assert "has no perplexity of this split" in shown


def test_nothing_is_left_behind(run_command, saved_run, tmp_path):
    run_command("lm.evaluate", f"run={saved_run}", "text=ada reads")
    assert not list(tmp_path.iterdir())


def test_a_sweep_over_run_folders_says_which_run_a_result_is_of(run_command, saved_run, copy_of_run, tmp_path, capsys):
    """The folders have commas and equal signs in their names."""
    before = set(tmp_path.iterdir())
    for options in (["split=valid,test"], ["text=ada,alan"]):
        assert run_command("lm.evaluate", "-m", f"run={saved_run},{copy_of_run}", *options) == 0
        runs = re.findall(r"^run (/.*)$", capsys.readouterr().out, re.MULTILINE)
        assert runs == [str(run) for run in (saved_run, saved_run, copy_of_run, copy_of_run)]
    assert set(tmp_path.iterdir()) == before


def test_a_text_is_scored_word_by_word(run_command, copy_of_run, capsys, tmp_path):
    shutil.rmtree(copy_of_run / ".hydra")  # neither the corpus nor its config is needed
    words = ("text=ada reads 's, <unk> <eos> a book", "csv=table.csv")
    assert run_command("lm.evaluate", f"run={copy_of_run}", *words) == 0
    shown = capsys.readouterr()
    assert 'warning: not in the vocabulary, read as <unk>: "\'s,"\n' in shown.err
    assert "2 sentences, 8 tokens (<eos> included): log-probability -" in shown.out
    assert "; without the 2 <unk>: " in shown.out
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert " ".join(row["word"] for row in rows) == "ada reads 's, <unk> <eos> a book <eos>"
    first = [float(row["log_probability"]) for row in rows if row["sentence"] == "1"]
    assert float(rows[0]["sentence_log_probability"]) == pytest.approx(sum(first))


def test_a_file_is_scored_sentence_by_sentence(evaluated, saved_run, corpus_folder, tmp_path):
    assert "40 sentences, 200 tokens" in evaluated(
        saved_run, f"file={corpus_folder / 'test.txt'}", "csv=table.csv", "per=sentence"
    )
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == (corpus_folder / "test.txt").read_text().splitlines()


@pytest.mark.parametrize("name", ["-", "/dev/stdin", "text.gz", "pipe"])
def test_a_text_is_read_from_standard_input_a_pipe_or_a_gzip_file(evaluated, saved_run, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    text, writer = b"ada reads\nalan sees\n", None
    (tmp_path / "text.gz").write_bytes(gzip.compress(text))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text))))
    if name == "pipe":
        os.mkfifo(name)
        writer = subprocess.Popen([sys.executable, "-c", f"open('pipe', 'wb').write({text!r})"])
    assert "2 sentences, 6 tokens" in evaluated(saved_run, f"file={name}")
    assert writer is None or writer.wait() == 0


def test_csv_goes_to_standard_output_alone(run_command, saved_run, capsys):
    assert run_command("lm.evaluate", f"run={saved_run}", "text=ada reads", "csv=-") == 0
    shown = capsys.readouterr()
    assert [row["word"] for row in csv.DictReader(io.StringIO(shown.out))] == ["ada", "reads", "<eos>"]
    assert "1 sentence, 3 tokens" in shown.err


def test_csv_is_written_through_a_link_and_to_a_pipe(evaluated, saved_run, tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "table.csv")
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE)
    for name in ("link.csv", "pipe"):
        evaluated(saved_run, "text=ada reads", f"csv={tmp_path / name}")
    assert (tmp_path / "link.csv").is_symlink()
    assert reader.communicate()[0] == (tmp_path / "table.csv").read_bytes()


PREPARATIONS = {
    "as it is": [],
    "prepared": ["data.lowercase=true", "data.fold_numbers=true", "data.keep_blank_lines=true", "data.min_count=2"],
}


@pytest.mark.parametrize("options", PREPARATIONS.values(), ids=PREPARATIONS)
@pytest.mark.parametrize("batching", ["streams", "sentences"])
def test_a_split_and_its_file_have_the_same_perplexity(evaluated, tmp_path, options, batching):
    """Except for the first word of a stream, which has nothing before it in the split."""
    lines = ["The cat has 3 eyes", "", "the CAT sleeps <eos> It has 1,000 dreams", "a dog sees the cat", ""]
    for split, times in (("train", 8), ("valid", 2), ("test", 120)):
        (tmp_path / f"{split}.txt").write_text("\n".join(lines * times))
    run = untrained_run(tmp_path / "run", tmp_path, f"data.batching={batching}", *options)
    split = evaluated(run, "split=test")
    state = {"streams": "carried", "sentences": "reset"}[batching]
    first, *others = csv.DictReader(
        io.StringIO(evaluated(run, f"file={tmp_path / 'test.txt'}", f"state={state}", "per=word", "csv=-"))
    )
    scored = others if batching == "streams" else [first, *others]
    assert f"{len(scored):,} tokens, each scored once" in split
    total = sum(float(row["log_probability"]) for row in scored)
    assert perplexity_shown(split) == pytest.approx(math.exp(-total / len(scored)), rel=1e-3)


def test_text_and_prompt_are_prepared_like_the_corpus(run_command, corpus_folder, tmp_path, capsys):
    run = untrained_run(tmp_path / "run", corpus_folder, "data.lowercase=true")
    capsys.readouterr()
    assert run_command("lm.evaluate", f"run={run}", "text=ADA Reads") == 0
    assert run_command("lm.generate", f"run={run}", "prompt=ADA Reads") == 0
    shown = capsys.readouterr()
    assert "warning" not in shown.err
    assert "ada reads" in shown.out


def test_the_perplexity_without_unk_is_shown_beside_the_usual_one(evaluated, corpus_folder, tmp_path):
    data = shutil.copytree(corpus_folder, tmp_path / "data")
    (data / "test.txt").write_text("ada reads a book\nturing reads a newspaper\n" * 400)
    run = untrained_run(tmp_path / "run", data)
    shown = evaluated(run, "split=test")
    words = csv.DictReader(
        io.StringIO(evaluated(run, f"file={data / 'test.txt'}", "state=carried", "per=word", "csv=-"))
    )
    known = [float(row["log_probability"]) for row in words if row["read_as"] != "<unk>"][1:]
    found = re.search(r"without <unk> +([\d.]+) over 3,199 tokens; 800 \(20.01%\) are <unk>", shown)
    assert float(found[1]) == pytest.approx(math.exp(-sum(known) / 3199), rel=1e-3)


def test_a_run_with_length_conditioning_has_a_perplexity_given_the_lengths(evaluated, corpus_folder, tmp_path):
    options = ("data.batching=sentences", "length_conditioning=true")
    run = untrained_run(tmp_path / "run", corpus_folder, *options)
    shown = evaluated(run, "split=test")
    given_lengths = re.search(r"given lengths +([\d.]+): conditioned on the true lengths, not comparable", shown)
    assert float(given_lengths[1]) < perplexity_shown(shown)
    assert "200 tokens, each scored once; batch size 4, state reset" in shown
    own = evaluated(run, f"file={corpus_folder / 'test.txt'}")
    assert "conditioned on the length of each sentence: not comparable with other models" in own
    assert f"perplexity {given_lengths[1]}" in own


METHODS = {
    "temperature": ["temperature=1.2"],
    "cache": ["cache.theta=0.5", "cache.window=50"],
    "dynamic": ["dynamic.lr=0.001"],
    "dynamic_sgd": [],
    "mc": ["mc.samples=2"],
    "dynamic,temperature,cache": ["cache.weight=0.3"],
}


@pytest.mark.parametrize("method", METHODS)
def test_a_score_by_a_method_says_how_it_was_measured_and_is_kept(evaluated, copy_of_run, method):
    before = (copy_of_run / "results.json").read_bytes()
    shown = evaluated(copy_of_run, f"method={method}", *METHODS[method])
    entry = RunDir(copy_of_run).evaluations[-1]
    assert perplexity_shown(shown) == pytest.approx(entry["ppl"], abs=1e-4)
    assert entry["protocol"]["method"] == method
    assert f"{method} evaluation (" in shown
    assert all(f"{option}" in shown for option in METHODS[method])
    assert f"evaluations.json  {copy_of_run / 'evaluations.json'}" in shown
    assert (copy_of_run / "results.json").read_bytes() == before


def test_options_are_tuned_on_validation_and_the_choice_is_said_and_kept(evaluated, copy_of_run):
    shown = evaluated(copy_of_run, "method=temperature,cache", "tune=true", "cache.window=30")
    entry = RunDir(copy_of_run).evaluations[-1]
    chosen = entry["protocol"]["settings"]
    assert chosen["cache"]["window"] == 30
    assert f"cache.theta={chosen['cache']['theta']:g} cache.weight={chosen['cache']['weight']:g}" in shown
    assert "temperature, cache.theta, cache.weight chosen on the valid split: perplexity " in shown
    assert " on its 199 tokens\n" in shown
    assert entry["tuned"]["split"] == "valid"
    assert entry["split"] == "test"
    options = [f"cache.{name}={value}" for name, value in chosen["cache"].items()]
    options += [f"temperature={chosen['temperature']['temperature']}"]
    again = evaluated(copy_of_run, "method=temperature,cache", "split=valid", *options)
    assert perplexity_shown(again) == pytest.approx(entry["tuned"]["ppl"], abs=1e-4)


def test_an_ensemble_is_named_by_runs_or_by_the_folder_of_a_sweep(evaluated, copy_of_run, saved_run, tmp_path):
    alone = perplexity_shown(evaluated(saved_run))
    sweep = tmp_path / "sweep"
    for seed in (1, 2):
        shutil.copytree(copy_of_run, sweep / f"cell=gru,seed={seed}")
    for runs in (sweep, f"{sweep}/cell=gru,seed=1,{sweep}/cell=gru,seed=2"):
        shown = evaluated(runs)
        assert perplexity_shown(shown) == pytest.approx(alone, rel=1e-5)
        assert "static evaluation, mean of 2 runs" in shown
    for seed in (1, 2):
        entry = RunDir(sweep / f"cell=gru,seed={seed}").evaluations[-1]
        assert entry["protocol"]["ensemble"] == 2
        assert entry["runs"] == ["cell=gru,seed=1", "cell=gru,seed=2"]


def test_the_nats_of_every_token_are_written_as_training_writes_them(evaluated, saved_run, tmp_path):
    shown = evaluated(saved_run, "nats=x.npz", "method=cache")
    written, trained = read_arrays(tmp_path / "x.npz"), RunDir(saved_run).nats
    assert str(written["test_sha256"]) == str(trained["test_sha256"])
    assert math.exp(written["test"].mean(dtype=float)) == pytest.approx(perplexity_shown(shown), rel=1e-5)
    evaluated(saved_run, "nats=x.npz")
    assert read_arrays(tmp_path / "x.npz")["test"].tolist() == pytest.approx(trained["test"].tolist(), abs=1e-5)


def test_another_corpus_is_scored_with_the_words_and_the_preparation_of_the_run(evaluated, corpus_folder, tmp_path):
    run = untrained_run(tmp_path / "run", corpus_folder, "data.lowercase=true")
    other = shutil.copytree(corpus_folder, tmp_path / "other")
    (other / "test.txt").write_text("Ada READS a book\nTuring reads\n" * 200)
    shown = evaluated(run, "data=text", f"data.dir={other}")
    assert "200 (12.51%) are <unk>" in shown
    assert "results.json" not in shown
    own = evaluated(run, f"file={other / 'test.txt'}", "state=carried", "per=word", "csv=-")
    nats = [-float(row["log_probability"]) for row in csv.DictReader(io.StringIO(own))][1:]
    assert perplexity_shown(shown) == pytest.approx(math.exp(sum(nats) / len(nats)), rel=1e-3)
    assert RunDir(run).evaluations[-1]["corpus"] != load_saved_run(run).corpus


@pytest.mark.parametrize("name", ["synthetic", "python_docs"])
def test_another_corpus_may_have_no_folder(evaluated, saved_run, name):
    assert f"corpus            {name}, SHA-256 " in evaluated(saved_run, f"data={name}")


def test_a_place_for_a_file_is_checked_before_anything_is_scored(run_command, copy_of_run, tmp_path, capsys):
    before = RunDir(copy_of_run).evaluations
    for option in ("nats", "csv"):
        text = [] if option == "nats" else ["text=ada"]
        for path, found in (("none/x", "No such file or directory"), (str(tmp_path), "Is a directory")):
            assert run_command("lm.evaluate", f"run={copy_of_run}", f"{option}={path}", *text) == 1
            output = capsys.readouterr()
            assert found in output.err
            assert not output.out
    assert RunDir(copy_of_run).evaluations == before


def test_options_typed_together_are_read_as_typed_one_by_one(run_command, saved_run, capsys):
    assert run_command("lm.evaluate", f"run={saved_run}", "cache={theta: 0.7}") == 1
    assert "found cache.theta=, which is for method=cache: leave it out" in capsys.readouterr().err
    typed = ("method=temperature", "temperature=1.1", "tune=true")
    assert run_command("lm.evaluate", f"run={saved_run}", *typed) == 1
    assert (
        "expected an option of method=temperature to choose, found all typed: leave tune out" in capsys.readouterr().err
    )


@pytest.mark.parametrize("text", ['{"test_ppl": 0.0}, {"test": {}}', '{"test_ppl": 9.0}, {"test": null}'])
def test_results_that_are_damaged_do_not_cost_the_score(evaluated, copy_of_run, text):
    best, protocol = text.split(", ")
    results = f'{{"status": "finished", "best": {best}, "protocol": {protocol}}}'
    (copy_of_run / "results.json").write_text(results)
    assert perplexity_shown(evaluated(copy_of_run)) > 1


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        ("cache", "found sentences that each start from a zero state: type state=carried for your own text, or"),
        ("dynamic", "expected a text with a carried state for method=dynamic, found sentences"),
        ("mc", "for method=mc, found length_conditioning=true: type method=static"),
    ],
)
def test_a_run_on_sentences_is_not_scored_by_what_needs_a_stream(
    run_command, corpus_folder, tmp_path, capsys, method, sentence
):
    run = untrained_run(tmp_path / "run", corpus_folder, "data.batching=sentences", "length_conditioning=true")
    assert run_command("lm.evaluate", f"run={run}", f"method={method}") == 1
    assert sentence in capsys.readouterr().err
    assert run_command("lm.evaluate", f"run={run}", "method=temperature", "temperature=1.1") == 0


def test_methods_can_be_swept(run_command, copy_of_run, capsys):
    assert run_command("lm.evaluate", "-m", f"run={copy_of_run}", "method=static,cache") == 0
    shown = capsys.readouterr().out
    assert "static evaluation, matrix" in shown
    assert "cache evaluation (cache.theta=1 cache.weight=0.1 cache.window=500), matrix" in shown


def test_a_score_that_cannot_be_kept_is_shown(evaluated, copy_of_run, monkeypatch):
    def full(run, entry):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunDir, "append_evaluation", full)
    shown = evaluated(copy_of_run)
    assert perplexity_shown(shown) > 1
    assert f"not kept in {copy_of_run / 'evaluations.json'}: No space left on device" in shown


def test_a_damaged_file_of_evaluations_is_one_sentence_before_anything_is_scored(run_command, copy_of_run, capsys):
    (copy_of_run / "evaluations.json").write_text("[{")
    assert run_command("lm.evaluate", f"run={copy_of_run}") == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: expected a file of evaluations of this project, found '")
    assert "\n" not in error


@pytest.mark.parametrize("method", ["cache", "dynamic", "mc"])
def test_methods_score_your_own_sentences(evaluated, saved_run, corpus_folder, method):
    state = [] if method == "mc" else ["state=carried"]
    shown = evaluated(saved_run, f"file={corpus_folder / 'test.txt'}", f"method={method}", *state)
    assert "40 sentences, 200 tokens" in shown
    assert f"\n{method} evaluation (" in shown


def test_a_reader_that_stops_early_gets_no_error(saved_run):
    command = f"{sys.executable} -m lm.evaluate run='{saved_run}' file=- per=word | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, input="ada reads a book\n" * 3000)
    assert done.stdout.split()[:3] == ["sentence", "position", "word"]
    assert done.stderr == ""


def test_the_help_has_the_options_and_no_groups(run_command, capsys):
    assert run_command("lm.evaluate", "--help") == 0
    shown = capsys.readouterr().out
    assert "python -m lm.evaluate run=RUN_FOLDER split=test" in shown
    assert "per: null\n" in shown
    for other in ("hydra:", "defaults:", "cell", "schedule", "Powered by"):
        assert other not in shown


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["split=tset"], "expected split to be one of train, valid, test, found 'tset'"),
        (["checkpoint=first"], "expected checkpoint to be one of best, last, found 'first'"),
        (["batch_size=1000000"], "to have more words than batch_size=1000000, found 200"),
        (
            ["data.dir=."],
            "expected data.dir to be a folder with train.txt, valid.txt, test.txt, found no train.txt in '.'",
        ),
        (["data.dir=other"], "expected the corpus of the training (text, SHA-256"),
        (["text= "], "expected text to be text or null, found ' ': type text='the company said'"),
        (["text=<eos>"], "expected at least one word to score, found none"),
        (["text=a", "file=b"], "expected text= or file=, found both"),
        (["file=nowhere.txt"], "expected to use the file or folder 'nowhere.txt', found: No such file"),
        (
            ["text=ada", "csv=nowhere/table.csv"],
            "expected to use the file or folder 'nowhere/table.csv', found: No such file",
        ),
        (["text=ada", "csv=/dev/full"], "found: No space left on device; free some space"),
        (["split=test", "text=ada"], "found split=, which is for a split: leave it out"),
        (["batch_size=3", "file=x"], "found batch_size=, which is for a split: leave it out"),
        (["csv=x.csv"], "found csv=, which is for text= or file=: leave it out"),
        (["state=carried"], "found state=, which is for text= or file=: leave it out"),
        (["per=word"], "found per=, which is for text= or file=: leave it out"),
        (["spilt=test"], "found spilt=: type split="),
        (["data=text"], "expected data.dir to be a folder with train.txt, valid.txt, test.txt, found null"),
        (["data=txt"], "found txt: type data=text"),
        (["data=text", "data.lowercase=true"], "found data.lowercase=, which is for training: leave it out"),
        (["data=text", "text=ada"], "found data=, which is for a split: leave it out"),
        (["method=dynamic,mc"], "expected one method that reads the text, alone or composed with temperature"),
        (
            ["method=mc,cache"],
            "expected a method with one hidden state per word for a cache, found mc,cache: type method=cache",
        ),
        (["method=cache,cache"], "found cache,cache: type method=cache"),
        (
            ["method=temperature", "temperature={a: 1}"],
            "expected temperature to be a number of at least 0.01 and at most 100, found {'a': 1}",
        ),
        (["method=cache", "cache={thta: 1}"], "found cache.thta=: type cache.theta="),
        (["method=cache", "cache.weight=1"], "expected cache.weight to be a number of at least 0 and below 1, found 1"),
        (["cache.weight=0.2"], "found cache.weight=, which is for method=cache: leave it out"),
        (["tune=true"], "expected a method with options to tune, found static: type method=cache"),
        (["method=cache", "text=ada"], "expected a text with a carried state for method=cache, found sentences"),
        (["method=dynamic", "batch_size=2"], "expected batch_size=1 for a method that learns from the words before"),
        (["method=cache", "text=ada", "state=reset"], "type state=carried for your own text"),
        (["text=ada", "nats=x.npz"], "found nats=, which is for a split: leave it out"),
        (["nats=nowhere/x.npz"], "expected to use the file or folder 'nowhere/x.npz', found: No such file"),
        (["run=."], "expected a checkpoint, found no file 'checkpoints/best.ckpt'"),
        (["run=multirun/cell=gru,dropout=0"], "found no file 'multirun/cell=gru,dropout=0/checkpoints/best.ckpt'"),
        (["run=null"], "expected run to be the folder of a run, found null"),
        (["-m", "run=null", "split=valid,test"], "expected run to be the folder of a run, found null"),
        (["-m", "run=1,2"], "expected run to be the folder of a run, found 1"),
    ],
)
def test_bad_input_is_one_sentence(run_command, saved_run, corpus_folder, tmp_path, capsys, words, sentence):
    shutil.copytree(corpus_folder, tmp_path / "other")
    (tmp_path / "other" / "valid.txt").write_text("ada reads a book\n")
    assert run_command("lm.evaluate", f"run={saved_run}", *words) == 1
    error = capsys.readouterr().err.strip()
    assert sentence in error
    assert "\n" not in error


def test_what_cannot_be_used_is_refused_before_minutes_of_tuning(run_command, copy_of_run, monkeypatch, capsys):
    monkeypatch.setattr("lm.evaluation.scoring.Tuner", None)
    words = (f"run={copy_of_run}", "method=dynamic", "tune=true")
    assert run_command("lm.evaluate", *words, "batch_size=2") == 1
    assert "expected batch_size=1" in capsys.readouterr().err
    (copy_of_run / "evaluations.json").write_text("{")
    assert run_command("lm.evaluate", *words) == 1
    assert "expected a file of evaluations" in capsys.readouterr().err


def test_a_missing_run_is_one_sentence(run_command, capsys):
    assert run_command("lm.evaluate") == 1
    error = capsys.readouterr().err.strip()
    assert error == "error: expected run to be the folder of a run, found null: type run=outputs/DATE/TIME"


@pytest.mark.parametrize(
    "damage",
    [lambda data: b"no checkpoint", lambda data: data[: len(data) // 2], lambda data: b""],
    ids=["other bytes", "cut off", "empty"],
)
def test_a_damaged_checkpoint_is_one_sentence(run_command, copy_of_run, capsys, damage):
    path = copy_of_run / "checkpoints" / "best.ckpt"
    path.write_bytes(damage(path.read_bytes()))
    assert run_command("lm.evaluate", f"run={copy_of_run}") == 1
    error = capsys.readouterr().err.strip()
    assert "damaged" in error
    assert "\n" not in error
