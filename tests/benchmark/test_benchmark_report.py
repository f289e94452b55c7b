import json

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lm.benchmark.benchmark_report import benchmark_page, results_of, step_flops
from lm.benchmark.loops import BASELINE, LIGHTNING, NO_TRAINER, BaselineModel
from lm.benchmark.timing import Part
from lm.models.language_model import LanguageModel
from tests.benchmark.jobs import CONFIG, a_round, measured, small_job

FLOPS = 6 * 20 * (2 * 2 * 8 * 32 + 30 * 8)


def results(startup_seconds=(4.0, 5.0, 99.0), **rounds):
    job = small_job(steps=6)
    found = measured()
    for name, value in rounds.items():
        found[name]["rounds"] = value
    return results_of(job, job.corpus(), found, list(startup_seconds))


def cells(text, start):
    """The cells of the row of a table that begins like this."""
    row = next(line for line in text.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in row.strip("|").split("|")]


@pytest.mark.parametrize(
    "changes", [{"cell": cell} for cell in ("lstm", "gru", "rnn_tanh")] + [{"embedding_size": 6, "num_layers": 3}]
)
def test_flops_are_those_that_pytorch_counts(changes):
    config = small_job(**changes).config
    baseline, tokens_TB = BaselineModel(30, config), torch.randint(30, (5, 4))
    # The states need gradients, as in all steps but the first.
    h, c = torch.zeros(2, config.num_layers, 4, config.hidden_size, requires_grad=True)
    # PyTorch does not count oneDNN's LSTM, which is one operation.
    with torch.backends.mkldnn.flags(enabled=False, allow_tf32=None), FlopCounterMode(display=False) as counted:
        hidden_TBH, _ = baseline(tokens_TB, (h, c) if config.cell == "lstm" else h)
        baseline.total_nats(hidden_TBH, tokens_TB).backward()
    flops = step_flops(LanguageModel(30, **config.model_arguments()), 20)
    assert flops == counted.get_total_flops()


def test_the_model_of_the_table_takes_six_gigaflops_per_step():
    with torch.device("meta"):
        model = LanguageModel(10_000, CONFIG.cell)  # the default sizes are those of the table
    assert step_flops(model, 400) == 6_336_000_000


def test_one_slow_step_changes_nothing():
    found = results()["variants"][LIGHTNING]
    assert found["step_ms"] == pytest.approx(20)
    assert found["parts_ms"] == pytest.approx(
        dict.fromkeys(Part, 0) | {Part.SOFTMAX: 10, Part.DATA: 2, Part.LOOP: 2, Part.UPDATE: 6}
    )


def test_rounds_are_compared_with_those_beside_them():
    assert results()["speedup"] == pytest.approx({"median": 2.5, "min": 2.0, "max": 3.0})


def test_the_trainer_is_measured_by_the_parts_in_which_it_works():
    """Half of each step is the softmax; the other half takes half a millisecond less without the Trainer."""
    assert results()["trainer_ms"] == pytest.approx({"median": 0.5, "min": 0.5, "max": 0.5})


def test_rates_are_those_of_the_median_step():
    found = results()
    lightning, baseline = found["variants"][LIGHTNING], found["variants"][BASELINE]
    assert lightning["tokens_per_second"] == pytest.approx(20 / 0.020)
    assert lightning["flops_per_second"] == pytest.approx(FLOPS / 0.020)
    assert lightning["mfu"] == pytest.approx(FLOPS / 0.020 / 8e6)
    assert baseline["mfu"] == pytest.approx(baseline["flops_per_second"] / 4e6)
    assert found["variants"][NO_TRAINER]["peak_memory"] == 450_000_000


def test_the_results_are_plain_values_that_say_what_was_measured():
    found = json.loads(json.dumps(results()))
    assert found["corpus"] == {"name": "random", "vocabulary_size": 30}
    assert found["parameters"]["embedding"] == 30 * 8
    assert found["config"]["cell"] == "lstm"
    assert (found["steps"], found["rounds"], found["startup_seconds"]) == (6, 2, [4.0, 5.0, 99.0])
    assert benchmark_page(found) == benchmark_page(results())


def test_the_page_has_every_figure_in_its_unit():
    text = benchmark_page(results())
    assert text.startswith("# lstm, 2 x 8, 30 words, batch 4 x 5, dropout 0, random\n")
    assert "6 steps in 2 rounds" in text
    mfu = f"{FLOPS / 0.02 / 8e6:.0%}"
    assert cells(text, "lm.train  ") == ["lm.train", "20.00", "1,000", f"{FLOPS / 0.02 / 1e9:.0f}", mfu, "500"]
    assert "2.50 times as many steps per second as the baseline (2.00 to 3.00 by round)" in text
    assert "costs 0.50 ms per step (0.50 to 0.50 by round)" in text
    assert cells(text, "decoder and loss") == ["decoder and loss", "30.00", "10.00"]
    assert cells(text, "after each epoch") == ["after each epoch", "3,000", "3.0"]
    assert "end of the first step: 5.0 s (median of 3)" in text


def test_a_difference_that_changes_its_sign_from_round_to_round_is_noise():
    text = benchmark_page(
        results(no_trainer=[a_round(19, 19), a_round(22, 22)], baseline=[a_round(19, 19), a_round(30, 30)])
    )
    assert "costs -0.25 ms per step (-1.00 to 0.50 by round, within noise)" in text
    assert "1.23 times as many steps per second as the baseline (0.95 to 1.50 by round, within noise)" in text
    assert "within noise" not in benchmark_page(results())


def test_one_round_says_nothing_about_noise():
    text = benchmark_page(results() | {"rounds": 1})
    assert "costs 0.50 ms per step (one round: noise unknown)" in text
    assert "as the baseline (one round: noise unknown)" in text


@pytest.mark.parametrize(("mfu", "busy"), [(1.0, False), (1.1, True)])
def test_a_peak_that_was_exceeded_is_reported(mfu, busy):
    found = results()
    for variant in found["variants"].values():
        variant["mfu"] = mfu
    assert ("MFU above 100%: the machine was busy" in benchmark_page(found)) == busy


def test_a_page_without_startup_times_does_not_mention_them():
    assert "first step" not in benchmark_page(results(startup_seconds=()))
