"""Write a run to one file for other programs.

    python -m lm.export run=RUN_FOLDER                         # RUN_FOLDER/model.onnx, for onnxruntime
    python -m lm.export run=RUN_FOLDER format=safetensors      # RUN_FOLDER/model.safetensors, without pickle
    python -m lm.export run=RUN_FOLDER file=here.onnx checkpoint=last

It needs the run folder alone, and pip install -e '.[export]'. `docs/export.md` shows how to use the files.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, Any

import torch
from omegaconf import DictConfig

from lm.checks import check_choice, check_fields, check_installed, check_text
from lm.cli import command
from lm.config import typed
from lm.evaluation.loading import load_saved_run
from lm.output import print_results

FORMATS = {
    "onnx": ("onnx", "lm.exporting.onnx_model:write_onnx"),
    "safetensors": ("safetensors", "lm.exporting.safetensors_file:write_safetensors"),
}
"""The package that a format needs, and the function that writes it."""


@dataclass(frozen=True)
class ExportOptions:
    """What to write, under the names that `conf/export.yaml` explains.

    Raises:
        ValueError: if a value cannot be used, or the package of the format is missing.
    """

    run: Any
    checkpoint: Any
    format: Annotated[str, partial(check_choice, choices=FORMATS)]
    file: Annotated[str | None, partial(check_text, example="model.onnx", optional=True)]

    def __post_init__(self) -> None:
        check_fields(self)
        package, _ = FORMATS[self.format]
        check_installed(package, "export", f"format={self.format}")


@command("export", literal=("run", "file"))
def main(config: DictConfig) -> None:
    """Write the file, and print its name."""
    options = typed(ExportOptions, config)
    saved = load_saved_run(options.run, options.checkpoint, torch.device("cpu"))
    path = Path(options.file or saved.run.folder / f"model.{options.format}")
    resolve_name(FORMATS[options.format][1])(saved, path)
    print_results(f"{path}: {len(saved.vocabulary):,} words, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
