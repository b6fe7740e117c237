"""A comparison on disk: one JSON document and one Parquet file of per-user values per result.

Each file is there whole or not at all, the document last, so that whatever it names is there.
"""

import io
import json
from pathlib import Path

from honeyguide.errors import CallError, HoneyguideError
from honeyguide.experiment.compare import Comparison, per_user_frame
from honeyguide.files import write_file

PER_USER = ".per_user"


def write(comparison: Comparison, path: Path) -> None:
    """Write the document to `path` and the values by user to a folder beside it.

    The folder is named after the document, out.per_user for out.json, and the document names its
    files relative to itself. Raises HoneyguideError where the disk refuses.
    """
    folder = path.with_name(path.stem + PER_USER)
    try:
        folder.mkdir(exist_ok=True)
        for result in comparison.results:
            if result.evaluation is None:
                continue
            users = comparison.users.of(result.evaluation.users)
            told = io.BytesIO()
            per_user_frame(result.evaluation, users).write_parquet(told)
            write_file(folder / f"{result.model}-{result.seed}.parquet", told.getvalue())
    except OSError as error:
        raise _refused(folder, error) from None
    write_json(comparison.document(folder.name), path)


def write_json(document: object, path: Path) -> None:
    """Write plain values as JSON. Raises HoneyguideError where the disk refuses."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        write_file(path, text.encode() + b"\n")
    except OSError as error:
        raise _refused(path, error) from None


def refuse_unwritable(path: Path | None) -> None:
    """CallError where a file could not be written later, said before the work begins."""
    if path is None:
        return
    if path.is_dir():
        raise CallError(f"{path} is a folder.", "Name a file to write to.")
    if not path.parent.is_dir():
        raise CallError(f"There is no folder {path.parent}.", "Make it, or write elsewhere.")


def _refused(path: Path, error: OSError) -> HoneyguideError:
    return HoneyguideError(
        f"{path} cannot be written: {error.strerror or error}.",
        "Make room there (or mend the rights), or write elsewhere.",
    )
