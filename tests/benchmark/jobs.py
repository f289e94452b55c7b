"""Jobs that are small enough for a test, and what they might have measured."""

from dataclasses import replace

from lm.benchmark.benchmark_job import Job
from lm.benchmark.loops import BASELINE, LIGHTNING, NO_TRAINER
from lm.benchmark.timing import Part
from lm.machine_config import MachineConfig
from lm.trainer_config import TrainerConfig
from tests.configs import config_with

CONFIG = config_with(
    cell="lstm", dropout=0.0, hidden_size=8, embedding_size=8, num_layers=2, tie_weights=False, init_range=0.1,
    batch_size=4, seq_len=5, epochs=1, lr=1.0, epochs_at_full_rate=1, lr_decay_factor=1.0, max_grad_norm=0.5, seed=1,
)  # fmt: skip

TRAINER = {
    "accelerator": "cpu", "devices": 1, "strategy": "auto", "limit_train_batches": 1.0, "limit_val_batches": 1.0,
    "log_every_n_steps": 5, "enable_progress_bar": True, "max_time": None,
}  # fmt: skip


def small_job(
    vocabulary_size=30,
    steps=4,
    rounds=2,
    precision="32-true",
    num_threads=None,
    startup_repeats=3,
    trainer=None,
    **config,
):
    machine = MachineConfig(
        precision=precision, num_threads=num_threads, gpus_per_run=0, checkpoint_every_minutes=10, score_train=None,
        resume=None, logger={}, trainer=TrainerConfig(**TRAINER | (trainer or {})),
    )  # fmt: skip
    return Job(replace(CONFIG, **config), machine, vocabulary_size, steps, rounds, startup_repeats)


def a_round(*steps_ms):
    """Steps that take so long, half of it in the softmax and a tenth in the loop."""
    fractions = dict.fromkeys(Part, 0.0) | {Part.SOFTMAX: 0.5, Part.LOOP: 0.1, Part.DATA: 0.1, Part.UPDATE: 0.3}
    return {"steps": [{part: ms * share for part, share in fractions.items()} for ms in steps_ms], "nats": [3.0, 2.0]}


def measured():
    """What `run_variants` might return, in round numbers."""
    return {
        BASELINE: {  # something else held up one step
            "rounds": [a_round(40, 40, 4000), a_round(60, 60, 60)], "peak_memory": 400_000_000,
        },
        NO_TRAINER: {
            "rounds": [a_round(19, 19, 19), a_round(19, 19, 19)], "peak_memory": 450_000_000,
            "device": "cpu (1 thread)", "precision": "float32", "versions": {"torch": "2.13", "commit": "abc1234"},
            "peak_flops": {"float32": 4e6, "lm.train": 8e6},
            "evaluation": {"after each epoch": 3000.0, "after training": 2500.0},
        },
        LIGHTNING: {"rounds": [a_round(20, 20, 20), a_round(20, 20, 900)], "peak_memory": 500_000_000},
    }  # fmt: skip
