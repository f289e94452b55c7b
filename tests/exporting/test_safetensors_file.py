import pickle
import shutil

import pytest
import torch

pytest.importorskip("safetensors", reason="needs the extra export")

from lm.evaluation.loading import load_saved_run
from lm.exporting.safetensors_file import load_safetensors, write_safetensors
from tests.saved_run import untrained_run


def test_a_run_loads_from_its_file_alone_and_nothing_is_unpickled(saved_run, tmp_path, monkeypatch):
    saved = load_saved_run(saved_run, device=torch.device("cpu"))
    write_safetensors(saved, tmp_path / "model.safetensors")

    def refuse(*args, **kwargs):
        raise AssertionError("unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    run = load_safetensors(tmp_path / "model.safetensors")
    expected, found = saved.model.state_dict(), run.model.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert (run.config, run.vocabulary.words, run.corpus) == (saved.config, saved.vocabulary.words, saved.corpus)
    assert run.generate("ada", seed=1)


def test_tied_weights_stay_tied(corpus_folder, tmp_path):
    saved = load_saved_run(untrained_run(tmp_path / "run", corpus_folder, "tie_weights=true"))
    write_safetensors(saved, tmp_path / "model.safetensors")
    model = load_safetensors(tmp_path / "model.safetensors").model
    assert model.decoder.weight is model.embedding.weight
    assert torch.equal(model.decoder.weight, saved.model.decoder.weight)


def test_a_missing_or_damaged_file_is_named(saved_run, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^expected a safetensors file, found none at .*: type python -m"):
        load_safetensors(tmp_path / "model.safetensors")
    shutil.copy(saved_run / "results.json", tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"^expected a safetensors file of this project, found '.*other.safetensors'"):
        load_safetensors(tmp_path / "other.safetensors")
    write_safetensors(load_saved_run(saved_run), tmp_path / "cut.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "cut.safetensors").read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"^expected a safetensors file of this project"):
        load_safetensors(tmp_path / "cut.safetensors")
