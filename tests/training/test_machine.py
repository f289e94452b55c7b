import pytest
import torch

from lm.training import machine


@pytest.fixture(autouse=True)
def restored_precision():
    before = state()
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32 = before[1]


def state():
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


ROUNDED, EXACT = ("medium", True), ("highest", False)


@pytest.mark.parametrize(("has_bfloat16", "expected"), [(True, ROUNDED), (False, EXACT)])
def test_auto_takes_bfloat16_products_where_the_hardware_has_them(monkeypatch, has_bfloat16, expected):
    monkeypatch.setattr(machine, "has_bfloat16_products", lambda: has_bfloat16)
    lightnings, words = machine.set_precision("auto")
    assert (lightnings, state()) == ("32-true", expected)
    assert ("from" in words) == has_bfloat16


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "64-true"])
def test_any_other_precision_is_lightnings_and_products_are_exact(precision):
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.allow_tf32 = True
    assert machine.set_precision(precision)[0] == precision
    assert state() == EXACT


def test_scaled_gradients_are_refused():
    with pytest.raises(ValueError, match="found 16-mixed: type precision=bf16-mixed"):
        machine.set_precision("16-mixed")


def test_products_are_exact_for_a_while_whatever_happens():
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.allow_tf32 = True
    with machine.exact_products():
        assert state() == EXACT
    with pytest.raises(RuntimeError), machine.exact_products():
        torch.zeros(2, 3) @ torch.zeros(2, 3)
    assert state() == ROUNDED


def test_the_device_is_told_in_words():
    assert machine.describe_device(torch.device("cpu")).startswith("cpu (")


def test_versions_name_what_results_depend_on():
    assert {"commit", "python", "torch", "pytorch-lightning"} <= set(machine.versions())
