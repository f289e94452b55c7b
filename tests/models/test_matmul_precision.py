import pytest
import torch

from lm.models.bf16_matmul import allow_bf16_matmul, bf16_matmul_allowed
from lm.models.matmul_precision import full_precision_matmul, matmul_precision, reduce_matmul_precision

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def state():
    return bf16_matmul_allowed(), torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


@pytest.fixture(autouse=True)
def restored_precision():
    before = state()
    yield
    allow_bf16_matmul(before[0])
    torch.set_float32_matmul_precision(before[1])
    torch.backends.cudnn.allow_tf32 = before[2]


def test_the_precision_is_full_within_the_block_and_restored_after_it():
    reduce_matmul_precision(on_cpu=False, on_gpu=True)
    with full_precision_matmul():
        assert state() == (False, "highest", False)
    with pytest.raises(RuntimeError), full_precision_matmul():
        torch.zeros(2, 3) @ torch.zeros(2, 3)
    assert state() == (False, "high", True)


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
