import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lm.folders import LOCK, FolderInUse, create_folder, in_use, locked, remove_unused

HOLD = """
from pathlib import Path
from lm.folders import locked
with locked(Path('.')):
    print('locked', flush=True)
    input()
"""


@pytest.fixture
def other_process(tmp_path):
    """A process that has locked the folder, until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.communicate()


def test_a_folder_has_one_writer_at_a_time(tmp_path, other_process):
    with pytest.raises(FolderInUse, match=f"found '{tmp_path}' in use: wait for that process"), locked(tmp_path):
        pass
    other_process.communicate("end\n")
    with locked(tmp_path):
        assert (tmp_path / LOCK).exists()
    assert not (tmp_path / LOCK).exists()


def test_the_lock_ends_with_its_process_however_that_ends(tmp_path, other_process):
    other_process.send_signal(signal.SIGKILL)
    other_process.wait()
    assert (tmp_path / LOCK).exists()
    with locked(tmp_path):
        pass
    assert not (tmp_path / LOCK).exists()


def test_a_process_may_lock_a_folder_twice(tmp_path):
    with locked(tmp_path), locked(tmp_path / "." / ""):
        pass
    assert not (tmp_path / LOCK).exists()


def test_a_folder_is_in_use_while_another_process_has_locked_it(tmp_path, other_process):
    assert in_use(tmp_path)
    other_process.communicate("end\n")
    assert not in_use(tmp_path)
    with locked(tmp_path):
        assert not in_use(tmp_path)


def test_a_folder_that_nothing_can_be_written_to_needs_no_lock(tmp_path):
    with locked(tmp_path / "missing"):
        assert not list(tmp_path.iterdir())


def test_the_lock_of_another_user_counts(tmp_path, other_process, monkeypatch):
    open_file = os.open

    def refuse_writing(path, flags, mode=0o777):
        if flags & os.O_RDWR:
            raise PermissionError
        return open_file(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse_writing)
    assert in_use(tmp_path)
    other_process.communicate("end\n")
    assert not in_use(tmp_path)


def test_a_new_folder_gets_a_free_name(tmp_path):
    names = [create_folder(tmp_path / "multirun" / "12-00-00").name for _ in range(3)]
    assert names == ["12-00-00", "12-00-00_2", "12-00-00_3"]


@pytest.mark.parametrize(
    ("files", "removed"),
    [
        ([], True),
        (["multirun.yaml", ".hydra/config.yaml", ".hydra/overrides.yaml", ".hydra/hydra.yaml"], True),
        (["multirun.yaml", "cell=gru/results.json"], False),
        (["train.log"], False),
    ],
)
def test_only_a_folder_with_nothing_but_configs_is_removed(tmp_path, files, removed):
    folder = tmp_path / "multirun" / "sweep"
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("something")
    folder.mkdir(parents=True, exist_ok=True)
    remove_unused(folder)
    assert folder.exists() != removed
    assert folder.parent.exists() != removed
