import pytest
import torch

from lm.models import bf16_matmul
from lm.models.bf16_matmul import add_product, allow_rounding, rounded, rounds_factors
from lm.training.hardware import exact_products


@pytest.fixture(autouse=True)
def restored_precision():
    with exact_products():
        yield


def matrices() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(30, 40), torch.randn(40, 20)


def test_factors_are_rounded_only_where_that_is_allowed_and_they_are_float32():
    x = torch.tensor([1 + 2**-12])
    assert (rounded(x), rounds_factors(x)) == (x, False)
    allow_rounding(True)
    assert (rounded(x).item(), rounded(x).dtype) == (1, torch.bfloat16)
    assert rounded(x.double()).dtype == torch.float64


@pytest.mark.parametrize("at_once", [1, 50, 2**21])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_add_up_in_the_totals_dtype(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, at_once: int):
    monkeypatch.setattr(bf16_matmul, "AT_ONCE", at_once)
    left, right = (x.to(dtype) for x in matrices())
    total = torch.full((30, 20), torch.nan)
    add_product(total, left, right, start=True)
    first = total.clone()
    add_product(total, left, right)
    torch.testing.assert_close(first, (left @ right).float(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(total, 2 * first, rtol=1e-5, atol=1e-5)
