"""Downloads against a real local server that is slow, rude or wrong in the ways servers are."""

import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from honeyguide.data.download import download
from honeyguide.errors import DownloadError

BODY = hashlib.shake_256(b"honeyguide").digest(600_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


class Publisher:
    """What the server should do, and what it was asked."""

    def __init__(self) -> None:
        self.body = BODY
        self.ranges = True
        self.etag: str | None = '"one"'
        self.cut_after: list[int] = []  # bytes sent by the first answers before they break off
        self.announce_length = True
        self.failures: list[int] = []  # status codes of the first answers
        self.asked: list[str | None] = []  # the Range header of each request
        self.url = ""


@pytest.fixture(autouse=True)
def _straight_to_the_local_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    asked = Publisher()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self, asked)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    asked.url = f"http://127.0.0.1:{server.server_port}/set.zip"
    yield asked
    server.shutdown()
    server.server_close()
    thread.join()


def answer(handler: BaseHTTPRequestHandler, to: Publisher) -> None:
    span = handler.headers.get("Range")
    to.asked.append(span)
    if to.failures:
        handler.send_error(to.failures.pop(0))
        return
    start = 0
    unchanged = handler.headers.get("If-Range") in (None, to.etag)
    if span and to.ranges and unchanged:
        start = int(span.removeprefix("bytes=").removesuffix("-"))
        if start >= len(to.body):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(to.body)}")
            handler.end_headers()
            return
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{len(to.body) - 1}/{len(to.body)}")
    else:
        handler.send_response(200)
    if to.etag:
        handler.send_header("ETag", to.etag)
    if to.announce_length:
        handler.send_header("Content-Length", str(len(to.body) - start))
    handler.end_headers()
    rest = to.body[start:]
    handler.wfile.write(rest[: to.cut_after.pop(0)] if to.cut_after else rest)


