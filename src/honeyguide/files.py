"""Files that are there whole or not at all; for bundles, checkpoints and journals.

A file is written under a temporary name in its own folder, flushed to the disk, and only then
takes its final name, which POSIX does in one step. A crash, a kill or a full disk at any moment
therefore leaves the file that was there before. Nothing here knows what stands in a file.
"""

import os
import re
import secrets
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

_TEMPORARY = re.compile(r"\.hg-[0-9a-f]{16}\.tmp")
_CHUNK = 1 << 20


def digest(data: bytes) -> str:
    """The SHA-256 of the data, 64 hexadecimal digits."""
    return sha256(data).hexdigest()


def write_file(path: Path, data: bytes) -> None:
    """Write a file atomically and durably: once this returns, a power cut does not undo it.

    Raises OSError; before the final name is taken, the file that was there is untouched and the
    temporary one is removed.
    """
    replace_file(path, data)
    sync_folder(path.parent)


def replace_file(path: Path, data: bytes) -> None:
    """Like `write_file`, except that a power cut may bring the old file back until `sync_folder`.

    For several files in one folder that need only one flush of the folder at the end.
    """
    temporary = path.parent / f".hg-{secrets.token_hex(8)}.tmp"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def sync_folder(folder: Path) -> None:
    """Flush a folder's names to the disk; OSError if the disk refuses."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def holds(path: Path, data: bytes) -> bool:
    """Whether the file is there and holds exactly these bytes; reads 1 MiB at a time."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size != len(data):
                return False
            view = memoryview(data)
            return all(
                file.read(_CHUNK) == view[start : start + _CHUNK]
                for start in range(0, len(data), _CHUNK)
            )
    except FileNotFoundError:
        return False


def is_temporary(name: str) -> bool:
    """Whether a file name is one that `replace_file` writes under."""
    return _TEMPORARY.fullmatch(name) is not None


def remove_temporaries(folder: Path) -> None:
    """Remove what killed writers left in a folder; only while nobody else writes there."""
    for name in os.listdir(folder):
        if is_temporary(name):
            with suppress(FileNotFoundError):
                os.unlink(folder / name)
