"""Opening the archive a publisher sent, without believing it.

Special: an archive is unpacked only when every member is a plain file that stays inside the
folder, and the announced sizes stay under a cap that zipfile then enforces.
"""

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from honeyguide.data.download import SIZE_CAP, unwritable, writing
from honeyguide.errors import DownloadError


def unpack(
    archive: Path, folder: Path, *, size_cap: int = SIZE_CAP, member_cap: int = 10_000
) -> list[Path]:
    """Unpack a zip into `folder`, which must not exist yet; gives back the files written.

    size_cap bounds the unpacked bytes, member_cap the number of members. Raises DownloadError,
    and leaves no folder, for a corrupt archive, a member that would land outside the folder, a
    link, an encrypted member, two members of one name, or more than the caps allow.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            bad = next((member.filename for member in members if not _harmless(member)), None)
            size = sum(member.file_size for member in members)
            if bad is not None:
                raise _refused(archive, f"its member {bad!r} is not a plain file inside it")
            if len(members) > member_cap or size > size_cap:
                raise _refused(archive, f"it unpacks to {len(members)} files of {size} bytes")
            with writing(folder):
                folder.mkdir(parents=True)
            return [_unpack_member(opened, member, folder) for member in members]
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        FileExistsError,
    ) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise _refused(archive, f"it is corrupt ({error})") from None
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise unwritable(folder, error) from None


def _refused(archive: Path, why: str) -> DownloadError:
    return DownloadError(
        f"The archive {archive} was not unpacked: {why}.", "Remove the file and download it again."
    )


def _harmless(member: zipfile.ZipInfo) -> bool:
    name = PurePosixPath(member.filename)
    inside = not name.is_absolute() and ".." not in name.parts and name.parts != ()
    portable = not any(character in member.filename for character in "\\:\0")
    kind = stat.S_IFMT(member.external_attr >> 16)
    return inside and portable and kind in (0, stat.S_IFREG) and not member.flag_bits & 1


def _unpack_member(opened: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> Path:
    path = folder / member.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    # zipfile gives no more than the announced size and then compares the CRC, so the sum that
    # unpack checked is a true bound
    with opened.open(member) as source, path.open("xb") as file:
        shutil.copyfileobj(source, file, 1 << 18)
    return path
