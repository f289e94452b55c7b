"""The run folders of a sweep, found by the files in them."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lm.output import print_note
from lm.path_lists import matches, split_paths
from lm.run_dir import RunDir

MARKS = ("results.json", "epochs.csv", ".hydra/config.yaml")
"""Files by which a run folder is recognised."""

MAX_DEPTH = 4
"""How many folders below its sweep a run is looked for, so that `sweep=/` ends."""


RESULT_FOLDERS = (Path("multirun"), Path("outputs"))
"""Where commands leave their results, if they are not given a folder."""


def find_runs(folder: Path) -> list[RunDir]:
    """Return every run folder below `folder`, or `folder` itself if it is one, in the order of the sweep.

    Raises:
        FileNotFoundError: if there is no such folder, or no run in it.
    """
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise FileNotFoundError(
            f"expected a sweep's folder, found nothing at {folder}: type a folder such as multirun/TIME"
        )
    runs = [
        RunDir(path, "" if path == folder else path.relative_to(folder).as_posix()) for path in _run_folders(folder)
    ]
    if not runs:
        raise FileNotFoundError(
            f"expected a sweep's folder, found no run folder in {folder}: type the folder "
            "that holds folders such as 'cell=lstm,dropout=0.25'"
        )
    return sorted(runs, key=lambda run: (run.number, run.name))


def best_run(corpus: str) -> RunDir:
    """Return the finished run on a corpus with the best validation perplexity, of those that commands left here.

    Raises:
        FileNotFoundError: if there is none in `multirun/` and `outputs/`.
    """
    found = [RunDir(path) for folder in RESULT_FOLDERS if folder.is_dir() for path in _run_folders(folder)]
    runs = [run for run in found if run.finished and run.best.is_file() and run.result("corpus.name") == corpus]
    if not runs:
        raise FileNotFoundError(
            f"expected a run on {corpus} in {' or '.join(f'{folder}/' for folder in RESULT_FOLDERS)}, found none: "
            "type make demo, or python -m lm.train experiment=demo for one model, or run=RUN for another run"
        )
    return min(runs, key=lambda run: float(run.results["best"]["valid_ppl"]))


def _run_folders(folder: Path, depth: int = MAX_DEPTH) -> Iterator[Path]:
    """Yield the run folders in a folder: `hydra.sweep.subdir` may have several parts."""
    if is_run(folder):
        yield folder
    elif depth:
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                yield from _run_folders(path, depth - 1)


def is_run(folder: Path) -> bool:
    """Return whether a folder is a run's, and not the report's or anything else."""
    return any((folder / mark).is_file() for mark in MARKS)


def runs_in(text: str) -> list[Path]:
    """Return the run folders that a text names: folders, sweeps' folders and patterns, separated by commas.

    What is none of these is returned as it is. A run that is named several times is returned once.

    Raises:
        ValueError: if there is nothing before or after a comma.
    """
    names = split_paths(text)
    if not any(map(matches, names)):
        return [Path(text)]
    if not all(names):
        named = ",".join(filter(None, names))
        raise ValueError(f"expected folders with commas between them, found '{text}': type run={named}")
    runs: dict[Path, Path] = {}
    for run in (run for name in names for run in _runs_named(name)):
        runs.setdefault(run.resolve(), run)
    return list(runs.values())


def _finished(folders: list[Path]) -> list[Path]:
    """Return the folders of finished runs, with a note on the others; all folders if no run is finished."""
    finished = [folder for folder in folders if RunDir(folder).finished]
    if finished and (others := [str(folder) for folder in folders if folder not in finished]):
        print_note(f"runs that are not finished are left out: {', '.join(others)}")
    return finished or folders


def _runs_named(name: str) -> list[Path]:
    folder = Path(name)
    if folder.is_dir() and not (folder / "checkpoints").is_dir():
        with suppress(FileNotFoundError):
            return _finished([run.folder for run in find_runs(folder)])
    if not folder.is_dir() and (found := [one for one in matches(name) if Path(one).is_dir()]):
        runs = [run for one in found for run in _runs_named(one)]
        return _finished([run for run in runs if is_run(run) or (run / "checkpoints").is_dir()]) or [folder]
    return [folder]
