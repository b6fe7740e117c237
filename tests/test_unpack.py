"""Archives that are fine, and archives that would do harm."""

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from honeyguide.data.unpack import unpack
from honeyguide.errors import DownloadError


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def linked(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


def test_a_plain_archive_unpacks(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(("ml/", b""), ("ml/x.dat", b"1"), ("y", b"22")))
    files = unpack(tmp_path / "a.zip", tmp_path / "out")
    assert [file.relative_to(tmp_path / "out").as_posix() for file in files] == ["ml/x.dat", "y"]
    assert (tmp_path / "out/ml/x.dat").read_bytes() == b"1"


@pytest.mark.parametrize(
    "member",
    ["../evil", "ml/../../evil", "/evil", "c:\\evil", "..\\evil", linked("link")],
    ids=["parent", "inner-parent", "absolute", "drive", "backslash", "link"],
)
def test_a_member_outside_the_folder_is_refused(
    member: str | zipfile.ZipInfo, tmp_path: Path
) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(("fine", b"1"), (member, b"/etc/passwd")))
    with pytest.raises(DownloadError, match="not a plain file inside it"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_bombs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(("bomb", bytes(5_000_000))))
    with pytest.raises(DownloadError, match="5000000 bytes"):
        unpack(tmp_path / "a.zip", tmp_path / "out", size_cap=1_000_000)
    (tmp_path / "b.zip").write_bytes(zipped(*((f"{number}", b"") for number in range(20))))
    with pytest.raises(DownloadError, match="20 files"):
        unpack(tmp_path / "b.zip", tmp_path / "out", member_cap=10)
    assert not (tmp_path / "out").exists()


def test_a_bomb_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    honest = zipped(("bomb", bytes(5_000_000)))
    told, truth = (10).to_bytes(4, "little"), (5_000_000).to_bytes(4, "little")
    assert honest.count(truth) == 2
    (tmp_path / "a.zip").write_bytes(honest.replace(truth, told))
    with pytest.raises(DownloadError, match="corrupt"):
        unpack(tmp_path / "a.zip", tmp_path / "out", size_cap=1_000_000)
    assert not (tmp_path / "out").exists()


def test_corrupt_archives_are_refused_and_leave_no_folder(tmp_path: Path) -> None:
    content = hashlib.shake_256(b"x").digest(5_000)
    good = zipped(("x", content), ("y", content))
    middle = len(good) // 2
    broken = {
        "not a zip": b"<html>moved</html>",
        "empty": b"",
        "cut": good[:middle],
        "flipped": good[:200] + bytes([good[200] ^ 1]) + good[201:],
    }
    for name, raw in broken.items():
        (tmp_path / "a.zip").write_bytes(raw)
        with pytest.raises(DownloadError, match="not unpacked"):
            unpack(tmp_path / "a.zip", tmp_path / "out")
        assert not (tmp_path / "out").exists(), name


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(("x", b"1"), ("x", b"2")))
    with pytest.raises(DownloadError, match="not unpacked"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
