import csv
import json
import math
import re
from itertools import pairwise

import pytest
import torch
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lm.data.corpus import load_corpus
from lm.data.sources import make_source
from lm.evaluation.loading import load_saved_run
from lm.run_dir import RunDir


@pytest.fixture(scope="module")
def trained_folders():
    """The folder of the run, once it is trained."""
    return []


@pytest.fixture
def trained(run_command, small, tmp_path_factory, trained_folders):
    """A run that is trained once, for tests that only read it."""
    if not trained_folders:
        folder = tmp_path_factory.mktemp("trained") / "run"
        assert run_command("lm.train", *small, f"hydra.run.dir={folder}") == 0
        trained_folders.append(folder)
    return RunDir(trained_folders[0])


def test_a_run_leaves_everything_that_is_known_of_it(trained):
    results = trained.results
    assert results["status"] == "finished"
    assert results["cell"] == "lstm"
    assert set(results["corpus"]["tokens"]) == {"train", "valid", "test"}
    assert results["corpus"]["unk"]["valid"] == {"count": 0, "fraction": 0.0}
    assert results["protocol"]["test"] == {
        "batch_size": 1,
        "tokens": results["corpus"]["tokens"]["test"] - 1,
        "state": "carried",
        "method": "static",
        "matmul_precision": "float32",
    }
    assert results["parameters"]["total"] == sum(
        results["parameters"][part] for part in ("embedding", "recurrent", "decoder")
    )
    assert {path.name for path in trained.checkpoints.iterdir()} == {"best.ckpt", "last.ckpt"}
    assert (trained.folder / ".hydra" / "config.yaml").is_file()


