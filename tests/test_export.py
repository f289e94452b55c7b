from importlib.machinery import ModuleSpec

import pytest

from lm import checks
from lm.export import FORMATS
from lm.models.cells import CELLS
from tests.saved_run import untrained_run
from tests.toy_cell import TOY


@pytest.mark.parametrize("form", FORMATS)
def test_a_run_is_written_to_one_file(run_command, copy_of_run, capsys, form):
    pytest.importorskip("onnx", reason="needs the extra export")
    pytest.importorskip("safetensors", reason="needs the extra export")
    assert run_command("lm.export", f"run={copy_of_run}", f"format={form}") == 0
    path = copy_of_run / f"model.{form}"
    assert capsys.readouterr().out.startswith(f"{path}: 13 words, {path.stat().st_size:,} bytes")
    assert run_command("lm.export", f"run={copy_of_run}", f"format={form}", "checkpoint=last", "file=here, it is") == 0
    assert (copy_of_run.parent / "here, it is").is_file()


def test_a_missing_package_is_named_with_what_installs_it(run_command, saved_run, monkeypatch, capsys):
    monkeypatch.setattr(checks, "find_spec", lambda name: None if name == "onnx" else ModuleSpec(name, None))
    assert run_command("lm.export", f"run={saved_run}") == 1
    assert capsys.readouterr().err == (
        "error: expected the package onnx for format=onnx, found none: type pip install -e '.[export]'\n"
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["format=pdf"], "expected format to be one of onnx, safetensors, found 'pdf': type format=onnx"),
        (["file=''"], "expected file to be text or null, found '': type file=model.onnx"),
        (["checkpoint=first"], "expected checkpoint to be one of best, last, found 'first': type checkpoint=best"),
    ],
)
def test_a_wrong_option_is_refused_in_one_sentence(run_command, saved_run, capsys, words, sentence):
    pytest.importorskip("onnx", reason="needs the extra export")
    assert run_command("lm.export", f"run={saved_run}", *words) == 1
    assert capsys.readouterr().err == f"error: {sentence}\n"


def test_a_cell_that_onnx_cannot_express_is_refused(run_command, corpus_folder, tmp_path, monkeypatch, capsys):
    pytest.importorskip("onnx", reason="needs the extra export")
    monkeypatch.setitem(CELLS, "toy", TOY)
    run = untrained_run(tmp_path / "run", corpus_folder, "cell.name=toy")
    assert run_command("lm.export", f"run={run}") == 1
    assert "expected a cell with an ONNX export, found ToyLayer: " in capsys.readouterr().err
    assert not (run / "model.onnx").exists()
