"""A saved run -> its model and its corpus, ready to be evaluated on any machine."""

import inspect
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from lm.checks import check_choice, unexpected
from lm.config import Config
from lm.data.corpus import Corpus, check_length, load_corpus
from lm.data.sources import SOURCES, Source, make_source
from lm.data.sources.characters import Characters
from lm.data.sources.files import FileSource
from lm.data.text_reader import PREPARATION
from lm.data.vocabulary import EOS, Vocabulary
from lm.models.language_model import LanguageModel
from lm.run_dir import RunDir
from lm.run_files import reading

CHECKPOINTS = ("best", "last")

SPELLING = ("lowercase", "fold_numbers")
"""The options of a text that are applied to any corpus in files. Blank lines count as that corpus counts them."""


@dataclass(frozen=True)
class SavedRun:
    """The model of a checkpoint, and what is needed to score and to generate text with it.

    The model is in evaluation mode, `corpus` has a `name` and a `sha256`, and `epoch` counts from 1 (None: not known).
    """

    run: RunDir
    checkpoint: str
    model: LanguageModel
    vocabulary: Vocabulary
    config: Config
    corpus: dict[str, Any]
    epoch: int | None = None


def load_saved_run(folder: object, checkpoint: str = "best", device: torch.device | None = None) -> SavedRun:
    """Load the model of a run from one checkpoint, by default onto a GPU if there is one; no other file is needed.

    Raises:
        ValueError: if there is no such checkpoint name, or the file is damaged.
        FileNotFoundError: if there is no such file.
    """
    if not isinstance(folder, str | Path) or not str(folder):
        raise unexpected("run", "the folder of a run", folder, "outputs/DATE/TIME")
    check_choice("checkpoint", checkpoint, CHECKPOINTS)
    run = RunDir(Path(folder))
    saved = run.checkpoint(checkpoint)
    with reading(run.checkpoints / f"{checkpoint}.ckpt", "checkpoint"):
        model, vocabulary, config = build_model(saved["metadata"])
        weights = saved["state_dict"].items()
        model.load_state_dict({key.removeprefix("model."): one for key, one in weights if key.startswith("model.")})
        corpus = {name: saved["metadata"]["corpus"][name] for name in ("name", "sha256")}
        epoch = saved["epoch"] + 1
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return SavedRun(run, checkpoint, model.eval().to(device), vocabulary, config, corpus, epoch)


def build_model(metadata: dict[str, Any]) -> tuple[LanguageModel, Vocabulary, Config]:
    """Return an untrained model as a checkpoint's metadata records it, with its vocabulary and its config."""
    config, vocabulary = Config(**metadata["config"]), Vocabulary(metadata["words"])
    return LanguageModel(len(vocabulary), **config.model_arguments()), vocabulary, config


def load_corpus_of(saved: SavedRun, data_dir: str | None = None) -> Corpus:
    """Load the corpus that a run was trained on, by default from the folder in the run's `.hydra/config.yaml`.

    Raises:
        ValueError: if the corpus there is another one.
        FileNotFoundError: if its files, or the saved config, are missing.
    """
    options = dict(saved.config.source)
    if data_dir is not None:
        options["dir"] = data_dir
    elif reads_folder(options["name"]):
        options["dir"] = OmegaConf.select(saved.run.saved_config(), "data.dir")
    return load_known_corpus(make_source(**options), saved.corpus)


def load_known_corpus(source: Source, expected: Mapping[str, str]) -> Corpus:
    """Load the corpus of a source, which has to be the one of a training, with the expected `name` and `sha256`.

    Raises:
        ValueError: if it is another one.
        FileNotFoundError: if its files are missing.
    """
    found = source.fingerprint()
    if found != expected["sha256"]:
        advice = "use the Python of the training"
        if reads_folder(source.name):
            advice = "type data.dir=FOLDER with the files of the training"
        raise ValueError(
            f"expected the corpus of the training ({expected['name']}, SHA-256 {expected['sha256'][:12]}), "
            f"found another one (SHA-256 {found[:12]}): {advice}"
        )
    return load_corpus(source)


def load_other_corpus(saved: SavedRun, split: str, name: str, **options: Any) -> Corpus:
    """Load a split of another corpus, with the vocabulary and the preparation of a run.

    Args:
        saved: the run.
        split: the split to load; the corpus has no other one.
        name: of the corpus's source.
        options: of the source; the run's own replace those that decide which words a text becomes.

    Raises:
        ValueError, FileNotFoundError: as `make_source`.
    """
    check_choice("data", name, SOURCES)
    known, own = inspect.signature(SOURCES[name]).parameters, saved.config.source
    prepared = {option: own[option] for option in PREPARATION if option in own and option in known}
    given = {option: value for option, value in options.items() if option in known or value is not None}
    source = make_source(name, **given | prepared | {"level": own.get("level", "word")})
    words = source.words if isinstance(source, Characters) else source
    if isinstance(words, FileSource):
        words.splitter = replace(words.splitter, **{option: own[option] for option in SPELLING if option in own})
    sha256, ids = source.fingerprint(), array("i")
    for sentence in source.sentences(split):
        ids.extend(saved.vocabulary.encode([*sentence, EOS]))
    check_length(split, len(ids) - ids.count(saved.vocabulary.eos_id))
    return Corpus(name, sha256, saved.vocabulary, {split: torch.tensor(ids, dtype=torch.int32)}, None)


def reads_folder(name: str) -> bool:
    """Return whether the source of that name reads a folder."""
    return "dir" in inspect.signature(SOURCES[name]).parameters
