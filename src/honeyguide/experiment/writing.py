"""A comparison on disk: one JSON document and one Parquet file of per-user values per result.

Each file is there whole or not at all, the document last, so that whatever it names is there.
"""

import io
import json
from pathlib import Path
from typing import Any

from honeyguide.errors import CallError, HoneyguideError
from honeyguide.experiment.compare import Comparison, per_user_frame
from honeyguide.experiment.document import file_of
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
            write_file(folder / file_of(result), told.getvalue())
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


def write_toml(fields: dict[str, Any], path: Path) -> None:
    """Write the fields of a run as TOML that run_file reads. Raises HoneyguideError."""
    try:
        write_file(path, _toml(fields).encode())
    except OSError as error:
        raise _refused(path, error) from None


def _toml(fields: dict[str, Any], prefix: str = "") -> str:
    plain = {k: v for k, v in fields.items() if v is not None and not isinstance(v, dict)}
    tables = {k: v for k, v in fields.items() if isinstance(v, dict) and v}
    # JSON writes text, numbers, truth values and lists as TOML does
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in plain.items()]
    for key, value in tables.items():
        name = f"{prefix}{key}"
        lines.append(f"\n[{name}]\n{_toml(value, f'{name}.')}")
    return "".join(lines)


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
