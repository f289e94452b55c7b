"""Operations for which Python waits for a GPU, found on a CPU."""

from torch import Tensor
from torch.overrides import TorchFunctionMode


class Waits(TorchFunctionMode):
    """Fails if a value is copied from the device to Python."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        assert func not in (Tensor.item, Tensor.__bool__, Tensor.__float__, Tensor.__int__, Tensor.tolist), func
        return func(*args, **(kwargs or {}))
