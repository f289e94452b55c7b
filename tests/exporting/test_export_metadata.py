import json

from lm import __version__
from lm.evaluation.loading import load_saved_run
from lm.exporting.export_metadata import metadata_texts


def test_a_file_records_what_a_model_needs_and_what_it_reached(saved_run):
    saved = load_saved_run(saved_run, "last")
    found = {name: json.loads(text) for name, text in metadata_texts(saved).items()}
    assert found["words"] == list(saved.vocabulary.words)
    assert found["config"] == json.loads(json.dumps(saved.config.defining()))
    assert found["corpus"] == saved.corpus
    assert (found["checkpoint"], found["lm"]) == ("last", __version__)
    assert found["results"] == saved.run.results["last"]
