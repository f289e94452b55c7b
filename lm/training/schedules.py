"""The learning rate of each epoch."""


def learning_rate(epoch: int, lr: float, epochs_at_full_rate: int, lr_decay_factor: float) -> float:
    """Return the rate of `epoch`, counted from 1: `lr`, divided by `lr_decay_factor` for each epoch past the full-rate ones.

    With `epochs_at_full_rate=4` the fifth epoch is the first with a smaller rate (TensorFlow's reading of Zaremba's
    schedule; his Lua code first decays an epoch later).
    """
    return lr / lr_decay_factor ** max(0, epoch - epochs_at_full_rate)
