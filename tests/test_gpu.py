"""What differs on a GPU: `make test-gpu`. Without one these tests are skipped.

`LM_TEST_DEVICE=cpu` runs them on the CPU, which shows that they are written right, and nothing about a GPU.
"""

import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir

import lm
from lm.benchmark.timing import Clock, Part
from lm.cli import CONFIGS
from lm.config import Config
from lm.models.cells import CELLS, get_cell
from lm.models.linear_cross_entropy import linear_cross_entropy
from lm.models.matmul_precision import full_precision_matmul
from lm.training.hardware import set_precision
from lm.training.optimizers import OPTIMIZERS, make_optimizer

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # it is read once, before Lightning sets it

NAME = os.environ.get("LM_TEST_DEVICE", "cuda")
CUDA = NAME == "cuda"
DEVICE = torch.device(NAME)
ACCELERATOR = "gpu" if CUDA else "cpu"

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(CUDA and not torch.cuda.is_available(), reason="no GPU"),
]


@pytest.fixture
def train(small, tmp_path, monkeypatch):
    """Return a function that trains a small run on the device, in a folder of that name."""
    monkeypatch.chdir(tmp_path)

    def run(folder, *overrides):
        own = (f"trainer.accelerator={ACCELERATOR}", "trainer.enable_progress_bar=false", f"hydra.run.dir={folder}")
        sentences = "data.batching=sentences" in overrides
        base = [option for option in small if not (sentences and option.startswith("seq_len="))]
        return lm.train(overrides=[*base, *own, *overrides])

    return run


def weights_of(run):
    return {name: value.cpu() for name, value in run.run.checkpoint("last")["state_dict"].items() if "model." in name}


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_computes_what_it_computes_on_the_cpu_in_float64(cell):
    torch.manual_seed(1)
    reference = get_cell(cell).layer(6, 8).double()
    layer = get_cell(cell).layer(6, 8).to(DEVICE)
    layer.load_state_dict(reference.state_dict())
    inputs = torch.randn(9, 3, 6, dtype=torch.float64)
    results = []
    with full_precision_matmul():
        for module, values in ((reference, inputs), (layer, inputs.float().to(DEVICE))):
            values = values.clone().requires_grad_()
            output, _ = module(values, None)
            output.square().sum().backward()
            results.append([output, values.grad, *(parameter.grad for parameter in module.parameters())])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found.double().cpu(), expected, rtol=1e-4, atol=1e-4)


def test_the_fused_loss_and_its_gradients_are_those_of_cross_entropy():
    torch.manual_seed(1)
    hidden, weight, bias = torch.randn(30, 8), torch.randn(50, 8), torch.randn(50)
    targets, results = torch.randint(50, (30,)), []
    with full_precision_matmul():
        for fused, device, dtype in ((False, "cpu", torch.float64), (True, DEVICE, torch.float32)):
            leaves = [part.to(device, dtype).requires_grad_() for part in (hidden, weight, bias)]
            here = targets.to(device)
            if fused:
                nats = linear_cross_entropy(*leaves, here, torch.ones(30, device=device))
            else:
                nats = F.cross_entropy(F.linear(*leaves), here, reduction="sum")
            nats.backward()
            results.append([nats, *(leaf.grad for leaf in leaves)])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found.detach().double().cpu(), expected.detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_optimizer_makes_the_steps_that_it_makes_on_the_cpu(optimizer):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = Config.from_hydra(compose("train", [f"optimizer={optimizer}", "data=python_docs"]))
    results = []
    for device in (torch.device("cpu"), DEVICE):
        torch.manual_seed(1)
        parameter = torch.nn.Parameter(torch.randn(5, 4).to(device))
        made = make_optimizer(optimizer, [parameter], device, 0.1, **config.optimizer_options)
        for step in range(3):
            parameter.grad = (parameter.detach() * (step + 1)).clone()
            made.step()
        results.append(parameter.detach().cpu())
    torch.testing.assert_close(results[1], results[0], rtol=1e-5, atol=1e-6)