def test_epochs_are_counted_from_one_with_the_rate_of_each(run_command, small, tmp_path):
    words = ("epochs=4", "epochs_at_full_rate=2", "lr=1.0", "lr_decay_factor=2")
    run_command("lm.train", *small, *words, "hydra.run.dir=run")
    with (tmp_path / "run" / "epochs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], float(row["lr"])) for row in rows] == [("1", 1.0), ("2", 1.0), ("3", 0.5), ("4", 0.25)]


def test_the_best_weights_are_those_of_the_best_validation(trained):
    results, epochs = trained.results, trained.epochs
    best = min(epochs, key=lambda row: row["valid_ppl"])
    assert results["best_epoch"] == best["epoch"]
    # After each epoch four columns are scored, in the end one: three sentences fewer begin without a state.
    assert results["best"]["valid_ppl"] == pytest.approx(best["valid_ppl"], rel=0.02)


def test_the_results_are_those_of_a_brute_force_count_over_the_saved_weights(trained, corpus_folder):
    """One word at a time, each probability from a softmax in float64."""
    saved = load_saved_run(trained.folder)
    model, vocabulary = saved.model.double(), saved.vocabulary
    corpus = load_corpus(make_source("text", dir=str(corpus_folder)))
    ids, nats, states = corpus.splits["test"].long(), 0.0, None
    for word, following in pairwise(ids):
        logits, states = model.logits(word.view(1, 1), states)
        nats -= math.log(logits.detach().softmax(-1)[0, 0, following])
    assert trained.results["best"]["test_ppl"] == pytest.approx(math.exp(nats / (len(ids) - 1)), rel=1e-5)
    assert len(vocabulary) == len(corpus.vocabulary)


def test_a_sweep_over_sentences_and_streams_says_of_each_how_it_was_measured(run_command, small, tmp_path):
    sentences = ("data.max_length=4", "data.truncation_side=left", "data.padding_side=left")
    words = ("-m", "data.batching=streams,sentences", "cell=gru", *sentences, *small)
    assert run_command("lm.train", *words, "hydra.sweep.dir=sweep") == 0
    results = [json.loads(path.read_text()) for path in (tmp_path / "sweep").glob("*/results.json")]
    found = {result["batching"]["batching"]: result for result in results}
    assert {name: result["protocol"]["test"]["state"] for name, result in found.items()} == {
        "streams": "carried", "sentences": "reset",
    }  # fmt: skip
    # All that is scored in the end is scored whole; the first word, too.
    assert found["sentences"]["protocol"] == {
        split: {"batch_size": 4, "tokens": tokens, "state": "reset", "method": "static", "matmul_precision": "float32"}
        for split, tokens in found["sentences"]["corpus"]["tokens"].items()
    }
    assert found["sentences"]["batching"]["truncated_tokens"] == 200
    assert 0 <= found["sentences"]["batching"]["padding"] < 0.1
    run = next(path.parent for path in (tmp_path / "sweep").glob("*sentences*/results.json"))
    assert run_command("lm.evaluate", f"run={run}", "split=test", "batch_size=7") == 0


def test_a_run_on_sentences_goes_on_and_ends_as_if_never_stopped(run_command, small_sentences, tmp_path):
    words = (*small_sentences, "dropout=0.25")
    run_command("lm.train", *words, "epochs=2", "hydra.run.dir=whole")
    run_command("lm.train", *words, "epochs=1", "hydra.run.dir=parts")
    run_command("lm.train", *words, "epochs=2", "hydra.run.dir=parts")
    whole, parts = (RunDir(tmp_path / name).checkpoint("last")["state_dict"] for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_run_with_length_conditioning_says_which_perplexity_had_the_length(run_command, small_sentences, tmp_path):
    words = (*small_sentences, "cell=gru", "length_conditioning=true", "hydra.run.dir=run")
    assert run_command("lm.train", *words) == 0
    results = RunDir(tmp_path / "run").results
    assert "not comparable" in results["protocol"]["test"]["lengths"]
    for weights in ("best", "last"):
        for split in ("train", "valid", "test"):
            assert results[weights][f"{split}_ppl"] > results[weights][f"{split}_ppl_given_length"]
    assert results["best"]["valid_ppl"] == pytest.approx(
        min(row["valid_ppl"] for row in RunDir(tmp_path / "run").epochs)
    )
    assert results["parameters"]["total"] == sum(list(results["parameters"].values())[:-1])


def test_tensorboard_shows_the_run(trained):
    events = EventAccumulator(str(trained.folder)).Reload()
    tags = events.Tags()
    assert {
        "perplexity/train", "perplexity/valid", "loss/train", "optimiser/learning_rate", "optimiser/gradient_norm",
        "speed/tokens_per_second", "result/valid_ppl", "result/test_ppl",
    } <= set(tags["scalars"])  # fmt: skip
    assert [event.step for event in events.Scalars("perplexity/valid")] == [50, 100]
    assert "samples/text_summary" in tags["tensors"]
    assert events.summary_metadata["_hparams_/session_start_info"]
    saved = OmegaConf.load(trained.folder / "hparams.yaml")
    assert (saved["corpus"], saved["precision"], saved["trainer.limit_train_batches"]) == ("text", "32-true", 1.0)
    assert (saved["hidden_size"], saved["seed"]) == (16, 1)


def test_a_run_with_a_checkpoint_goes_on_and_ends_as_if_never_stopped(run_command, small, tmp_path):
    dropout = "dropout=0.25"
    run_command("lm.train", *small, dropout, "epochs=2", "hydra.run.dir=whole")
    run_command("lm.train", *small, dropout, "epochs=1", "hydra.run.dir=parts")
    run_command("lm.train", *small, dropout, "epochs=2", "hydra.run.dir=parts")
    whole, parts = (RunDir(tmp_path / name).checkpoint("last")["state_dict"] for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_folder_of_another_run_is_not_gone_on_with(run_command, small, trained, capsys):
    assert run_command("lm.train", *small, "hidden_size=8", f"hydra.run.dir={trained.folder}") == 1
    assert "expected hidden_size=16" in capsys.readouterr().err


@pytest.mark.figures
def test_a_sweep_makes_named_runs_a_table_and_a_figure(run_command, tiny, tmp_path, capsys):
    assert run_command("lm.train", "-m", "cell=lstm,gru", "dropout=0,0.25", *tiny, "hydra.sweep.dir=sweep") == 0
    names = {path.name.split(",data=")[0] for path in (tmp_path / "sweep").iterdir() if "cell" in path.name}
    assert names == {f"cell={cell},dropout={dropout}" for cell in ("lstm", "gru") for dropout in ("0", "0.25")}
    files = {path.name for path in (tmp_path / "sweep").iterdir() if path.is_file()}
    assert {"report.md", "table.csv", "table.tex", "convergence.png", "convergence.svg"} <= files
    with (tmp_path / "sweep" / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["cell"], row["dropout"]) for row in rows] == [
        ("lstm", "0"), ("lstm", "0.25"), ("gru", "0"), ("gru", "0.25"),
    ]  # fmt: skip
    assert all("with one bias per gate" in path.read_text() for path in (tmp_path / "sweep").glob("*/train.log"))
    assert "tensorboard --logdir" in capsys.readouterr().out


def test_a_sweep_at_equal_parameters_compares_the_cells_at_equal_size_and_with_equally_many(
    run_command, tiny, tmp_path, corpus_folder
):
    vocabulary = load_corpus(make_source("text", dir=str(corpus_folder))).vocabulary
    sizes = (f"equal_parameters.vocabulary_size={len(vocabulary)}", "equal_parameters.hidden_size=40")
    words = [word for word in tiny if not word.startswith("hidden_size")]
    preset = ("-m", "experiment=equal_parameters", "hydra.sweep.dir=sweep")
    assert run_command("lm.train", *preset, *sizes, *words) == 0
    with (tmp_path / "sweep" / "table.csv").open() as file:
        rows = {(row["cell"], row["hidden_size"]): int(row["parameters"]) for row in csv.DictReader(file)}
    assert set(rows) == {("lstm", "40"), ("lstm", "47"), ("gru", "40"), ("gru", "47")}
    assert rows["gru", "47"] == pytest.approx(rows["lstm", "40"], rel=0.02)
    assert rows["gru", "40"] < 0.8 * rows["lstm", "40"]


def test_sizes_that_match_for_another_vocabulary_are_refused(run_command, small, capsys):
    assert run_command("lm.train", "experiment=equal_parameters", *small) == 1
    assert "expected a vocabulary of 10000 words, for which sizes were matched, found" in capsys.readouterr().err


def test_a_sweep_reads_its_corpus_once(run_command, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("LM_DATA", str(tmp_path / "cache"))
    words = ("-m", *tiny, "hydra.sweep.dir=sweep")
    assert run_command("lm.train", *words, "seed=1") == 0
    cached = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "corpora").rglob("*")}
    assert run_command("lm.train", *words, "seed=2,3") == 0
    assert len(list((tmp_path / "sweep").glob("*/results.json"))) == 3
    assert cached == {path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "corpora").rglob("*")}


