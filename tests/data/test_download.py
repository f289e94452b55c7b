import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lm.data.download import fetch

TEXT = b" the cat sat on the mat \n" * 1000
SHA256 = hashlib.sha256(TEXT).hexdigest()


class Copies:
    """A server on the loopback address with one good copy, one with other bytes, and nothing elsewhere."""

    def __init__(self, folder: Path) -> None:
        for name, content in (("good", TEXT), ("corrupt", TEXT[:-1])):
            (folder / name).mkdir(parents=True)
            (folder / name / "cat.txt").write_bytes(content)
        self.requests: list[str] = []
        handler = partial(Handler, self.requests, directory=str(folder))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)

    def __getitem__(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{name}/"


class Handler(SimpleHTTPRequestHandler):
    def __init__(self, requests: list[str], *args: object, **options: object) -> None:
        self.requests = requests
        super().__init__(*args, **options)  # type: ignore[arg-type]

    def log_request(self, code: object = "-", size: object = "-") -> None:
        self.requests.append(self.path)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def copies(tmp_path: Path) -> Iterator[Copies]:
    served = Copies(tmp_path / "served")
    thread = threading.Thread(target=served.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.server.shutdown()
    served.server.server_close()
    thread.join()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_a_file_is_downloaded_once_with_a_progress_bar(
    copies: Copies, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        path = fetch("cat.txt", SHA256, [copies["good"]], tmp_path / "kept")
        assert path.read_bytes() == TEXT
    assert copies.requests == ["/good/cat.txt"]
    assert "100%" in capsys.readouterr().err


@pytest.mark.parametrize("bad", ["absent", "corrupt"])
def test_the_next_copy_is_tried_after_a_bad_one(copies: Copies, tmp_path: Path, bad: str) -> None:
    path = fetch("cat.txt", SHA256, [copies[bad], copies["good"]], tmp_path / "kept")
    assert path.read_bytes() == TEXT
    assert copies.requests == [f"/{bad}/cat.txt", "/good/cat.txt"]
    assert files(tmp_path / "kept") == ["cat.txt"]


def test_a_corrupt_file_is_never_left_under_its_name(copies: Copies, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="wrong SHA-256"):
        fetch("cat.txt", SHA256, [copies["corrupt"]], tmp_path / "kept")
    assert files(tmp_path / "kept") == []


def test_a_damaged_file_in_the_cache_is_downloaded_again(copies: Copies, tmp_path: Path) -> None:
    (tmp_path / "cat.txt").write_bytes(b"half")
    assert fetch("cat.txt", SHA256, [copies["good"]], tmp_path).read_bytes() == TEXT


def test_when_every_copy_fails_one_sentence_says_why_and_what_to_do(copies: Copies, tmp_path: Path) -> None:
    unreachable = "http://127.0.0.1:9/"
    with pytest.raises(FileNotFoundError) as error:
        fetch("cat.txt", SHA256, [copies["absent"], copies["corrupt"], unreachable], tmp_path / "kept")
    for part in ("answered 404", "wrong SHA-256", "cannot be reached", "data.dir=FOLDER", "data=python_docs"):
        assert part in str(error.value)


def test_a_cache_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"cannot be written \(.*\): set LM_DATA"):
        fetch("cat.txt", SHA256, [], tmp_path / "file" / "kept")


def test_four_processes_that_start_at_once_download_once(copies: Copies, tmp_path: Path) -> None:
    command = (
        "from lm.data.download import fetch; from pathlib import Path; "
        f"print(fetch('cat.txt', {SHA256!r}, [{copies['good']!r}], Path({str(tmp_path / 'kept')!r})).stat().st_size)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(4)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [int(output) for output in outputs] == [len(TEXT)] * 4
    assert copies.requests == ["/good/cat.txt"]
