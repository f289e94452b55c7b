"""What the tests' fork server loads, so that no process that is forked from it has to."""

import gc
from contextlib import suppress

import torch.utils.tensorboard  # noqa: F401

import lm.reporting.figures
import lm.reporting.sweep_report
import lm.sweeps.sweep_callback
import lm.sweeps.training_job
from tests.lighter import make_lighter

with suppress(ImportError):
    import lm.sweeps.optuna_sweeper
    import lm.sweeps.pruning

make_lighter()
write_figures = lm.reporting.sweep_report._write_figures
lm.reporting.sweep_report._write_figures = lambda *_: None  # to draw and to encode them takes a second per sweep
gc.collect()
gc.freeze()