def test_a_failing_run_of_a_sweep_does_not_stop_the_others(run_command, tiny, tmp_path, capsys):
    assert run_command("lm.train", "-m", "dropout=1.5,0", *tiny, "hydra.sweep.dir=sweep") == 1
    results = [json.loads(path.read_text()) for path in sorted((tmp_path / "sweep").glob("*/results.json"))]
    assert sorted(result["status"] for result in results) == ["failed", "finished"]
    assert "found 1.5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["+cel=gru"], "found +cel=gru: type cell="),
        (["+trainer.profilr=simple"], "found trainer.profilr=: type +trainer.profiler="),
        (["+trainer.max_tme=1"], "found trainer.max_tme=: type trainer.max_time="),
        (["trainer.profiler=simple"], "To append to your config use +trainer.profiler=simple"),
        (["+data.branching=3"], "expected an option of data=text, found data.branching=: leave it out"),
        (["length_conditioning=true"], "expected data.batching=sentences with length_conditioning=true, found streams"),
        (["batch_size=100000"], "expected the train split to have more words than batch_size=100000"),
        (["hydra.run.dir=file/run"], "found: Not a directory"),
        (
            ["trainer.accelerator=abacus"],
            "expected trainer.accelerator to be one of auto, cpu, gpu, cuda, found",
        ),
        (
            ["~trainer.accelerator"],
            "expected trainer.accelerator to be one of auto, cpu, gpu, cuda, found null",
        ),
        (["trainer.strategy=foo"], "expected trainer.strategy to be what Lightning accepts here"),
        (["trainer.devices=0"], "expected trainer.devices to be a whole number of at least 1, found 0"),
        (["trainer.limit_val_batches=0"], "expected trainer.limit_val_batches to be a whole number of batches"),
        (["trainer.limit_train_batches=0.0001"], "fraction that leaves at least one of 50, found 0.0001"),
        (["trainer.limit_val_batches=0.0001"], "fraction that leaves at least one of 1, found 0.0001"),
        (["trainer.max_time=abc"], "expected trainer.max_time to be a time as DAYS:HOURS:MINUTES:SECONDS"),
        (["+trainer.max_steps=5"], "found trainer.max_steps=: type epochs= instead"),
        (
            ["+trainer.val_check_interval=2"],
            "found trainer.val_check_interval=: type +trainer.check_val_every_n_epoch=",
        ),
        (["+trainer.num_nodes=2"], "found trainer.num_nodes=: type trainer.devices= instead"),
        (["score_train=abc"], "expected score_train to be true or false or null, found 'abc'"),
    ],
)
def test_bad_input_is_told_in_one_sentence(run_command, small, tmp_path, capsys, words, sentence):
    (tmp_path / "file").write_text("a file where a folder is asked for")
    assert run_command("lm.train", *small, *words) == 1
    error = capsys.readouterr().err.strip()
    assert sentence in error
    assert "\n" not in error.replace("Error executing job", "")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_unknown_cell_stops_a_sweep_before_its_first_run(run_command, small, tmp_path):
    assert run_command("lm.train", "-m", "cell=lstm,lsmt", *small, "hydra.sweep.dir=sweep") == 1
    assert not list(tmp_path.rglob("*.ckpt"))


