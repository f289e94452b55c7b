import pytest
import torch

from lm.models.matmul_precision import full_precision_matmul, reduce_matmul_precision, uses_bf16
from lm.training import hardware


@pytest.fixture(autouse=True)
def restored_precision():
    with full_precision_matmul():
        yield


def state():
    return uses_bf16(torch.zeros(1)), torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


ROUNDED, ROUNDED_ON_GPU, EXACT = (True, "highest", False), (False, "high", True), (False, "highest", False)
CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("device", "cpu_has_them", "gpu", "expected", "said"),
    [
        (CPU, True, (8, 0), ROUNDED, "bf16"),
        (CPU, True, (7, 5), ROUNDED, "bf16"),
        (CPU, False, (8, 0), EXACT, ""),
        (GPU, False, (8, 0), ROUNDED_ON_GPU, "TensorFloat-32"),
        (GPU, True, (7, 5), EXACT, ""),
    ],
)
def test_auto_uses_bf16_where_the_device_supports_it(monkeypatch, device, cpu_has_them, gpu, expected, said):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: cpu_has_them)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: gpu)
    lightnings, words = hardware.set_precision("auto", device)
    assert (lightnings, state()) == ("32-true", expected)
    assert words.startswith(f"float32 with {said} matrix multiplication" if said else "float32")
    assert ("multiplication" in words) == bool(said)


@pytest.mark.parametrize(
    ("accelerator", "with_gpu"), [("auto", "cuda"), ("gpu", "cuda"), ("cuda", "cuda"), ("cpu", "cpu")]
)
def test_the_device_is_a_gpu_where_there_is_one_and_the_accelerator_allows_it(monkeypatch, accelerator, with_gpu):
    for available, expected in ((True, with_gpu), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert hardware.resolve_device(accelerator).type == expected


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "64-true"])
def test_any_other_precision_is_lightnings_with_full_matrix_multiplication(precision):
    reduce_matmul_precision(on_cpu=False, on_gpu=True)
    assert hardware.set_precision(precision, CPU)[0] == precision
    assert state() == EXACT


def test_scaled_gradients_are_refused():
    with pytest.raises(ValueError, match="found 16-mixed: type precision=bf16-mixed"):
        hardware.set_precision("16-mixed", CPU)


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has"),
            "too little for 20.00 MiB more",
        ),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
            "too little for 8 bytes more",
        ),
        (MemoryError("Unable to allocate 7.11 PiB for an array"), "too little for 7.11 PiB more"),
        (MemoryError(), "too little"),
        (RuntimeError("CUDA error: out of memory"), "too little"),
        (RuntimeError("CUDNN_STATUS_ALLOC_FAILED"), "too little"),
    ],
)
def test_whoever_finds_the_memory_used_up_it_is_one_sentence(error, found):
    with pytest.raises(MemoryError, match=f"{found}: type a smaller hidden_size"), hardware.explain_out_of_memory():
        raise error


def test_other_errors_are_not_taken_for_memory():
    with pytest.raises(RuntimeError, match="shapes"), hardware.explain_out_of_memory():
        raise RuntimeError("shapes do not match")


def test_the_device_is_told_in_words():
    assert hardware.describe_device(torch.device("cpu")).startswith("cpu (")


def test_versions_name_what_results_depend_on():
    assert {"commit", "python", "torch", "pytorch-lightning"} <= set(hardware.versions())
