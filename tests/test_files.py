"""Files that are there whole or not at all."""

import errno
import os

import pytest

from honeyguide.files import (
    digest,
    holds,
    is_temporary,
    remove_temporaries,
    replace_file,
    sync_folder,
    write_file,
)

STEPS = ("open", "write", "fsync", "replace", "close")


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "a.bin"
    for data in (b"", b"first", os.urandom(3_000_000), b"second"):
        write_file(path, data)
        assert path.read_bytes() == data
        assert os.listdir(tmp_path) == ["a.bin"]


def test_a_short_write_goes_on(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:7]))
    write_file(tmp_path / "a", bytes(range(100)))
    assert (tmp_path / "a").read_bytes() == bytes(range(100))


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_alone(tmp_path, monkeypatch, step, error):
    write_file(tmp_path / "a", b"old")
    real = getattr(os, step)

    def fails(*args, **options):
        if step == "close":
            real(*args, **options)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fails)
        with pytest.raises(type(error)):
            replace_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_flushes_before_it_renames_and_the_folder_after(tmp_path, monkeypatch):
    seen = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def noted(*args, name=name, real=real):
            seen.append((name, name == "fsync" and os.path.isdir(f"/proc/self/fd/{args[0]}")))
            return real(*args)

        monkeypatch.setattr(os, name, noted)
    write_file(tmp_path / "a", b"x")
    assert seen == [("fsync", False), ("replace", False), ("fsync", True)]


def test_respects_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_long_name_is_no_longer_while_it_is_written(tmp_path):
    write_file(tmp_path / ("n" * 255), b"x")


def test_a_missing_folder_is_the_callers_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_file(tmp_path / "no" / "a", b"x")
    write_file(tmp_path / "a", b"x")
    with pytest.raises(NotADirectoryError):
        sync_folder(tmp_path / "a")


def test_removes_what_killed_writers_left_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError()))
    monkeypatch.setattr(os, "unlink", lambda *_: (_ for _ in ()).throw(OSError()))
    with pytest.raises(OSError):  # noqa: PT011
        replace_file(tmp_path / "a", b"x")
    monkeypatch.undo()
    (left,) = os.listdir(tmp_path)
    assert is_temporary(left)
    others = [".hg-mine.tmp", "hg-0123456789abcdef.tmp", ".hg-0123456789abcdef.tmp.bak", "a"]
    for name in others:
        assert not is_temporary(name)
        (tmp_path / name).touch()
    remove_temporaries(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(others)


def test_holds_compares_every_byte(tmp_path):
    data = os.urandom((1 << 20) + 10)
    path = tmp_path / "a"
    assert not holds(path, data)
    path.write_bytes(data)
    assert holds(path, data)
    assert not holds(path, data[:-1])
    for place in (0, (1 << 20) - 1, 1 << 20, len(data) - 1):
        other = bytearray(data)
        other[place] ^= 1
        assert not holds(path, bytes(other))


def test_digest():
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
