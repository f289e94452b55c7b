"""Jobs that are small enough for a test."""

from dataclasses import replace

from lm.benchmark.benchmark_job import Job
from tests.configs import config_with

SETTINGS = config_with(
    cell="lstm", dropout=0.0, hidden_size=8, embedding_size=8, num_layers=2, tie_weights=False, init_range=0.1,
    batch_size=4, seq_len=5, epochs=1, lr=1.0, epochs_at_full_rate=1, lr_decay_factor=1.0, max_grad_norm=0.5, seed=1,
)  # fmt: skip

TRAINER = {
    "accelerator": "cpu", "devices": 1, "strategy": "auto", "limit_train_batches": 1.0, "limit_val_batches": 1.0,
    "log_every_n_steps": 5, "enable_progress_bar": True, "max_time": None,
}  # fmt: skip


def small_job(vocabulary_size=30, steps=4, rounds=2, precision="32-true", source=None, trainer=None, **settings):
    return Job(
        settings=replace(SETTINGS, **settings), source=source or {}, vocabulary_size=vocabulary_size,
        precision=precision, threads=None, trainer=TRAINER | (trainer or {}), steps=steps, rounds=rounds,
    )  # fmt: skip