@contextmanager
def silent_listener() -> Iterator[int]:
    """A socket that accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield listener.getsockname()[1]


# ------------------------------------------------------------------------------- one good transfer


def test_a_good_transfer_is_whole_verified_and_leaves_nothing_else(
    publisher: Publisher, tmp_path: Path
) -> None:
    record = download(publisher.url, tmp_path / "set.zip", SHA256.upper())
    assert (tmp_path / "set.zip").read_bytes() == BODY
    assert record.verified
    assert record.sha256 == SHA256
    assert json.loads((tmp_path / "set.zip.json").read_text()) == {
        "url": publisher.url,
        "sha256": SHA256,
        "bytes": len(BODY),
        "verified": True,
    }
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".lock", ".zip"]


def test_progress_runs_from_nothing_to_the_whole(publisher: Publisher, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    download(publisher.url, tmp_path / "a", SHA256, on_progress=lambda *step: seen.append(step))
    assert seen[0] == (0, len(BODY))
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)


def test_a_length_that_is_not_announced(publisher: Publisher, tmp_path: Path) -> None:
    publisher.announce_length = False
    seen: list[tuple[int, int | None]] = []
    download(publisher.url, tmp_path / "a", SHA256, on_progress=lambda *step: seen.append(step))
    assert (tmp_path / "a").read_bytes() == BODY
    assert seen[-1] == (len(BODY), None)


def test_a_checksum_that_nobody_knows_is_recorded_as_unverified(
    publisher: Publisher, tmp_path: Path
) -> None:
    record = download(publisher.url, tmp_path / "a")
    assert not record.verified
    kept = json.loads((tmp_path / "a.json").read_text())
    assert kept["verified"] is False
    assert kept["sha256"] == SHA256


def test_a_file_already_here_is_not_brought_again(publisher: Publisher, tmp_path: Path) -> None:
    download(publisher.url, tmp_path / "a", SHA256)
    download(publisher.url, tmp_path / "a", SHA256)
    assert len(publisher.asked) == 1
    (tmp_path / "a").write_bytes(b"changed since")
    download(publisher.url, tmp_path / "a", SHA256)
    assert (tmp_path / "a").read_bytes() == BODY


# ----------------------------------------------------------------------------- cut off, and resume


def test_a_cut_transfer_goes_on_where_it_stopped(publisher: Publisher, tmp_path: Path) -> None:
    publisher.cut_after = [300_000, 100_000]
    download(publisher.url, tmp_path / "a", SHA256)
    assert (tmp_path / "a").read_bytes() == BODY
    assert publisher.asked == [None, "bytes=300000-", "bytes=400000-"]


def test_without_range_it_begins_anew(publisher: Publisher, tmp_path: Path) -> None:
    publisher.ranges = False
    publisher.cut_after = [300_000]
    seen: list[int] = []
    download(publisher.url, tmp_path / "a", SHA256, on_progress=lambda done, _: seen.append(done))
    assert (tmp_path / "a").read_bytes() == BODY
    assert seen.count(0) == 2
    assert len(publisher.asked) == 2


def test_tries_are_bounded_and_the_next_call_resumes(publisher: Publisher, tmp_path: Path) -> None:
    publisher.cut_after = [100_000] * 3
    with pytest.raises(DownloadError, match="cut off after 300000 of 600000"):
        download(publisher.url, tmp_path / "a", SHA256, tries=3)
    assert len(publisher.asked) == 3
    assert not (tmp_path / "a").exists()
    download(publisher.url, tmp_path / "a", SHA256)
    assert publisher.asked[3:] == ["bytes=300000-"]
    assert (tmp_path / "a").read_bytes() == BODY


def test_an_interrupt_keeps_what_arrived(publisher: Publisher, tmp_path: Path) -> None:
    def stop_half_way(done: int, total: int | None) -> None:
        if done > 200_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(publisher.url, tmp_path / "a", SHA256, on_progress=stop_half_way)
    download(publisher.url, tmp_path / "a", SHA256)
    assert publisher.asked[1] is not None
    assert (tmp_path / "a").read_bytes() == BODY


def test_a_file_that_changed_between_two_calls_is_not_mixed(
    publisher: Publisher, tmp_path: Path
) -> None:
    publisher.cut_after = [300_000]
    with pytest.raises(DownloadError):
        download(publisher.url, tmp_path / "a", tries=1)
    publisher.body, publisher.etag = BODY[::-1], '"two"'
    download(publisher.url, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == BODY[::-1]


def test_bytes_of_an_unknown_version_are_not_built_upon_without_a_checksum(
    publisher: Publisher, tmp_path: Path
) -> None:
    publisher.etag = None
    publisher.cut_after = [300_000]
    download(publisher.url, tmp_path / "a")
    assert publisher.asked == [None, None]
    publisher.cut_after = [300_000]
    download(publisher.url, tmp_path / "b", SHA256)
    assert publisher.asked[2:] == [None, "bytes=300000-"]


def test_a_part_that_is_already_whole(publisher: Publisher, tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(BODY)
    (tmp_path / "a.part.json").write_text(json.dumps({"url": publisher.url, "validator": '"one"'}))
    download(publisher.url, tmp_path / "a", SHA256)
    assert (tmp_path / "a").read_bytes() == BODY


def test_a_part_that_is_too_long_is_thrown_away(publisher: Publisher, tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(BODY + b"more")
    (tmp_path / "a.part.json").write_text(json.dumps({"url": publisher.url, "validator": '"one"'}))
    download(publisher.url, tmp_path / "a", SHA256)
    assert (tmp_path / "a").read_bytes() == BODY


def test_a_stall_counts_as_a_cut(tmp_path: Path) -> None:
    with (
        silent_after(BODY[:1000], len(BODY)) as url,
        pytest.raises(DownloadError, match="stopped after 1000 of 600000"),
    ):
        download(url, tmp_path / "a", SHA256, stall=0.2, tries=1)


@contextmanager
def silent_after(sent: bytes, announced: int) -> Iterator[str]:
    done = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(announced))
            self.end_headers()
            self.wfile.write(sent)
            done.wait(10)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/a"
    done.set()
    server.shutdown()
    server.server_close()
    thread.join()


# -------------------------------------------------------------------------- wrong, or out of reach


def test_a_wrong_checksum_fails_and_removes_the_file(publisher: Publisher, tmp_path: Path) -> None:
    publisher.body = BODY[:-1] + b"?"
    with pytest.raises(DownloadError, match="wrong checksum") as caught:
        download(publisher.url, tmp_path / "a", SHA256)
    assert SHA256 in caught.value.wrong
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_a_passing_failure_of_the_server_is_tried_again(
    publisher: Publisher, tmp_path: Path
) -> None:
    publisher.failures = [503, 429]
    download(publisher.url, tmp_path / "a", SHA256)
    assert len(publisher.asked) == 3


def test_a_file_that_is_gone_fails_at_once(publisher: Publisher, tmp_path: Path) -> None:
    publisher.failures = [404]
    with pytest.raises(DownloadError, match="404"):
        download(publisher.url, tmp_path / "a", SHA256)
    assert len(publisher.asked) == 1


@pytest.mark.parametrize("announced", [True, False])
def test_the_size_cap_holds(publisher: Publisher, tmp_path: Path, announced: bool) -> None:
    publisher.announce_length = announced
    with pytest.raises(DownloadError, match="larger than the 100000 bytes"):
        download(publisher.url, tmp_path / "a", SHA256, size_cap=100_000)
    assert not list(tmp_path.glob("*.part"))


def test_a_closed_port_is_given_up_at_once(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(DownloadError, match="cannot be reached") as caught:
        download(f"http://127.0.0.1:{port}/a", tmp_path / "a")
    assert time.monotonic() - began < 3
    assert "by hand" in caught.value.do


def test_a_server_that_never_answers_is_given_up_in_three_seconds(tmp_path: Path) -> None:
    with silent_listener() as port:
        began = time.monotonic()
        with pytest.raises(DownloadError, match="no answer within 3 seconds"):
            download(f"http://127.0.0.1:{port}/a", tmp_path / "a", stall=5.0)
        assert 2.5 < time.monotonic() - began < 3.8


def test_a_name_look_up_that_hangs_is_given_up_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    over = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        over.wait(5)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    began = time.monotonic()
    with pytest.raises(DownloadError, match="cannot be reached"):
        download("http://publisher.invalid/a", tmp_path / "a", reach=0.2)
    over.set()
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/a", "set.zip"])
def test_other_schemes_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="not an http"):
        download(url, tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written(publisher: Publisher, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    with pytest.raises(DownloadError, match="cannot be written") as caught:
        download(publisher.url, tmp_path / "taken" / "a", SHA256)
    assert "XDG_CACHE_HOME" in caught.value.do


def test_two_at_once_are_kept_apart(publisher: Publisher, tmp_path: Path) -> None:
    met: list[str] = []

    def second(done: int, total: int | None) -> None:
        if not met:
            with pytest.raises(DownloadError, match="Another process") as caught:
                download(publisher.url, tmp_path / "a", SHA256)
            met.append(caught.value.wrong)

    download(publisher.url, tmp_path / "a", SHA256, on_progress=second)
    assert met
    assert (tmp_path / "a").read_bytes() == BODY
