"""A saved run <-> one safetensors file: weights, vocabulary and config. Loading it unpickles nothing."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_model, save

from lm.atomic_files import write_file
from lm.evaluation.loading import SavedRun, build_model
from lm.exporting.export_metadata import metadata_texts
from lm.run import Run
from lm.run_dir import RunDir
from lm.run_files import reading


def write_safetensors(saved: SavedRun, path: Path) -> None:
    """Write the weights, with the rest as JSON in the file's metadata.

    Raises:
        OSError: if the file cannot be written.
    """
    weights = {name: weight.detach() for name, weight in saved.model.named_parameters()}  # a tied matrix comes once
    write_file(path, save(weights, metadata={"format": "pt", **metadata_texts(saved)}))


def load_safetensors(path: Path | str, device: torch.device | str = "cpu") -> Run:
    """Return the run of a file of `python -m lm.export format=safetensors`; the run's folder is not needed.

    Args:
        path: the file.
        device: where to put the model.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, or of another program.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"expected a safetensors file, found none at '{path}': type python -m lm.export run=RUN format=safetensors"
        )
    advice = "type python -m lm.export run=RUN format=safetensors again, or copy it again"
    with reading(Path(path), "safetensors file", advice):
        with safe_open(str(path), framework="pt") as file:
            found = {key: json.loads(text) for key, text in file.metadata().items() if key != "format"}
        model, vocabulary, config = build_model(found)
        load_model(model, str(path))
        corpus, checkpoint = dict(found["corpus"]), str(found["checkpoint"])
    return Run(RunDir(Path(path).parent), checkpoint, model.eval().to(device), vocabulary, config, corpus)
