import pytest
import torch

from lm.models import matmul_precision as module
from lm.models.matmul_precision import (
    add_matmul,
    full_precision_matmul,
    matmul_precision,
    reduce_matmul_precision,
    to_matmul_dtype,
    uses_bf16,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def restored_precision():
    with full_precision_matmul():
        yield


def state():
    return uses_bf16(torch.zeros(1)), torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


def test_the_precision_is_full_within_the_block_and_restored_after_it():
    reduce_matmul_precision(on_cpu=True, on_gpu=True)
    with full_precision_matmul():
        assert state() == (False, "highest", False)
    with pytest.raises(RuntimeError), full_precision_matmul():
        torch.zeros(2, 3) @ torch.zeros(2, 3)
    assert state() == (True, "high", True)


@pytest.mark.parametrize(
    ("on_cpu", "on_gpu", "cpu", "gpu"),
    [
        (False, False, "float32", "float32"),
        (True, False, "bf16 (fp32 accumulation)", "float32"),
        (False, True, "float32", "TensorFloat-32"),
    ],
)
def test_each_device_has_a_precision_of_its_own(on_cpu, on_gpu, cpu, gpu):
    reduce_matmul_precision(on_cpu, on_gpu)
    assert (matmul_precision(CPU), matmul_precision(GPU)) == (cpu, gpu)


def matrices() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(30, 40), torch.randn(40, 20)


def test_only_float32_factors_are_rounded_and_only_if_allowed():
    x = torch.tensor([1 + 2**-12])
    assert (to_matmul_dtype(x), uses_bf16(x)) == (x, False)
    reduce_matmul_precision(on_cpu=True, on_gpu=False)
    assert (to_matmul_dtype(x).item(), to_matmul_dtype(x).dtype) == (1, torch.bfloat16)
    assert to_matmul_dtype(x.double()).dtype == torch.float64


@pytest.mark.parametrize("block_elements", [1, 50, 2**21])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_are_added_in_the_dtype_of_the_total(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, block_elements: int
):
    monkeypatch.setattr(module, "BLOCK_ELEMENTS", block_elements)
    left, right = (x.to(dtype) for x in matrices())
    total = torch.full((30, 20), torch.nan)
    add_matmul(total, left, right, start=True)
    first = total.clone()
    add_matmul(total, left, right)
    torch.testing.assert_close(first, (left @ right).float(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(total, 2 * first, rtol=1e-5, atol=1e-5)
