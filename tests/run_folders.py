"""Run folders as training writes them, without training, for all tests that read some."""

import csv
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from lm.did_you_mean import CONFIGS

MakeRun = Callable[..., Path]


@cache
def composed_config(cell: str, changes: str = "{}") -> str:
    """Return what `conf/train.yaml` composes to, with changes in JSON, as YAML."""
    if changes == "{}":
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            return OmegaConf.to_yaml(compose("train", [f"cell={cell}"]))
    return OmegaConf.to_yaml(OmegaConf.merge(OmegaConf.create(composed_config(cell)), json.loads(changes)))


def results_of(cell: str, dropout: float, seed: int, **others: Any) -> dict[str, Any]:
    base = {"lstm": 100.0, "gru": 110.0}.get(cell, 150.0) - 40 * dropout + seed
    return {
        "status": "finished",
        "error": None,
        "parameters": {"embedding": 2_000_000, "recurrent": 643_200, "decoder": 2_010_000, "total": 4_653_200},
        "epochs": 3,
        "best_epoch": 2,
        "best": {"train_ppl": base / 2, "valid_ppl": base, "test_ppl": base - 1 / 3},
        "last": {"train_ppl": base / 3, "valid_ppl": base + 10, "test_ppl": base + 9},
        "protocol": {
            "train": {"batch_size": 20, "tokens": 929_588, "state": "carried", "matmul_precision": "float32"},
            "valid": {"batch_size": 1, "tokens": 73_759, "state": "carried", "matmul_precision": "float32"},
            "test": {"batch_size": 1, "tokens": 82_429, "state": "carried", "matmul_precision": "float32"},
        },
        "corpus": {
            "name": "ptb",
            "sha256": "ab" * 32,
            "vocabulary": 10_000,
            "tokens": {"train": 929_589, "valid": 73_760, "test": 82_430},
            "floor_ppl": None,
            "unk": {
                "train": {"count": 44_000, "fraction": 0.0473},
                "valid": {"count": 3_400, "fraction": 0.0461},
                "test": {"count": 4_794, "fraction": 0.0582},
            },
        },
        "seconds": 30.0,
        "tokens_per_second": 9_000.0 + seed,
        "versions": {"lm": "0.1.0", "commit": "0123abc", "torch": "2.13.0"},
        "device": "cpu",
        "precision": "32-true",
        **others,
    }


def epochs_of(valid_ppls: list[float]) -> list[dict[str, float]]:
    return [
        {"epoch": epoch, "lr": 1.0, "train_online_ppl": 300 / epoch, "valid_ppl": valid_ppl, "seconds": 10.0}
        for epoch, valid_ppl in enumerate(valid_ppls, start=1)
    ]


def write_epochs(folder: Path, rows: list[dict[str, float]]) -> None:
    with (folder / "epochs.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """The folder that `make_run` writes into."""
    folder = tmp_path / "sweep"
    folder.mkdir()
    return folder


@pytest.fixture
def make_run(sweep: Path) -> MakeRun:
    """Return a function that writes a run folder as training does.

    `config` and `results` replace what is usual there; a run that is still `running` has no results.
    """

    def make(
        *overrides: str,
        cell: str = "lstm",
        dropout: float = 0.25,
        seed: int = 1,
        config: dict[str, Any] | None = None,
        choices: dict[str, str | None] | None = None,
        results: dict[str, Any] | None = None,
        valid_ppls: list[float] | None = None,
        running: bool = False,
    ) -> Path:
        number = len(list(sweep.iterdir()))
        typed = list(overrides) or [f"cell={cell}", f"dropout={dropout}"]
        folder = sweep / ",".join(typed)
        hydra = {"job": {"num": number}, "runtime": {"choices": {"cell": cell, "data": "ptb", **(choices or {})}}}
        changes = {"dropout": dropout, "seed": seed, **(config or {})}
        (folder / ".hydra").mkdir(parents=True)
        (folder / ".hydra" / "config.yaml").write_text(composed_config(cell, json.dumps(changes)))
        for name, content in (("overrides", typed), ("hydra", {"hydra": hydra})):
            (folder / ".hydra" / f"{name}.yaml").write_text(json.dumps(content))
        write_epochs(folder, epochs_of(valid_ppls or [200.0, 100.0, 110.0]))
        if not running:
            (folder / "results.json").write_text(json.dumps(results_of(cell, dropout, seed, **(results or {}))))
        return folder

    return make


@pytest.fixture
def grid(make_run: MakeRun, sweep: Path) -> Path:
    """The sweep of the table: LSTM and GRU, with and without dropout."""
    for cell in ("lstm", "gru"):
        for dropout in (0.0, 0.25):
            make_run(cell=cell, dropout=dropout)
    return sweep


@pytest.fixture
def seeds(make_run: MakeRun, sweep: Path) -> Path:
    """Two cells with three seeds each."""
    for cell in ("lstm", "gru"):
        for seed, valid_ppl in ((1, 90.0), (2, 100.0), (3, 125.0)):
            make_run(f"cell={cell}", f"seed={seed}", cell=cell, seed=seed, valid_ppls=[200.0, valid_ppl, 150.0])
    return sweep
