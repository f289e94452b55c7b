from types import SimpleNamespace

import pytest

from lm.evaluation.evaluation_loop import EvalResult
from lm.evaluation.loading import load_saved_run
from lm.evaluation.split_report import compare_with_recorded, describe_weights, recorded_perplexity
from lm.run_dir import RunDir

PROTOCOL = {"batch_size": 20, "state": "carried", "method": "static", "matmul_precision": "float32"}


def test_the_recorded_perplexity_is_that_of_the_checkpoint_and_the_split(saved_run):
    results = RunDir(saved_run).results
    for checkpoint, split in (("last", "train"), ("best", "test")):
        ppl, protocol = recorded_perplexity(load_saved_run(saved_run, checkpoint), split)
        assert ppl == results[checkpoint][f"{split}_ppl"]
        assert protocol == results["protocol"][split]
        assert protocol["matmul_precision"] == "float32"


@pytest.mark.parametrize(
    ("rates", "num_layers", "shown"),
    [((0.2, 0.2, 0.2), 2, "0.2"), ((0.2, 0.2, 0.35), 2, "0.2 / 0.2 / 0.35"), ((0, 0.5, 0.1), 1, "0 / 0.1")],
)
def test_the_weights_are_described_by_the_dropout_that_the_model_reads(rates, num_layers, shown):
    parts = dict(zip(("input_dropout", "hidden_dropout", "output_dropout"), rates, strict=True))
    config = SimpleNamespace(cell="lstm", dropout=0.25, seed=3, num_layers=num_layers, **parts)
    saved = SimpleNamespace(config=config, checkpoint="best")
    assert describe_weights(saved) == f"best of lstm, dropout {shown}, seed 3"


@pytest.mark.parametrize("results", [None, "{", '{"status": "failed"}', '{"best": 5}', "[1]"])
def test_without_results_there_is_no_recorded_perplexity(copy_of_run, results):
    (copy_of_run / "results.json").unlink()
    if results is not None:
        (copy_of_run / "results.json").write_text(results)
    assert recorded_perplexity(load_saved_run(copy_of_run), "test") == (None, {})


@pytest.mark.parametrize(
    ("ppl", "verdict"),
    [
        (1.000001, "1.0000: the same"),
        (1.25, "1.2500: this one is 20.0000% lower"),
        (0.8, "0.8000: this one is 25.0000% higher"),
    ],
)
def test_a_comparison_says_how_far_apart_two_perplexities_are(ppl, verdict):
    one = EvalResult(nats=0.0, tokens=10, protocol=PROTOCOL)
    assert compare_with_recorded(one, ppl, PROTOCOL) == verdict
    assert compare_with_recorded(one, None, {}).startswith("has no perplexity")


def test_a_comparison_says_what_differs_in_how_two_perplexities_were_measured():
    one = EvalResult(nats=0.0, tokens=10, protocol=PROTOCOL | {"batch_size": 1, "matmul_precision": "bf16"})
    shown = compare_with_recorded(one, 1.0, PROTOCOL)
    assert shown == "1.0000: the same; measured with batch size 20, matrix multiplication in float32"


def test_a_difference_to_bf16_scores_comes_with_the_models_for_which_its_size_was_measured():
    one = EvalResult(nats=0.0, tokens=10, protocol={})
    shown = compare_with_recorded(one, 1.0001, PROTOCOL | {"matmul_precision": "bf16 (fp32 accumulation)"})
    assert "this one is 0.0100% lower; bf16 moved perplexities by up to 0.01 % for models of 200 units" in shown
    assert "by up to 0.04 % for smaller or barely trained models" in shown
