"""What the tests share: a corpus of their own, and commands run as a user runs them, but in this process."""

import gc
import logging
import multiprocessing.forkserver
import os
import random
import resource
import signal
import sys
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import hypothesis
import pytest
import xdist
from hydra.core.global_hydra import GlobalHydra

from lm.sweeps.cores import cores
from lm.training.signals import STOP_SIGNALS
from tests.run_folders import grid, make_run, seeds, sweep  # noqa: F401  # fixtures
from tests.saved_run import copy_of_run, saved_run  # noqa: F401  # fixtures

# The same examples each time, however slow the machine.
hypothesis.settings.register_profile("lm", derandomize=True, deadline=None)
hypothesis.settings.load_profile("lm")

SENTENCES = {"train": 200, "valid": 40, "test": 40}


@contextmanager
def no_file_larger_than(size):
    """Have the kernel refuse to write on in the middle of a file, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def pytest_sessionstart(session):
    """Use one thread per process: the workers of pytest-xdist, and the runs that tests start, share the cores.

    Threads of OpenMP that have no core of their own wait for each other most of the time. The process that only starts
    the workers does without PyTorch, which takes seconds to load.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if not xdist.is_xdist_controller(session):
        import torch

        from tests.lighter import make_lighter

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        make_lighter()
        load_tests_in_fork_server()


def pytest_xdist_auto_num_workers():
    """Start one worker more than there are cores: some tests wait for processes that start or stop."""
    return cores() + 1


def load_tests_in_fork_server():
    """Have the fork server load `tests.preload`, whoever starts it, and from whatever folder."""
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    multiprocessing.set_forkserver_preload(["tests.preload"])
    multiprocessing.forkserver.set_forkserver_preload = lambda _: None


def pytest_collection_modifyitems(items):
    """Begin with the notebooks, each of which takes half a minute, so that no worker ends with one alone."""
    items.sort(key=lambda item: item.path.suffix != ".ipynb")


def pytest_collection_finish():
    """Have each run's gc.collect() pass over all that was imported, which took a fifth of a small run's time."""
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """No test reads or writes the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LM_DATA", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory):
    """A folder with `train.txt`, `valid.txt` and `test.txt` of a toy English."""
    folder, draw = tmp_path_factory.mktemp("corpus"), random.Random(1)
    people, verbs, things = ["ada", "alan", "grace"], ["reads", "writes", "sees"], ["a book", "a proof", "the moon"]
    for split, count in SENTENCES.items():
        lines = [f"{draw.choice(people)} {draw.choice(verbs)} {draw.choice(things)}" for _ in range(count)]
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def run_command(request, monkeypatch, tmp_path):
    """Return a function that runs `python -m <module> <words>` in `tmp_path`, and gives its exit status.

    Reports have figures only in tests with the mark `figures`.
    """
    monkeypatch.chdir(tmp_path)
    if request.node.get_closest_marker("figures") is None:
        monkeypatch.setattr("lm.reporting.sweep_report._write_figures", lambda *_: None)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(module, *words):
        monkeypatch.setattr(sys, "argv", [module, *map(str, words)])
        try:
            import_module(module).main()
        except SystemExit as end:
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
            return end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            GlobalHydra.instance().clear()
            for number, handler in handlers.items():  # a sweep that could not begin leaves its own
                signal.signal(number, handler)
            close_log_files(tmp_path)
        return 0

    return run


def close_log_files(folder):
    """Close the log files of a command that has ended, as the end of its process would."""
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, logging.FileHandler)]:
        if Path(handler.baseFilename).is_relative_to(folder):
            root.removeHandler(handler)
            handler.close()


@pytest.fixture
def terminal_signals():
    """Handlers as in a terminal, also if the tests themselves run with signals ignored."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    for number in STOP_SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def small(corpus_folder):
    """The words that make a run small enough for a test."""
    return (
        "data=text", f"data.dir={corpus_folder}", "hidden_size=16", "batch_size=4", "seq_len=5", "epochs=2",
        "precision=32-true", "trainer.accelerator=cpu", "trainer.log_every_n_steps=5",
    )  # fmt: skip


@pytest.fixture
def tiny(small):
    """The same for runs whose numbers nobody reads: five steps."""
    return (*(word for word in small if not word.startswith("epochs=")), "epochs=1", "trainer.limit_train_batches=5")


@pytest.fixture
def small_sentences(small):
    """The same for batches of sentences, of which no sequence length is asked."""
    return (*(word for word in small if not word.startswith("seq_len=")), "data.batching=sentences")
