import json

import pytest
from omegaconf import OmegaConf

from lm.sweeps.sweep_dir import check_folder


def finished(sweep, *overrides, status="finished"):
    """Leave what a run leaves, as far as it matters here."""
    folder = sweep / ",".join(overrides).replace("/", "-")
    (folder / ".hydra").mkdir(parents=True)
    OmegaConf.save(list(overrides), folder / ".hydra" / "overrides.yaml")
    (folder / "results.json").write_text(json.dumps({"status": status, "best": {"valid_ppl": 100.0}}))
    return folder


@pytest.fixture
def sweep(tmp_path):
    for cell in ("lstm", "gru"):
        finished(tmp_path / "sweep", f"cell={cell}", "dropout=0.250", "epochs=3", "data.dir=/here")
    return tmp_path / "sweep"


@pytest.mark.parametrize(
    "typed",
    [
        ["cell=lstm,gru", "dropout=0.25", "epochs=3"],
        ["epochs=3", "dropout=0,0.25", "cell=lstm,gru"],
        ["cell=gru", "dropout=0.25", "epochs=3", "data.dir=/there"],
        ["cell=rnn_tanh", "dropout=0.25", "epochs=3"],
        ["cell=lstm,gru", "dropout=0.25", "epochs=3", "seed=1,2"],
        ["cell=lstm,gru", "dropout=0.25", "epochs=3,4", "+trainer.profiler=null,simple"],
    ],
)
def test_a_sweep_goes_on_where_only_what_is_or_was_swept_differs(sweep, typed):
    check_folder(sweep, typed, params=None)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (["cell=lstm,gru", "dropout=0.25", "epochs=4"], "expected epochs=3 as"),
        (["cell=lstm,gru", "dropout=0", "epochs=3"], "type dropout=0.25, or another hydra.sweep.dir="),
        (["cell=lstm,gru", "dropout=0.25"], "was trained with, found none: type epochs=3, or another"),
        (["cell=lstm,gru", "dropout=0.25", "epochs=3", "lr=2"], "expected no lr= as"),
        (["cell=lstm,gru", "dropout=0.25", "epochs=3", "+trainer.gradient_clip_val=2"], "found 2: leave it out, or"),
    ],
)
def test_the_folder_of_another_sweep_is_refused(sweep, typed, sentence):
    with pytest.raises(ValueError, match=r"expected .* was trained with, found ") as refusal:
        check_folder(sweep, typed, params=None)
    assert sentence in str(refusal.value)


def test_what_the_config_sweeps_may_differ(tmp_path):
    finished(tmp_path, "dropout=0.25", "experiment=demo")
    check_folder(tmp_path, ["experiment=demo"], params={"dropout": "0,0.25"})
    with pytest.raises(ValueError, match=r"expected experiment=demo"):
        check_folder(tmp_path, ["experiment=table1"], params={"dropout": "0,0.25"})


@pytest.mark.parametrize("status", ["failed", "diverged", "interrupted"])
def test_what_is_not_finished_may_be_tried_otherwise(tmp_path, status):
    finished(tmp_path, "cell=gru", "batch_size=4000", status=status)
    check_folder(tmp_path, ["cell=gru", "batch_size=40"], params=None)


def test_a_new_folder_is_nobodys(tmp_path):
    check_folder(tmp_path / "new", ["cell=gru"], params=None)
