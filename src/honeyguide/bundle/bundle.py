"""A recommender on disk: a folder that is the old one or the new one, never a mixture.

Every file but the manifest carries its own hash in its name, so a save never writes over a file
of the bundle that stands there. The new files are flushed to the disk first; then the manifest is
replaced in one step, and only then do the old files go. A kill or a full disk at any moment
leaves one whole bundle, and what a killed save left behind goes with the next one.

Reading verifies everything and reads each file once: what was hashed is what is parsed. Readers
take no lock; savers take one, on the folder, so that two of them wait for each other. POSIX only.
"""

import errno
import fcntl
import os
import stat
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from honeyguide import files
from honeyguide.bundle.contents import Contents, decode, encode
from honeyguide.bundle.manifest import MANIFEST, MANIFEST_LIMIT, Manifest, compose, is_ours, parse
from honeyguide.errors import BundleError

# A reader starts again as often as savers replace the bundle under it, up to this.
_TRIES = 100
_UNLOCKABLE = {errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_RESTORE = "Restore the bundle from a copy, or train and save it again."


def save(
    contents: Contents, folder: Path, *, overwrite: bool = True, created: datetime | None = None
) -> None:
    """Write the contents as a bundle, in place of the one that may stand in the folder.

    The folder is made if it is not there; a folder with anything else in it is refused. `created`
    is the moment to write down (with a time zone; default: now). Raises BundleError: what the
    folder held before is then still there, unless the message says that the new bundle stands.
    """
    moment = datetime.now(UTC) if created is None else created
    if moment.tzinfo is None:
        raise BundleError(
            f"The moment {moment} has no time zone.", "Give one, such as datetime.now(UTC)."
        )
    folder = Path(folder)
    blobs = encode(contents)
    manifest, raw = compose(
        contents.model, contents.settings, contents.schema, blobs, created=moment
    )
    old: Manifest | None = None
    made = False
    written: list[str] = []
    try:
        made = _make(folder)
        with _locked(folder):
            try:
                old = _claim(folder, overwrite)
                _sweep(folder, old)
                _write(folder, manifest, blobs, written)
                files.replace_file(folder / MANIFEST, raw)
                files.sync_folder(folder)
                _sweep(folder, manifest)
            except BaseException as error:
                if _stands(folder, raw):
                    if isinstance(error, OSError):
                        raise _unfinished(folder, error) from error
                    raise
                _undo(folder, written, made)
                raise
    except OSError as error:
        raise _unwritten(folder, error, manifest.bytes + len(raw), old) from error


def load(folder: Path) -> Contents:
    """Read a bundle, with every byte verified; tensors come on the CPU.

    While others save, the answer is one whole bundle, the old or the new. Raises BundleError.
    """
    folder = Path(folder)
    before: bytes | None = None
    missing = ""
    for _ in range(_TRIES):
        raw = _read_manifest(folder)
        manifest = parse(raw, f"The manifest of {folder}")
        try:
            blobs = _read(folder, manifest)
        except FileNotFoundError as error:
            # Either a save has replaced the bundle since, or the file is truly gone.
            missing = Path(str(error.filename)).name
            if raw == before:
                break
            before = raw
        except MemoryError as error:
            raise _too_large(folder, manifest) from error
        except OSError as error:
            raise _unreadable(folder, error) from error
        else:
            return decode(manifest, blobs)
    raise BundleError(f"The bundle {folder} lacks its file {missing}.", _RESTORE)


def describe(folder: Path) -> Manifest:
    """What a bundle says about itself: the manifest, verified; the other files are not read."""
    folder = Path(folder)
    return parse(_read_manifest(folder), f"The manifest of {folder}")


# --- reading


def _read_manifest(folder: Path) -> bytes:
    try:
        with _open(folder / MANIFEST) as file:
            raw = file.read(MANIFEST_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        if folder.is_dir():
            wrong = f"The folder {folder} is no bundle: it has no {MANIFEST}."
        elif folder.exists():
            wrong = f"{folder} is a file; a bundle is a folder."
        else:
            wrong = f"There is no folder {folder}."
        raise BundleError(
            wrong, "Give the folder that a Honeyguide recommender was saved to."
        ) from None
    except OSError as error:
        raise _unreadable(folder, error) from error
    if len(raw) > MANIFEST_LIMIT:
        raise BundleError(
            f"The manifest of {folder} has more than {MANIFEST_LIMIT:,} bytes.", _RESTORE
        )
    return raw


def _read(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    if manifest.bytes > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):
        raise _too_large(folder, manifest)
    blobs: dict[str, bytes] = {}
    with ExitStack() as stack:
        # All are opened before the first is read: an open file outlives its name, so a save in
        # the meantime cannot take it away.
        opened = {
            role: stack.enter_context(_open(folder / file.name))
            for role, file in manifest.files.items()
        }
        for role, file in manifest.files.items():
            size = os.fstat(opened[role].fileno()).st_size
            # One byte more, so that a file that grows in the meantime is noticed.
            data = opened[role].read(file.bytes + 1) if size == file.bytes else b""
            if len(data) != file.bytes:
                raise BundleError(
                    f"The file {file.name} of the bundle {folder} has {size:,} bytes instead of "
                    f"{file.bytes:,}: it is truncated or damaged.",
                    _RESTORE,
                )
            if files.digest(data) != file.sha256:
                raise BundleError(
                    f"The file {file.name} of the bundle {folder} does not match its checksum: "
                    "it is damaged.",
                    _RESTORE,
                )
            blobs[role] = data
    return blobs


def _open(path: Path) -> BinaryIO:
    # O_NONBLOCK, because opening a named pipe would otherwise wait for a writer for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return open(descriptor, "rb")


def _too_large(folder: Path, manifest: Manifest) -> BundleError:
    return BundleError(
        f"The bundle {folder} has {manifest.bytes:,} bytes, more than this machine's memory.",
        "Use a machine with more memory, or a smaller model.",
    )


def _unreadable(folder: Path, error: OSError) -> BundleError:
    where = Path(str(error.filename)).name if error.filename else "a file"
    return BundleError(
        f"The bundle {folder} cannot be read: {where}: {error.strerror}.",
        "Make the folder and its files readable, or restore the bundle from a copy.",
    )


# --- writing


def _make(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return False
    files.sync_folder(folder.parent)
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _UNLOCKABLE:
                raise
            warnings.warn(
                f"The file system of {folder} cannot lock a folder: let only one program save "
                "there at a time.",
                stacklevel=4,
            )
        yield
    finally:
        os.close(descriptor)


def _claim(folder: Path, overwrite: bool) -> Manifest | None:
    """The manifest of the bundle that stands in the folder; BundleError if it is not ours."""
    names = os.listdir(folder)
    if MANIFEST in names:
        if not overwrite:
            raise BundleError(
                f"A bundle already stands in {folder}.", "Save elsewhere, or allow overwriting."
            )
        try:
            return describe(folder)
        except BundleError as error:
            raise BundleError(
                f"Nothing was saved to {folder}, whose {MANIFEST} is not that of a whole bundle: "
                f"{error.wrong}",
                "Move that folder away, or save to another one.",
            ) from error
    strangers = sorted(n for n in names if not is_ours(n) and not files.is_temporary(n))
    if strangers:
        raise BundleError(
            f"Nothing was saved to {folder}, which holds other things: {strangers[0]!r}"
            f"{f' and {len(strangers) - 1} more' if strangers[1:] else ''}.",
            "Save to a new or empty folder.",
        )
    return None


def _write(
    folder: Path, manifest: Manifest, blobs: Mapping[str, bytes], written: list[str]
) -> None:
    for role, file in manifest.files.items():
        path = folder / file.name
        if files.holds(path, blobs[role]):
            continue
        if not path.exists():
            written.append(file.name)
        files.replace_file(path, blobs[role])
    files.sync_folder(folder)


def _sweep(folder: Path, manifest: Manifest | None) -> None:
    """Remove every file of ours that the manifest does not name, and killed saves' temporaries."""
    keep = manifest.names if manifest else frozenset()
    for name in os.listdir(folder):
        if is_ours(name) and name not in keep:
            with suppress(FileNotFoundError):
                os.unlink(folder / name)
    files.remove_temporaries(folder)


def _stands(folder: Path, raw: bytes) -> bool:
    """Whether the new manifest has taken its place; in doubt yes, so that nothing is deleted."""
    try:
        return files.holds(folder / MANIFEST, raw)
    except OSError:
        return True


def _undo(folder: Path, written: list[str], made: bool) -> None:
    # What cannot be removed now goes with the next save; the first error is the one to report.
    with suppress(OSError):
        for name in written:
            with suppress(FileNotFoundError):
                os.unlink(folder / name)
        if made:
            folder.rmdir()


def _unfinished(folder: Path, error: OSError) -> BundleError:
    return BundleError(
        f"The new bundle stands in {folder}, but the disk failed while finishing "
        f"({error.strerror}): it may not outlive a power cut, and old files may be left over.",
        "Save again once the disk is well.",
    )


def _unwritten(folder: Path, error: OSError, size: int, old: Manifest | None) -> BundleError:
    if error.errno in _FULL:
        cure = f"Free {size:,} bytes or save elsewhere"
    elif error.errno in _FORBIDDEN or error.errno == errno.ENOTDIR:
        cure = "Save to a folder that you may write to"
    else:
        cure = "Save elsewhere, and look after this disk"
    rest = "the bundle that stood there is untouched" if old else "nothing was left behind"
    return BundleError(
        f"The bundle could not be saved to {folder}: {error.strerror}.", f"{cure}; {rest}."
    )
