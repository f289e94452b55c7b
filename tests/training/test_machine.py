import pytest
import torch

from lm.training import machine


@pytest.fixture(autouse=True)
def restored_precision():
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize(("has_bfloat16", "expected"), [(True, "medium"), (False, "highest")])
def test_auto_takes_bfloat16_products_where_the_hardware_has_them(monkeypatch, has_bfloat16, expected):
    monkeypatch.setattr(machine, "has_bfloat16_products", lambda: has_bfloat16)
    lightnings, words = machine.set_precision("auto")
    assert (lightnings, torch.get_float32_matmul_precision()) == ("32-true", expected)
    assert ("bfloat16" in words) == has_bfloat16


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "64-true"])
def test_any_other_precision_is_lightnings_and_products_are_exact(precision):
    torch.set_float32_matmul_precision("medium")
    assert machine.set_precision(precision)[0] == precision
    assert torch.get_float32_matmul_precision() == "highest"


def test_products_are_exact_for_a_while_whatever_happens():
    torch.set_float32_matmul_precision("medium")
    with machine.exact_products():
        assert torch.get_float32_matmul_precision() == "highest"
    with pytest.raises(RuntimeError), machine.exact_products():
        torch.zeros(2, 3) @ torch.zeros(2, 3)
    assert torch.get_float32_matmul_precision() == "medium"


def test_the_device_is_told_in_words():
    assert machine.describe_device(torch.device("cpu")).startswith("cpu (")


def test_versions_name_what_results_depend_on():
    assert {"commit", "python", "torch", "pytorch-lightning"} <= set(machine.versions())
