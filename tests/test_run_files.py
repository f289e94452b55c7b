import random

import numpy as np
import pytest
import torch

from lm.run_dir import RunDir
from lm.run_files import (
    parse_config,
    parse_epochs,
    parse_hydra,
    parse_overrides,
    parse_results,
    parse_run_config,
    read_arrays,
    read_checkpoint,
    write_arrays,
)

NESTED, LONG = "[" * 100_000, f"a: {'x' * 1_000_001}"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
DAMAGED = [
    *((parse_results, text) for text in ("", "{", "[1, 2]", "5", '{"status": "finished"}', NESTED)),
    (parse_results, '{"status": "finished", "best": {"valid_ppl": Infinity}}'),
    (parse_results, '{"status": "finished", "best": [1, 2]}'),
    *(
        (parse, text)
        for parse in (parse_config, parse_run_config, parse_hydra, parse_overrides)
        for text in ("", "a: [1,", "a:\n  b: 1\n c", "\x00", "a:\t- b", "a: 1\na: 2", BOMB, LONG)
    ),
    (parse_config, NESTED),
    (parse_config, "- a"),
    (parse_run_config, "dropout: 0.25\nhidden_size: 2"),
    (parse_overrides, "a: b"),
    (parse_hydra, "hydra: {runtime: {choices: [cell, lstm]}, job: {num: 0}}"),
    (parse_hydra, "hydra: 5"),
]


@pytest.mark.parametrize(("parse", "text"), DAMAGED, ids=lambda value: getattr(value, "__name__", repr(value)[:14]))
def test_a_damaged_text_is_an_error(parse, text):
    with pytest.raises(Exception):  # noqa: B017, PT011  # PyYAML and OmegaConf raise nearly everything
        parse(text)


def test_results_of_an_unfinished_run_need_no_perplexity():
    assert parse_results('{"status": "failed", "error": "disk full"}') == {"status": "failed", "error": "disk full"}


def test_an_empty_cell_and_a_row_that_is_cut_off_are_left_out_of_the_epochs():
    assert parse_epochs("epoch,valid_ppl,seconds\n1,,2\n2,90.5,2\n3,80.") == [
        {"epoch": 1, "seconds": 2},
        {"epoch": 2, "valid_ppl": 90.5, "seconds": 2},
    ]


def test_an_override_that_refers_to_another_option_is_kept_as_typed():
    assert parse_overrides("- embedding_size=${hidden_size}\n- seed=1") == ["embedding_size=${hidden_size}", "seed=1"]


def test_a_reference_in_a_config_is_resolved_when_it_is_read():
    config = parse_run_config("hidden_size: 200\nembedding_size: ${hidden_size}\ntrainer: {}")
    assert config.embedding_size == 200


def test_the_choices_and_the_position_in_the_sweep_are_read_from_hydras_config():
    runtime = "hydra:\n  runtime: {choices: {cell: gru, hydra/launcher: basic}}"
    found = {"cell": "gru", "hydra/launcher": "basic"}
    assert parse_hydra(runtime) == {"choices": found, "number": None}
    assert parse_hydra(f"{runtime}\n  job: {{num: 3}}") == {"choices": found, "number": 3}


@pytest.mark.parametrize(
    "content", [{"state_dict": {}}, {"metadata": {}}, [1, 2], {"metadata": {}, "state_dict": {}, "code": random.Random}]
)
def test_another_file_of_pytorch_is_no_checkpoint(tmp_path, content):
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match=r"^expected a checkpoint of this project, found '.*/last\.ckpt' damaged"):
        read_checkpoint(tmp_path / "last.ckpt")


def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(path)

    torch.save({"metadata": {}, "state_dict": {}}, tmp_path / "last.ckpt")
    monkeypatch.setattr("zipfile.ZipFile", refuse)
    with pytest.raises(PermissionError):
        read_checkpoint(tmp_path / "last.ckpt")


@pytest.mark.parametrize("name", ["best", "last"])
def test_a_flipped_bit_in_a_checkpoint_is_found_or_harmless(saved_run, tmp_path, name):
    run, flips, path = RunDir(saved_run), random.Random(1), tmp_path / "flipped.ckpt"
    whole, expected = (run.checkpoints / f"{name}.ckpt").read_bytes(), run.checkpoint(name)
    found = 0
    for position in flips.sample(range(len(whole)), 150):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << flips.randrange(8)
        path.write_bytes(damaged)
        try:
            state = read_checkpoint(path)
        except ValueError:  # one sentence
            found += 1
        else:
            assert_equal(state, expected)
    assert found > 75


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found["state_dict"][key], value) for key, value in expected["state_dict"].items())
    assert {key: found[key] for key in ("epoch", "global_step", "metadata", "loops")} == {
        key: expected[key] for key in ("epoch", "global_step", "metadata", "loops")
    }


def test_arrays_are_read_as_they_were_written_and_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "nats.npz"
    assert read_arrays(path) == {}
    write_arrays(path, {"test": np.arange(3, dtype=np.float32), "test_sha256": np.array("ab")})
    found = read_arrays(path)
    assert found["test"].dtype == np.float32
    assert (found["test"].tolist(), str(found["test_sha256"])) == ([0, 1, 2], "ab")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"^expected a file of nats of this project, found '.*/nats\.npz' damaged"):
        read_arrays(path)
