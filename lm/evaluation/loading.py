"""A saved run -> its model and its corpus, ready to be evaluated, on whatever machine it lies now."""

from collections.abc import Mapping
from typing import Any

import torch
from omegaconf import OmegaConf

from lm.checks import check_choice
from lm.config import Config, source_options
from lm.data.corpus import Corpus, load_corpus
from lm.data.sources import make_source
from lm.data.vocabulary import Vocabulary
from lm.evaluation.evaluation_loop import EvalResult
from lm.models.language_model import LanguageModel
from lm.run_dir import DAMAGE, RunDir, damaged

CHECKPOINTS = ("best", "last")


def load_model(run: RunDir, checkpoint: str = "best") -> tuple[LanguageModel, Vocabulary, dict[str, Any]]:
    """Return the model in evaluation mode, on the GPU where there is one, its vocabulary, and what it says of itself.

    Raises:
        ValueError: where `checkpoint` is not in `CHECKPOINTS`, or the file is damaged.
        FileNotFoundError: where there is no such file.
    """
    check_choice("checkpoint", checkpoint, CHECKPOINTS)
    model, vocabulary, metadata = load_weights(run, checkpoint)
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), vocabulary, metadata


def load_weights(run: RunDir, checkpoint: str = "best") -> tuple[LanguageModel, Vocabulary, dict[str, Any]]:
    """Return the model with the weights of the checkpoint `best` or `last` on the CPU, its vocabulary, its metadata.

    Raises:
        FileNotFoundError, ValueError: as `RunDir.checkpoint`.
    """
    saved = run.checkpoint(checkpoint)
    try:
        vocabulary = Vocabulary(saved["metadata"]["words"])
        model = LanguageModel(len(vocabulary), **Config(**saved["metadata"]["config"]).model_arguments())
        model.load_state_dict(_without_prefix(saved["state_dict"], "model."))
    except DAMAGE as error:
        raise damaged(run.checkpoints / f"{checkpoint}.ckpt", "checkpoint", error) from error
    return model.eval(), vocabulary, saved["metadata"]


def _without_prefix(weights: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}


def load_corpus_of(run: RunDir, metadata: dict[str, Any], folder: str | None = None) -> Corpus:
    """Return the corpus that a run was trained on, made again as its config says.

    Args:
        run: its `.hydra/config.yaml` has the corpus's name and options.
        metadata: of its checkpoint, with the corpus's SHA-256.
        folder: where the corpus's files lie now; None: where they lay in training.

    Raises:
        ValueError: where the corpus is another one.
        FileNotFoundError: where its files, or the config, can't be found.
    """
    options = _with_folder(_data_options(run), folder)
    source = make_source(**options)
    expected, found = metadata["corpus"], source.fingerprint()
    if found != expected["sha256"]:
        mend = (
            "type data.dir=FOLDER with the files of the training" if "dir" in options else "use Python as in training"
        )
        raise ValueError(
            f"expected the corpus of the training ({expected['name']}, SHA-256 {expected['sha256'][:12]}…), "
            f"found another (SHA-256 {found[:12]}…): {mend}"
        )
    return load_corpus(source)


def _data_options(run: RunDir) -> dict[str, Any]:
    options: dict[str, Any] = OmegaConf.to_container(run.saved_config().data, resolve=True)  # type: ignore[assignment]
    return source_options(options)


def _with_folder(options: dict[str, Any], folder: str | None) -> dict[str, Any]:
    if folder is None:
        return options
    if "dir" not in options:
        raise ValueError(
            f"expected no data.dir, as data={options['name']} reads no folder: leave data.dir={folder} out"
        )
    return options | {"dir": folder}


def recorded(run: RunDir, checkpoint: str, split: str) -> tuple[float, dict[str, Any]] | None:
    """Return the perplexity that `results.json` holds and how it was measured, or None where it holds none."""
    try:
        return float(run.results[checkpoint][f"{split}_ppl"]), run.results["protocol"][split]
    except (KeyError, TypeError):
        return None


def comparison(score: EvalResult, found: tuple[float, dict[str, Any]] | None) -> str:
    """Say how a perplexity compares to the recorded one."""
    if found is None:
        return "has no such number: the run was not finished"
    ppl, protocol = found
    relative = score.ppl / ppl - 1
    verdict = "the same" if abs(relative) < 1e-5 else f"this one is {abs(relative):.4%} {_direction(relative)}"
    return f"{ppl:.4f} {reading(protocol)}, {protocol['matmul_precision']}: {verdict}"


def _direction(relative: float) -> str:
    return "higher" if relative > 0 else "lower"


def reading(protocol: Mapping[str, Any]) -> str:
    """Return in words how a text was read."""
    width = protocol["batch_size"]
    return f"in {width} column{'s' if width > 1 else ''}, state {protocol['state']}"
