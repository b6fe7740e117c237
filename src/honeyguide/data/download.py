"""Bringing one file from its publisher.

Special: nothing is believed. A transfer that ends early is seen and taken up again where it
stopped; a server without Range is asked for the whole file anew; an unreachable one is given up
after `reach` seconds in all, name look-up included; the file gets its name only when it is whole
and its checksum is right. A file whose checksum nobody knows is recorded as unverified.

Left out: parallel transfers, authentication, anything but http and https. Two processes bringing
the same file are kept apart by a lock, except on Windows.
"""

import hashlib
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from honeyguide.errors import DownloadError

OnProgress = Callable[[int, int | None], None]
"""Called with the bytes that are here and the bytes there will be (None: not announced)."""

SIZE_CAP = 2 << 30
_CHUNK = 1 << 18
_GO_ON = "Run it again: it goes on where it stopped."


@dataclass(frozen=True, slots=True)
class Record:
    """What is known about a downloaded file; kept as JSON beside it.

    verified is False when there was no known checksum to compare with; sha256 is then only what
    was seen.
    """

    url: str
    sha256: str
    bytes: int
    verified: bool


def download(
    url: str,
    target: Path,
    sha256: str | None = None,
    *,
    on_progress: OnProgress | None = None,
    size_cap: int = SIZE_CAP,
    reach: float = 3.0,
    stall: float = 30.0,
    tries: int = 5,
) -> Record:
    """Bring `url` to `target`, with its Record in `<target>.json`.

    sha256 is the expected checksum, or None where nobody knows it. size_cap is in bytes. reach
    (seconds) bounds the wait until the publisher answers, stall the wait for the next bytes,
    tries the number of transfers. A target that is already here, whole and from the same url, is
    not brought again. Raises DownloadError; what has arrived of a cut transfer stays in
    `<target>.part` for the next call, a file with a wrong checksum is removed.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise DownloadError(f"{url} is not an http or https address.", "Correct the address.")
    record_file = target.with_name(target.name + ".json")
    finished = _finished(url, target, record_file, sha256)
    if finished is not None:
        return finished
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(url, target.with_name(target.name + ".part"), sha256 is not None)
    with _alone(part.path):
        _bring(part, on_progress, size_cap, reach, stall, tries)
        with writing(target):
            record = Record(url, _sha256(part.path), part.path.stat().st_size, sha256 is not None)
            if sha256 is not None and record.sha256 != sha256.lower():
                part.discard()
                raise DownloadError(
                    f"{url} brought a file with the wrong checksum "
                    f"({record.sha256}, expected {sha256.lower()}); it was removed.",
                    "Run it again; if that repeats, the publisher has changed the file or "
                    "something in between does.",
                )
            os.replace(part.path, target)
            _write_json(record_file, asdict(record))
            part.discard()
    return record


class _Part:
    """The bytes of a file that have arrived so far, and which version of it they belong to."""

    def __init__(self, url: str, path: Path, checked: bool) -> None:
        self.url = url
        self.path = path
        self._checked = checked
        self._about = path.with_name(path.name + ".json")

    def start(self) -> tuple[int, str | None]:
        """How many bytes can be built upon, and the validator of their version.

        Bytes of an unknown version are built upon only where a checksum will judge the whole.
        """
        about = _read_json(self._about)
        if about.get("url") != self.url or not self.path.exists():
            return 0, None
        validator = about.get("validator")
        if isinstance(validator, str):
            return self.path.stat().st_size, validator
        return (self.path.stat().st_size if self._checked else 0), None

    def begin(self, response: HTTPResponse) -> None:
        """Forget what was here; a new version begins."""
        tag = response.headers.get("ETag")
        strong = tag if tag is not None and not tag.startswith("W/") else None
        with writing(self.path):
            self.path.write_bytes(b"")
            _write_json(
                self._about,
                {"url": self.url, "validator": strong or response.headers.get("Last-Modified")},
            )

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)


def _bring(
    part: _Part,
    on_progress: OnProgress | None,
    size_cap: int,
    reach: float,
    stall: float,
    tries: int,
) -> None:
    why: str | None = "no transfer was allowed"
    for turn in range(tries):
        if turn:
            time.sleep(min(0.05 * 2**turn, 2.0))
        why = _transfer(part, on_progress, size_cap, reach, stall)
        if why is None:
            return
    raise DownloadError(f"{part.url} did not arrive in {tries} tries: {why}.", _GO_ON)


def _transfer(
    part: _Part, on_progress: OnProgress | None, size_cap: int, reach: float, stall: float
) -> str | None:
    """One transfer; None when the part is whole, else why it is not."""
    start, validator = part.start()
    request = Request(part.url, headers={"User-Agent": "honeyguide", "Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
        if validator is not None:
            request.add_header("If-Range", validator)
    try:
        response = _reach(request, reach, stall)
    except HTTPError as error:
        with error:
            return _answered_badly(part, error, start)
    except URLError as error:
        raise _unreachable(part.url, str(error.reason)) from None
    except (OSError, HTTPException) as error:
        return f"the connection ended without an answer ({error})"
    with response:
        if urlsplit(part.url).scheme == "https" and not response.url.startswith("https:"):
            raise DownloadError(
                f"{part.url} leads on to an unencrypted address.", "Bring the file by hand."
            )
        done, total = _extent(response)
        if done != start:
            # no Range (200), another version, or a range that nobody asked for
            if response.status == 206:
                part.discard()
                return "the server sent another piece than the one asked for"
            start = 0
        if start == 0:
            part.begin(response)
        return _receive(response, part, start, total, on_progress, size_cap)


def _receive(
    response: HTTPResponse,
    part: _Part,
    done: int,
    total: int | None,
    on_progress: OnProgress | None,
    size_cap: int,
) -> str | None:
    with writing(part.path):
        # unbuffered: what counts as done is in the file, whatever fails next
        file = part.path.open("ab", buffering=0)
    with file:
        while True:
            if max(done, total or 0) > size_cap:
                part.discard()
                raise DownloadError(
                    f"{part.url} is larger than the {size_cap} bytes allowed for it.",
                    "The publisher's file has changed; bring it by hand if it is the right one.",
                )
            if on_progress is not None:
                on_progress(done, total)
            if done == total:
                return None
            try:
                chunk = response.read1(_CHUNK if total is None else min(_CHUNK, total - done))
            except (OSError, HTTPException) as error:
                return f"it stopped after {done} of {total or '?'} bytes ({error})"
            if not chunk:
                return None if total is None else f"it was cut off after {done} of {total} bytes"
            rest = memoryview(chunk)
            while rest:
                with writing(part.path):
                    rest = rest[file.write(rest) :]
            done += len(chunk)


def _extent(response: HTTPResponse) -> tuple[int, int | None]:
    """Where the body begins in the file, and how long the whole file is."""
    length = response.headers.get("Content-Length", "")
    if response.status != 206:
        return 0, int(length) if length.isdigit() else None
    span, _, whole = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    first = span.partition("-")[0]
    if not first.isdigit():
        return -1, None
    if whole.isdigit():
        return int(first), int(whole)
    return int(first), int(first) + int(length) if length.isdigit() else None


def _answered_badly(part: _Part, error: HTTPError, start: int) -> str | None:
    if error.code == 416 and start:
        if error.headers.get("Content-Range", "") == f"bytes */{start}":
            return None
        part.discard()
        return "what had arrived did not fit the publisher's file"
    if error.code >= 500 or error.code == 429:
        return f"the publisher answered {error.code} {error.reason}"
    raise DownloadError(
        f"{part.url} answered {error.code} {error.reason}.",
        "The publisher may have moved the file: bring it by hand.",
    )


def _reach(request: Request, reach: float, stall: float) -> HTTPResponse:
    """The answer's head within `reach` seconds in all.

    A socket's timeout covers neither the look-up of the name nor several addresses tried in turn,
    so the question is asked in a thread that is left behind when it takes too long.
    """
    answers: queue.SimpleQueue[HTTPResponse | Exception] = queue.SimpleQueue()
    late = threading.Event()

    def close_unwanted() -> None:
        while not answers.empty():
            answer = answers.get()
            if isinstance(answer, HTTPResponse | HTTPError):
                answer.close()

    def ask() -> None:
        try:
            answers.put(urlopen(request, timeout=stall))
        except Exception as error:  # carried over to the asking thread and raised there
            answers.put(error)
        if late.is_set():
            close_unwanted()

    threading.Thread(target=ask, daemon=True, name="honeyguide-download").start()
    try:
        answer = answers.get(timeout=reach)
    except queue.Empty:
        late.set()
        close_unwanted()
        raise _unreachable(request.full_url, f"no answer within {reach:g} seconds") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _unreachable(url: str, why: str) -> DownloadError:
    return DownloadError(
        f"{urlsplit(url).netloc} cannot be reached: {why}.",
        f"Check the network and run it again, or bring {url} by hand.",
    )


def unwritable(path: Path, error: OSError) -> DownloadError:
    return DownloadError(
        f"{path} cannot be written: {error.strerror or error}.",
        "Make room there, or choose another folder (XDG_CACHE_HOME moves the cache).",
    )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns a full or forbidden disk into an error that says so."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from None


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process, however it ends."""
    lock = part.with_name(part.name + ".lock")
    with writing(lock):
        file = lock.open("a")
    with file:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DownloadError(
                    f"Another process is downloading {part.with_suffix('')}.",
                    "Wait until it is done and run this again.",
                ) from None
        yield


def _finished(url: str, target: Path, record_file: Path, sha256: str | None) -> Record | None:
    about = _read_json(record_file)
    if about.get("url") != url or not target.is_file():
        return None
    seen = _sha256(target)
    if seen != about.get("sha256") or (sha256 is not None and seen != sha256.lower()):
        return None
    return Record(url, seen, target.stat().st_size, sha256 is not None)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_json(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_json(path: Path, content: dict[str, object]) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(fresh, path)