def test_an_epoch_without_validation_has_no_validation_perplexity(run_command, small, tmp_path):
    words = ("epochs=4", "+trainer.check_val_every_n_epoch=3", "lr=0.2", "trainer.limit_train_batches=20")
    assert run_command("lm.train", *small, *words, "hydra.run.dir=run") == 0
    run = RunDir(tmp_path / "run")
    with run.epochs_path.open() as file:
        measured = [row["valid_ppl"] != "" for row in csv.DictReader(file)]
    assert measured == [False, False, True, True]  # the last epoch may be the best
    events = EventAccumulator(str(run.folder)).Reload()
    assert [event.step for event in events.Scalars("perplexity/valid")] == [60, 80]
    assert run.results["best_epoch"] == run.checkpoint("best")["epoch"] + 1 == 4
    assert run.results["best"] == run.results["last"]


@pytest.mark.parametrize("lr", ["500", "5000"])
def test_a_run_with_a_meaningless_perplexity_has_diverged(run_command, small, tmp_path, capsys, lr):
    assert run_command("lm.train", *small, f"lr={lr}", "epochs=1", "hydra.run.dir=run") == 1
    output = capsys.readouterr()
    results = json.loads((tmp_path / "run" / "results.json").read_text(), parse_constant=pytest.fail)
    assert results["status"] == "diverged"
    assert output.err.startswith("error: expected a ")
    assert "type lr=" in output.err
    assert all(len(number) <= 8 for number in re.findall(r"[\d.e+]{7,}", output.out.partition("epoch 1/1")[2]))


def test_a_run_says_at_its_start_what_it_trains_where(run_command, small, capsys):
    words = ("epochs=1", "trainer.limit_train_batches=2", "hydra.run.dir=run")
    assert run_command("lm.train", *small, *words) == 0
    shown = capsys.readouterr().out
    for part in ("corpus: text, ", "tokens: train 1,000", "vocabulary: 13", "<unk>", "device: cpu (", "run folder: "):
        assert part in shown


def test_by_default_the_training_split_is_scored_if_training_reads_all_of_it(run_command, small, tmp_path, capsys):
    words = (*small, "epochs=1")
    limited = "trainer.limit_train_batches=2"
    assert run_command("lm.train", *words, limited, "hydra.run.dir=part") == 0
    assert "perplexity train not scored, valid " in capsys.readouterr().out
    assert run_command("lm.train", *words, limited, "score_train=true", "hydra.run.dir=scored") == 0
    assert run_command("lm.train", *words, "score_train=false", "hydra.run.dir=unscored") == 0
    part, scored, unscored = (RunDir(tmp_path / name).results for name in ("part", "scored", "unscored"))
    for results in (part, unscored):
        assert results["best"]["train_ppl"] is results["last"]["train_ppl"] is results["protocol"]["train"] is None
    assert scored["best"]["train_ppl"] > 1
    assert scored["protocol"]["train"]["tokens"] == 999
    assert scored["best"]["test_ppl"] == part["best"]["test_ppl"]


def test_bf16_weights_are_chosen_by_a_validation_perplexity_that_is_not_rounded(run_command, small, tmp_path):
    words = ("precision=bf16-true", "epochs=3", "trainer.limit_train_batches=3", "hydra.run.dir=run")
    assert run_command("lm.train", *(word for word in small if "precision" not in word), *words) == 0
    run = RunDir(tmp_path / "run")
    for row in run.epochs:
        nats = math.log(row["valid_ppl"]) * 199  # all words but the first; one batch
        assert float(torch.tensor(nats).bfloat16()) != pytest.approx(nats, abs=1e-3)
    [state] = [state for key, state in run.checkpoint("last")["callbacks"].items() if key.startswith("BestCheckpoint")]
    assert float(state["best_model_score"]) == min(row["valid_ppl"] for row in run.epochs)
