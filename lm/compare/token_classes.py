"""The tokens of a split in classes: by the frequency of the word, by the position in the sentence, by the word.

N is the number of scored tokens, which are the last ones of the split.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from omegaconf import OmegaConf

from lm.config import source_options
from lm.data.corpus import Corpus
from lm.data.sources import make_source
from lm.data.vocabulary import EOS, UNK, Vocabulary
from lm.evaluation.loading import load_known_corpus
from lm.run_dir import RunDir

Ids = NDArray[np.int64]

POSITIONS = {"1": 1, "2": 2, "3": 3, "4-5": 5, "6-10": 10, "11-20": 20, "21-40": 40, "41 and more": np.inf}
"""The classes of positions, with the last position of each."""

COUNTS = {"below 10": 9, "10-99": 99, "100-999": 999, "1,000-9,999": 9999, "10,000 and more": np.inf}
"""The classes of words, by how often they occur in the training split, with the largest number of each."""


def read_corpus(run: RunDir, data_dir: str | None) -> Corpus:
    """Return the corpus that a run was trained on, by default from the folder in its config; no checkpoint is needed.

    Raises:
        ValueError: if the corpus there is another one.
        FileNotFoundError: if its files are missing.
    """
    data: Any = OmegaConf.to_container(run.saved_config().data, resolve=True)
    source = make_source(**source_options(data | ({"dir": data_dir} if data_dir else {})))
    expected = {name: str(run.result(f"corpus.{name}")) for name in ("name", "sha256")}
    return load_known_corpus(source, expected)


def classify_tokens(corpus: Corpus, split: str, tokens: int, text: str) -> pd.DataFrame:
    """Return the `word`, `frequency` class and `position` class of each scored token, [N].

    The last `tokens` of the split are scored, and `text` is the hash of their ids.

    Raises:
        ValueError: if the ids are others than those that were scored.
    """
    ids = corpus.splits[split].numpy()
    if corpus.text_sha256(split, tokens) != text:
        raise ValueError(
            f"expected the {split} text of the runs, found another one: type data.dir=FOLDER with its files"
        )
    counts = np.bincount(corpus.splits["train"].numpy(), minlength=len(corpus.vocabulary))
    positions = positions_in_sentences(ids, corpus.vocabulary.eos_id)
    return pd.DataFrame(
        {
            "word": np.array(corpus.vocabulary.words, dtype=object)[ids],
            "frequency": frequency_classes(counts, corpus.vocabulary)[ids],
            "position": _bins(positions, POSITIONS),
        }
    )[-tokens:].reset_index(drop=True)


def positions_in_sentences(ids: Ids, eos_id: int) -> Ids:
    """Return the position of each token in its sentence, from 1; `<eos>` is the last one of its sentence."""
    sentences = pd.Series(np.cumsum(np.append(False, ids[:-1] == eos_id)))
    positions: Ids = sentences.groupby(sentences).cumcount().to_numpy() + 1
    return positions


def frequency_classes(counts: Ids, vocabulary: Vocabulary) -> NDArray[np.object_]:
    """Return the class of each word of the vocabulary; `<unk>` and `<eos>` are classes of their own."""
    classes = _bins(counts, COUNTS)
    classes[vocabulary.unk_id], classes[vocabulary.eos_id] = UNK, EOS
    return classes


def _bins(values: Ids, ends: dict[str, float]) -> NDArray[np.object_]:
    names = np.array(list(ends), dtype=object)
    binned: NDArray[np.object_] = names[np.searchsorted(list(ends.values()), values)]
    return binned
