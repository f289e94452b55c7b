"""From typing the command to the first step."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from lm.benchmark.comparison import same_modules

ONE_STEP = ("epochs=1", "trainer.limit_train_batches=1", "trainer.limit_val_batches=1")


def seconds_to_first_step(words: Sequence[str]) -> float:
    """Start `python -m lm.train` with these words and return the seconds until its first step is done.

    An epoch of one step ends, after one window of validation, with `epochs.csv`; the process is not needed any longer.

    Raises:
        ValueError: where the command ends before.
    """
    with tempfile.TemporaryDirectory() as folder:
        epochs = Path(folder) / "epochs.csv"
        command = [sys.executable, "-m", "lm.train", *words, *ONE_STEP, f"hydra.run.dir={folder}"]
        started = time.time()
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, env=same_modules(), start_new_session=True
        ) as process:
            try:
                while not epochs.is_file():
                    if process.poll() is not None:
                        raise ValueError(
                            f"expected a run's first step, found 'python -m lm.train {' '.join(words)}' ended"
                        )
                    time.sleep(0.01)
            finally:
                process.kill()
        return epochs.stat().st_mtime - started
