"""The files of a run -> plain values. A function that parses a text raises any exception if the text is damaged.

`lm/run_dir.py` knows where the files are, and turns these exceptions into one sentence. A sweep writes a report after
each of its runs, so what takes long to parse is parsed once for all of them.
"""

import csv
import json
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf

from lm.atomic_files import write_atomically

if TYPE_CHECKING:
    import numpy as np

FINISHED, DIVERGED, FAILED = "finished", "diverged", "failed"
INTERRUPTED, NOT_STARTED = "interrupted", "not started"
PRUNED = "pruned"
"""The status of a run that a search has stopped early."""
ENDED = {FINISHED, DIVERGED, PRUNED}
"""The statuses of runs that need not be resumed: they would end in the same way."""

MAX_YAML_CHARACTERS = 1_000_000
"""The largest YAML file that is read: PyYAML needs a minute for ten times as much."""


def parse_results(text: str) -> dict[str, Any]:
    """Return the content of `results.json`; a finished run must have a finite perplexity."""
    results = json.loads(text)
    if not isinstance(results, dict):
        raise TypeError("no mapping")
    if results.get("status") == FINISHED and not math.isfinite(results["best"]["valid_ppl"]):
        raise ValueError("no perplexity")
    return results


def parse_epochs(text: str) -> list[dict[str, float]]:
    """Return the rows of `epochs.csv`, without empty cells and without a row that is cut off."""
    rows = [_numbers(row) for row in csv.DictReader(text.splitlines())]
    return [row for row in rows if math.isfinite(row.get("epoch", math.nan))]


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    try:
        return {name: float(text) for name, text in row.items() if text != ""}
    except (TypeError, ValueError):
        return {}


def parse_yaml(text: str) -> DictConfig | ListConfig:
    """Return the content of a YAML file that Hydra wrote.

    Hydra writes no aliases. They are refused, since a short file with aliases of aliases can fill the memory.
    """
    has_alias = "&" in text and any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text))
    if has_alias or len(text) > MAX_YAML_CHARACTERS:
        raise ValueError("too large")
    return OmegaConf.create(text)


def parse_config(text: str) -> DictConfig:
    """Return a file of Hydra's that holds a mapping."""
    config = parse_yaml(text)
    if not isinstance(config, DictConfig) or not config:
        raise TypeError("no mapping")
    return config


def read_config(path: Path) -> DictConfig:
    """Return the config that a run was started with.

    Raises:
        FileNotFoundError: if it was not saved.
        ValueError: if it is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"expected the run's config, found no file '{path}': copy the run folder again, with .hydra in it"
        )
    with reading(path, "config"):
        return parse_config(path.read_text(encoding="utf-8"))


@cache
def parse_run_config(text: str) -> DictConfig:
    """Return a run's config, read-only. It ends with `trainer`, so a file cut off between two lines is found, too."""
    config = parse_config(text)
    if "trainer" not in config:
        raise ValueError("cut off")
    OmegaConf.set_readonly(config, True)
    return config


def parse_overrides(text: str) -> list[str]:
    """Return the content of `overrides.yaml`."""
    overrides = OmegaConf.to_container(parse_yaml(text))  # `embedding_size=${hidden_size}` stays as it was typed
    if not isinstance(overrides, list):
        raise TypeError("no list")
    return [str(override) for override in overrides]


@cache
def parse_hydra(text: str) -> dict[str, Any]:
    """Return the chosen option of each config group, and the position in the sweep, from `hydra.yaml`."""
    hydra = parse_config(text).hydra
    return {"choices": dict(hydra.runtime.choices.items()), "number": OmegaConf.select(hydra, "job.num")}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return a checkpoint as plain values and tensors on the CPU, its checksums verified.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, or no checkpoint of this project.
    """
    import torch  # here, since reports and configs need no torch

    if not path.is_file():
        raise FileNotFoundError(f"expected a checkpoint, found no file '{path}': type the folder of a trained run")
    with reading(path, "checkpoint"):
        with zipfile.ZipFile(path) as archive:  # PyTorch writes a CRC-32 per tensor, and does not verify them
            if (record := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f"wrong checksum of {record}")
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        checkpoint["metadata"], checkpoint["state_dict"]
    return checkpoint


def write_arrays(path: Path, arrays: "dict[str, np.ndarray]") -> None:
    """Write named arrays as a compressed `.npz`, whole or not at all."""
    import numpy as np

    with write_atomically(path, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def read_arrays(path: Path) -> "dict[str, np.ndarray]":
    """Return the arrays of a `.npz`, empty if there is no such file.

    Raises:
        ValueError: if the file is damaged.
    """
    import numpy as np

    if not path.is_file():
        return {}
    with reading(path, "file of nats"), path.open("rb") as file, np.load(file) as arrays:
        return dict(arrays)


def read_evaluations(path: Path) -> list[dict[str, Any]]:
    """Return the entries of `evaluations.json`, none if there is no such file.

    Raises:
        ValueError: if the file is damaged.
    """
    if not path.is_file():
        return []
    with reading(path, "file of evaluations", "delete it, or copy it again"):
        entries = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(entries, list) or not all(_is_evaluation(entry) for entry in entries):
            raise TypeError("no evaluation")
    return entries


def _is_evaluation(entry: dict[str, Any]) -> bool:
    texts = (entry["split"], entry["checkpoint"], entry["protocol"]["method"], entry["corpus"]["sha256"])
    return isinstance(entry["ppl"], int | float) and all(isinstance(text, str) for text in texts) and "tuned" in entry


@contextmanager
def reading(
    path: Path, kind: str, advice: str = "delete it and train the run again, or copy it again"
) -> Iterator[None]:
    """Raise a ValueError if a file cannot be read within the block: PyTorch, PyYAML and OmegaConf raise nearly all.

    A file is not damaged if there is no permission to read it, or no memory.
    """
    try:
        yield
    except (PermissionError, MemoryError):
        raise
    except Exception as error:
        found = f"'{path}' damaged or of another kind ({type(error).__name__})"
        raise ValueError(f"expected a {kind} of this project, found {found}: {advice}") from error
