"""What an exported file records beside the weights."""

import json

from lm import __version__
from lm.evaluation.loading import SavedRun


def metadata_texts(saved: SavedRun) -> dict[str, str]:
    """Return the entries of a file's metadata, each as JSON. The id of a word is its index in `words`."""
    values = {
        "words": list(saved.vocabulary.words),
        "config": saved.config.defining(),
        "corpus": saved.corpus,
        "checkpoint": saved.checkpoint,
        "results": saved.run.results.get(saved.checkpoint, {}),
        "lm": __version__,
    }
    return {name: json.dumps(value) for name, value in values.items()}
