import hashlib
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lm.data.download import fetch
from tests.conftest import no_file_larger_than

TEXT = b" the cat sat on the mat \n" * 1000
SHA256 = hashlib.sha256(TEXT).hexdigest()
UNREACHABLE = "http://127.0.0.1:9/"  # nothing listens on port 9 of this machine


class Handler(BaseHTTPRequestHandler):
    """Answers as the first part of the path says; `requests` are the paths so far, `stop` ends what never ends."""

    def do_GET(self):
        self.server.requests.append(self.path)
        getattr(self, self.path.split("/")[1])()

    def answer(self, content, length=None, status=200, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(length or len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def good(self):
        self.answer(TEXT)

    def corrupt(self):
        self.answer(TEXT[:-1])

    def absent(self):
        self.answer(b"", status=404)

    def truncated(self):
        self.answer(TEXT[:100], length=len(TEXT))

    def redirects(self):
        self.answer(b"", status=302, Location=self.path)

    def drips(self):
        self.answer(TEXT[:1], length=len(TEXT))
        while not self.server.stop.wait(0.01):
            self.wfile.write(b"x")

    def hangs(self):
        self.answer(TEXT[:1000], length=len(TEXT))
        self.server.stop.wait()

    def log_message(self, format, *args):
        pass


@pytest.fixture
def server():
    """A server on the loopback address."""
    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.requests, served.stop = [], threading.Event()
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.stop.set()
    served.shutdown()
    served.server_close()
    thread.join()


@pytest.fixture
def mirror(server):
    """Return a function that returns the address of a mirror by how it answers."""
    return lambda name: f"http://127.0.0.1:{server.server_port}/{name}/"


def files(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_a_file_is_downloaded_once_with_a_progress_bar(server, mirror, tmp_path, capsys):
    for _ in range(2):
        path = fetch("cat.txt", SHA256, [mirror("good")], tmp_path / "kept")
        assert path.read_bytes() == TEXT
    assert server.requests == ["/good/cat.txt"]
    assert "cat.txt: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("bad", ["absent", "corrupt", "truncated", "redirects"])
def test_the_next_mirror_is_tried_after_a_bad_one(mirror, tmp_path, bad):
    assert fetch("cat.txt", SHA256, [mirror(bad), mirror("good")], tmp_path / "kept").read_bytes() == TEXT
    assert files(tmp_path / "kept") == ["cat.txt"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("absent", "answered 404"),
        ("corrupt", "has a wrong SHA-256"),
        ("truncated", "is truncated"),
        ("redirects", "redirects for ever"),
        ("drips", "was not complete after 0.1 seconds"),
        ("hangs", "stopped sending"),
    ],
)
def test_the_reason_of_a_failure_is_named_and_nothing_is_left(mirror, tmp_path, monkeypatch, answer, reason):
    monkeypatch.setattr("lm.data.download.SECONDS_IN_ALL", 0.1 if answer == "drips" else 60)
    monkeypatch.setattr("lm.data.download.SECONDS_WITHOUT_DATA", 0.2 if answer == "hangs" else 60)
    with pytest.raises(FileNotFoundError, match=rf"/{answer}/cat\.txt {reason}\): type data\.dir=FOLDER with"):
        fetch("cat.txt", SHA256, [mirror(answer)], tmp_path / "kept")
    assert files(tmp_path / "kept") == []


def test_if_every_mirror_fails_one_sentence_names_all_of_them(mirror, tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        fetch("cat.txt", SHA256, [mirror("absent"), UNREACHABLE], tmp_path / "kept")
    for part in (
        "expected to download cat.txt, found no mirror",
        "answered 404, ",
        f"{UNREACHABLE}cat.txt cannot be reached",
    ):
        assert part in str(error.value)


def test_a_damaged_file_in_the_cache_is_downloaded_again(mirror, tmp_path):
    (tmp_path / "cat.txt").write_bytes(b"half")
    assert fetch("cat.txt", SHA256, [mirror("good")], tmp_path).read_bytes() == TEXT


def test_a_cache_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"expected a cache folder that can be written, found .*: type LM_DATA=FOLDER"):
        fetch("cat.txt", SHA256, [], tmp_path / "file" / "kept")


def test_a_full_disk_is_named_and_nothing_is_left(mirror, tmp_path):
    with no_file_larger_than(1000), pytest.raises(OSError, match=r"File too large: '.*cat\.txt'"):
        fetch("cat.txt", SHA256, [mirror("good")], tmp_path)
    assert files(tmp_path) == []


def start_fetch(mirror, folder):
    command = (
        "from lm.data.download import fetch; from pathlib import Path; "
        f"print(fetch('cat.txt', {SHA256!r}, [{mirror!r}], Path({str(folder)!r})).stat().st_size)"
    )
    return subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_what_a_killed_download_left_is_removed_by_the_next_one(mirror, tmp_path):
    process = start_fetch(mirror("hangs"), tmp_path)
    while process.stderr.read(1) != b"%":  # of its progress bar: the first bytes are there
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(files(tmp_path)) == 1
    fetch("cat.txt", SHA256, [mirror("good")], tmp_path)
    assert files(tmp_path) == ["cat.txt"]


def test_processes_that_start_at_once_download_once(server, mirror, tmp_path):
    processes = [start_fetch(mirror("good"), tmp_path / "kept") for _ in range(3)]
    assert [int(process.communicate(timeout=60)[0]) for process in processes] == [len(TEXT)] * 3
    assert server.requests == ["/good/cat.txt"]
