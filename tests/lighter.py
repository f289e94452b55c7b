"""What costs much of the time of a small run, and what hardly any test looks at, made cheaper in this process."""

import os

from hydra._internal.hydra import Hydra

import lm.generation.log_samples


def make_lighter():
    """Leave files in the cache of the disk, let samples be short, and have Hydra compose a config only once.

    The disk keeps its cache while the machine runs. Hydra composes each config first to find `hydra.mode`, which no
    config of this project sets.
    """
    os.fsync = lambda _file: None
    lm.generation.log_samples.SAMPLE_TOKENS = 3
    Hydra.get_mode = lambda *_, **__: None
