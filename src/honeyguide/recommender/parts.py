"""A folder of Parquet files that is there whole or not at all."""

import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from tempfile import mkdtemp

import polars as pl

from honeyguide.errors import CallError, HoneyguideError
from honeyguide.files import replace_file, sync_folder


def write_parts(frames: Iterator[pl.DataFrame], folder: Path) -> None:
    """Write each frame as part-00000.parquet and so on; the folder appears at the end.

    One frame is held at a time. Raises CallError where the folder stands, HoneyguideError where the
    disk refuses; then nothing is left behind.
    """
    if folder.exists():
        raise CallError(f"{folder} exists.", "Name a folder that does not.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            for number, frame in enumerate(frames):
                buffer = BytesIO()
                frame.write_parquet(buffer)
                replace_file(partial / f"part-{number:05}.parquet", buffer.getvalue())
            sync_folder(partial)
            partial.chmod(0o755)
            partial.rename(folder)
            sync_folder(folder.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise HoneyguideError(
            f"{folder} cannot be written: {error.strerror or error}.",
            "Make room, or name a folder that you may write to.",
        ) from error