def test_reduced_precision_changes_a_product_little_and_full_precision_restores_it():
    torch.manual_seed(1)
    left, right = torch.randn(64, 256, device=DEVICE), torch.randn(256, 64, device=DEVICE)
    with full_precision_matmul():
        exact = left @ right
    set_precision("auto", DEVICE)
    try:
        torch.testing.assert_close(left @ right, exact, rtol=0.05, atol=0.2)
        with full_precision_matmul():
            torch.testing.assert_close(left @ right, exact, rtol=0, atol=0)
    finally:
        set_precision("32-true", DEVICE)


@pytest.mark.parametrize("precision", ["auto", "32-true", "bf16-mixed"])
def test_a_run_trains_in_every_precision(train, precision):
    run = train("run", f"precision={precision}")
    assert run.perplexity("valid") < len(run.vocabulary)
    assert run.perplexity("valid") == pytest.approx(run.results["best"]["valid_ppl"], rel=0.02)
    _, states = run.model(torch.zeros(3, 2, dtype=torch.long, device=run.model.device))
    with torch.autocast(NAME, torch.bfloat16, enabled=precision == "bf16-mixed"):
        _, mixed = run.model(torch.zeros(3, 2, dtype=torch.long, device=run.model.device))
    if CUDA:  # cuDNN's layers would be float16
        assert all(one.dtype == other.dtype for one, other in zip(states[0], mixed[0], strict=True))


@pytest.mark.parametrize("batching", ["streams", "sentences"])
def test_a_run_has_the_perplexity_that_its_weights_have_on_the_cpu(train, batching):
    run = train("run", "precision=32-true", f"data.batching={batching}")
    assert lm.load_run(run.folder, device="cpu").perplexity("test") == pytest.approx(
        run.results["best"]["test_ppl"], rel=1e-4
    )


@pytest.mark.parametrize("method", ["dynamic", "dynamic_sgd", "mc", "dynamic,cache"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh"])
def test_a_method_gives_the_perplexity_that_it_gives_on_the_cpu(train, cell, method):
    run = train("run", f"cell={cell}", "precision=32-true", "epochs=1")
    expected = lm.load_run(run.folder, device="cpu").perplexity("test", method=method)
    tolerance = 0.05 if method == "mc" else 1e-3  # the masks differ
    assert lm.load_run(run.folder, device=DEVICE).perplexity("test", method=method) == pytest.approx(
        expected, rel=tolerance
    )


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_resumed_run_has_the_weights_of_an_uninterrupted_one(train, cell):
    options = (f"cell={cell}", "dropout=0.5", "precision=32-true", "+trainer.deterministic=true")
    whole = train("whole", *options, "epochs=2")
    train("parts", *options, "epochs=1")
    parts = lm.train(overrides=["resume=parts", "epochs=2"])
    for name, expected in weights_of(whole).items():
        torch.testing.assert_close(weights_of(parts)[name], expected, rtol=0, atol=0, msg=name)


def test_the_parts_of_a_step_add_up_on_the_devices_clock():
    clock = Clock(DEVICE)
    for _ in range(3):
        torch.ones(200, 200, device=DEVICE) @ torch.ones(200, 200, device=DEVICE)
        clock.lap(Part.SOFTMAX)
        clock.end_step()
    steps = clock.milliseconds()
    assert len(steps) == 3
    assert all(step[Part.SOFTMAX] > 0 and step[Part.LOOP] >= 0 for step in steps)


@pytest.mark.skipif(CUDA and torch.cuda.device_count() < 2, reason="no second GPU")
def test_two_devices_train_one_run(small, tmp_path):
    own = (f"trainer.accelerator={ACCELERATOR}", "trainer.devices=2", "trainer.strategy=ddp", "hydra.run.dir=run")
    command = [sys.executable, "-m", "lm.train", *small, *own, "trainer.enable_progress_bar=false"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=600)
    assert lm.load_run(tmp_path / "run").results["device"].startswith("2 x")


def test_the_demo_trains_its_table(tmp_path):
    own = ("epochs=2", "hidden_size=32", f"trainer.accelerator={ACCELERATOR}", "hydra.sweep.dir=demo")
    command = [sys.executable, "-m", "lm.train", "-m", "experiment=demo", *own]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=900)
    assert (lm.load_sweep(tmp_path / "demo")["status"] == "finished").all()
