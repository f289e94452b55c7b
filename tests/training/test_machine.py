import pytest
import torch

from lm.model.products import allow_rounding, rounding_allowed
from lm.training import machine


@pytest.fixture(autouse=True)
def restored_precision():
    before = state()
    yield
    restore(*before)


def state():
    return rounding_allowed(), torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


def restore(rounding, precision, tf32):
    allow_rounding(rounding)
    torch.set_float32_matmul_precision(precision)
    torch.backends.cudnn.allow_tf32 = tf32


ROUNDED, ROUNDED_ON_GPU, EXACT = (True, "highest", True), (True, "high", True), (False, "highest", False)


@pytest.mark.parametrize(
    ("has_bfloat16", "gpu", "expected"),
    [(True, False, ROUNDED), (True, True, ROUNDED_ON_GPU), (False, False, EXACT), (False, True, EXACT)],
)
def test_auto_takes_rounded_products_where_the_hardware_has_them(monkeypatch, has_bfloat16, gpu, expected):
    monkeypatch.setattr(machine, "has_bfloat16_products", lambda: has_bfloat16)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    lightnings, words = machine.set_precision("auto")
    assert (lightnings, state()) == ("32-true", expected)
    assert ("from" in words) == has_bfloat16


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "64-true"])
def test_any_other_precision_is_lightnings_and_products_are_exact(precision):
    restore(*ROUNDED_ON_GPU)
    assert machine.set_precision(precision)[0] == precision
    assert state() == EXACT


def test_scaled_gradients_are_refused():
    with pytest.raises(ValueError, match="found 16-mixed: type precision=bf16-mixed"):
        machine.set_precision("16-mixed")


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has"),
            "too small for 20.00 MiB",
        ),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
            "small for 8 bytes",
        ),
        (MemoryError("Unable to allocate 7.11 PiB for an array"), "too small for 7.11 PiB"),
        (MemoryError(), "it used up"),
    ],
)
def test_whoever_finds_the_memory_used_up_it_is_one_sentence(error, found):
    with pytest.raises(MemoryError, match=f"{found}: type a smaller hidden_size"), machine.told_where_memory_ends():
        raise error


def test_other_errors_are_not_taken_for_memory():
    with pytest.raises(RuntimeError, match="shapes"), machine.told_where_memory_ends():
        raise RuntimeError("shapes do not match")


def test_products_are_exact_for_a_while_whatever_happens():
    restore(*ROUNDED_ON_GPU)
    with machine.exact_products():
        assert state() == EXACT
    with pytest.raises(RuntimeError), machine.exact_products():
        torch.zeros(2, 3) @ torch.zeros(2, 3)
    assert state() == ROUNDED_ON_GPU


def test_the_device_is_told_in_words():
    assert machine.describe_device(torch.device("cpu")).startswith("cpu (")


def test_versions_name_what_results_depend_on():
    assert {"commit", "python", "torch", "pytorch-lightning"} <= set(machine.versions())
