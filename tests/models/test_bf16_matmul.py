import pytest
import torch

from lm.models import bf16_matmul
from lm.models.bf16_matmul import add_matmul, allow_bf16_matmul, to_matmul_dtype, uses_bf16
from lm.models.matmul_precision import full_precision_matmul


@pytest.fixture(autouse=True)
def restored_precision():
    with full_precision_matmul():
        yield


def matrices() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(30, 40), torch.randn(40, 20)


def test_only_float32_factors_are_rounded_and_only_if_allowed():
    x = torch.tensor([1 + 2**-12])
    assert (to_matmul_dtype(x), uses_bf16(x)) == (x, False)
    allow_bf16_matmul(True)
    assert (to_matmul_dtype(x).item(), to_matmul_dtype(x).dtype) == (1, torch.bfloat16)
    assert to_matmul_dtype(x.double()).dtype == torch.float64


@pytest.mark.parametrize("block_elements", [1, 50, 2**21])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_are_added_in_the_dtype_of_the_total(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, block_elements: int
):
    monkeypatch.setattr(bf16_matmul, "BLOCK_ELEMENTS", block_elements)
    left, right = (x.to(dtype) for x in matrices())
    total = torch.full((30, 20), torch.nan)
    add_matmul(total, left, right, start=True)
    first = total.clone()
    add_matmul(total, left, right)
    torch.testing.assert_close(first, (left @ right).float(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(total, 2 * first, rtol=1e-5, atol=1e-5)
