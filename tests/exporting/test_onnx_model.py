"""The exported file in onnxruntime, an implementation of its own, against PyTorch."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("onnx", reason="needs the extra export")
pytest.importorskip("onnxruntime", reason="needs the extra export")

import onnxruntime

from lm.evaluation.evaluation_loop import evaluate
from lm.evaluation.loading import load_corpus_of, load_saved_run
from lm.evaluation.perplexity import perplexity
from lm.exporting.onnx_model import build_onnx, write_onnx
from lm.models.cells import CELLS
from lm.models.language_model import LanguageModel

WORDS = 1000


def session_of(model):
    return onnxruntime.InferenceSession(build_onnx(model).SerializeToString())


def run(session, ids, states, **others):
    """Return the logits and the states by the names under which they are given back."""
    logits, *new_states = session.run(None, {"ids": ids, **others, **states})
    return logits, dict(zip(states, new_states, strict=True))


def zeros(session, batch):
    inputs = (one for one in session.get_inputs() if "state" in one.name)
    return {one.name: np.zeros((1, batch, one.shape[2]), np.float32) for one in inputs}


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("cell", CELLS)
def test_the_logits_are_those_of_pytorch_for_any_batch_and_window(cell, batch):
    """1,000 words of each text, in windows of 1 to 50 words, the states carried from window to window."""
    torch.manual_seed(1)
    model = LanguageModel(50, cell, 12, 16, 2, dropout=0.5, init_range=0.5, last_hidden_size=10).eval()
    ids_TB = torch.randint(50, (WORDS, batch))
    session, states, start = session_of(model), None, 0
    carried, lengths = zeros(session, batch), torch.randint(1, 51, (WORDS,)).tolist()
    with torch.no_grad():
        for length in lengths:
            window_TB = ids_TB[start : start + length]
            expected, states = model.logits(window_TB, states)
            found, carried = run(session, window_TB.numpy(), carried)
            np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-5)
            start += length
            if start >= WORDS:
                break
    parts = [part for state in states for part in (state if isinstance(state, tuple) else (state,))]
    for part, name in zip(parts, carried, strict=True):
        np.testing.assert_allclose(carried[name], part.numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [{"tie_weights": True}, {"tie_weights": True, "embedding_size": 16}, {"softmax": "adaptive", "cutoffs": [10, 30]}],
)
def test_other_decoders_are_exported(options):
    torch.manual_seed(1)
    model = LanguageModel(50, **{"embedding_size": 12, "hidden_size": 16, "init_range": 0.5, **options}).eval()
    ids_TB = torch.randint(50, (5, 2))
    session = session_of(model)
    found, _ = run(session, ids_TB.numpy(), zeros(session, 2))
    np.testing.assert_allclose(found, model.logits(ids_TB)[0].detach().numpy(), rtol=0, atol=1e-5)


def test_a_model_with_length_conditioning_reads_the_number_of_remaining_words():
    torch.manual_seed(1)
    model = LanguageModel(50, "gru", 12, 16, init_range=0.5, length_conditioning=True).eval()
    ids_TB, remaining_TB = torch.randint(50, (4, 2)), torch.tensor([[3, -1], [2, 500], [1, 100], [0, 7]])
    session = session_of(model)
    found, _ = run(session, ids_TB.numpy(), zeros(session, 2), remaining=remaining_TB.numpy())
    expected, _ = model.logits(ids_TB, remaining_TB=remaining_TB)
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=0, atol=1e-5)


def test_the_perplexity_of_a_split_is_that_of_the_project(saved_run, tmp_path):
    saved = load_saved_run(saved_run, device=torch.device("cpu"))
    write_onnx(saved, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    corpus = load_corpus_of(saved)
    ids, nats, states = corpus.splits["test"].numpy().astype(np.int64), 0.0, zeros(session, 1)
    for start in range(0, len(ids) - 1, 13):
        window, targets = ids[start : start + 13], ids[start + 1 : start + 14]
        logits, states = run(session, window[: len(targets), None], states)
        scores = logits[:, 0].astype(float)
        normaliser = np.log(np.exp(scores - scores.max(1, keepdims=True)).sum(1)) + scores.max(1)
        nats += float((normaliser - scores[np.arange(len(targets)), targets]).sum())
    expected = evaluate(saved.model, saved.config.batches().final_evaluation(corpus, "test"))
    assert expected.tokens == len(ids) - 1
    assert perplexity(nats, len(ids) - 1) == pytest.approx(expected.ppl, rel=1e-5)


def test_the_example_of_the_documentation_generates_text(saved_run, tmp_path, monkeypatch, capsys):
    write_onnx(load_saved_run(saved_run, device=torch.device("cpu")), tmp_path / "model.onnx")
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    example = next(code for code in re.findall(r"```python\n(.*?)```", page, re.S) if "onnxruntime" in code)
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    assert len(capsys.readouterr().out.split()) == 20


def test_the_file_has_the_vocabulary_and_the_config(saved_run, tmp_path):
    saved = load_saved_run(saved_run)
    write_onnx(saved, tmp_path / "model.onnx")
    found = onnxruntime.InferenceSession(tmp_path / "model.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(found["words"]) == list(saved.vocabulary.words)
    assert json.loads(found["config"])["cell"] == "gru"
    assert json.loads(found["corpus"]) == saved.corpus
    assert json.loads(found["results"])["valid_ppl"] == saved.run.results["best"]["valid_ppl"]
