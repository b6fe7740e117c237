"""The manifest: the one file that says what a bundle is, and the moment at which it becomes so.

It names every other file with its size and SHA-256 and carries a SHA-256 of itself. Its bytes must
also be exactly what we would write for the same values, so that no changed bit passes, not even
one in white space. A file's name follows from its role and its hash; whatever else a manifest
claims is refused, so a name can never point outside the folder.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from honeyguide.errors import BundleError
from honeyguide.files import digest

MANIFEST = "manifest.json"
FORMAT = "honeyguide-bundle"
FORMAT_VERSION = 1
MANIFEST_LIMIT = 16 << 20
FILE_LIMIT = 1 << 40
COUNT_LIMIT = 256

EXTENSIONS = {"tensors": "safetensors", "table": "parquet", "document": "json"}
_NAME = r"[a-z][a-z0-9_]{0,63}"
_ROLE = re.compile(rf"(tensors)|(table|document)\.({_NAME})")
_FILE = re.compile(rf"{_NAME}-[0-9a-f]{{12}}\.({'|'.join(EXTENSIONS.values())})")

Text = Annotated[str, StringConstraints(strict=True, min_length=1)]
Digest = Annotated[str, StringConstraints(strict=True, pattern="^[0-9a-f]{64}$")]
Moment = Annotated[
    str, StringConstraints(strict=True, pattern=r"^[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z$")
]


@dataclass(frozen=True, slots=True)
class File:
    """One file of a bundle: its name in the folder, its size in bytes, its SHA-256."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: Text
    bytes: Annotated[int, Field(strict=True, ge=0, le=FILE_LIMIT)]
    sha256: Digest


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says about itself.

    `files` maps roles (`tensors`, `table.NAME`, `document.NAME`) to files, `created` is RFC 3339
    in UTC, and `sha256` names this very bundle: it differs as soon as anything in it differs.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    format_version: Annotated[int, Field(strict=True, ge=1, le=FORMAT_VERSION)]
    honeyguide: Text
    created: Moment
    model: Text
    settings: dict[str, Any]
    schema: dict[str, Any]
    files: Annotated[dict[str, File], Field(max_length=COUNT_LIMIT)]
    sha256: Digest

    @property
    def names(self) -> frozenset[str]:
        """The file names, without the manifest's own."""
        return frozenset(file.name for file in self.files.values())

    @property
    def bytes(self) -> int:
        """The size of all files in bytes, without the manifest's own."""
        return sum(file.bytes for file in self.files.values())


_MANIFEST: TypeAdapter[Manifest] = TypeAdapter(Manifest)


def canonical(what: str, value: Any) -> bytes:
    """The one way to write a JSON value; BundleError if it would not be read back the same."""
    try:
        raw = _dump(value)
        same = json.loads(raw) == value
    except (TypeError, ValueError, RecursionError) as error:
        raise BundleError(
            f"The bundle cannot be saved: {what} is not JSON ({error}).",
            "Use only null, booleans, finite numbers, text, lists and dictionaries with text keys.",
        ) from error
    if not same:
        raise BundleError(
            f"The bundle cannot be saved: {what} would be read back different.",
            "Use lists instead of tuples, and text for the keys of dictionaries.",
        )
    return raw


def named(role: str, sha256: str) -> str:
    """The file name that a role and a hash lead to; BundleError for a role we do not know."""
    match = _ROLE.fullmatch(role)
    if match is None:
        raise BundleError(
            f"A bundle has no place for {role!r}.",
            "The places are tensors, table.NAME and document.NAME; a NAME has up to 64 of a-z, "
            "0-9 and _ and begins with a letter.",
        )
    kind = match[1] or match[2]
    return f"{match[3] or kind}-{sha256[:12]}.{EXTENSIONS[kind]}"


def is_ours(name: str) -> bool:
    """Whether a file name is one that a bundle gives (the manifest's own not included)."""
    return _FILE.fullmatch(name) is not None


def compose(
    model: str,
    settings: Mapping[str, Any],
    schema: Mapping[str, Any],
    blobs: Mapping[str, bytes],
    created: datetime,
) -> tuple[Manifest, bytes]:
    """The manifest for these files (role to bytes) and the bytes to write for it."""
    canonical("settings", settings)
    canonical("schema", schema)
    files = {role: _file(role, data) for role, data in blobs.items()}
    body = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        # By name, because an import statement would tie this floor to the package's front door,
        # which imports every floor.
        "honeyguide": import_module("honeyguide").__version__,
        "created": created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "model": model,
        "settings": settings,
        "schema": schema,
        "files": {role: asdict(file) for role, file in files.items()},
    }
    raw = _dump({**body, "sha256": digest(_dump(body))})
    if len(raw) > MANIFEST_LIMIT:
        raise BundleError(
            f"The bundle cannot be saved: its manifest would have {len(raw):,} bytes and may have "
            f"{MANIFEST_LIMIT:,}.",
            "Put long lists into a table or a document instead of settings or schema.",
        )
    try:
        return parse(raw, "The manifest to be written"), raw
    except BundleError as error:
        raise BundleError(
            error.wrong,
            "Nothing was saved; a bundle needs a model's name and may have up to "
            f"{COUNT_LIMIT} files.",
        ) from None


def parse(raw: bytes, whose: str) -> Manifest:
    """The manifest in these bytes, verified; `whose` begins the message of the BundleError."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        raise BundleError(
            f"{whose} is not JSON: it is damaged, or this is no Honeyguide bundle.", _RESTORE
        ) from None
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise BundleError(
            f"{whose} is not one of {FORMAT}: something else wrote it.",
            "Give the folder that a Honeyguide recommender was saved to.",
        )
    version = value.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise BundleError(
            f"{whose} has format version {version}; this Honeyguide reads up to {FORMAT_VERSION}.",
            "Upgrade honeyguide (pip install --upgrade honeyguide), or save the bundle anew with "
            "this version.",
        )
    claimed = value.pop("sha256", None)
    try:
        genuine = digest(_dump(value)) == claimed and _dump({**value, "sha256": claimed}) == raw
    except (TypeError, ValueError, RecursionError):
        genuine = False
    if not genuine:
        raise BundleError(f"{whose} does not match its own checksum: it is damaged.", _RESTORE)
    del value["format"]
    try:
        manifest = _MANIFEST.validate_python({**value, "sha256": claimed})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BundleError(f"{whose} cannot be right: {where}: {first['msg']}.", _RESTORE) from None
    _check_names(manifest, whose)
    return manifest


_RESTORE = "Restore the bundle from a copy, or train and save it again."


def _check_names(manifest: Manifest, whose: str) -> None:
    if "tensors" not in manifest.files:
        raise BundleError(f"{whose} names no tensors.", _RESTORE)
    for role, file in manifest.files.items():
        expected = named(role, file.sha256)
        if file.name != expected:
            raise BundleError(
                f"{whose} names the file {file.name!r} for {role}, which has to be {expected!r}.",
                "Do not use this bundle: somebody changed it by hand. " + _RESTORE,
            )


def _file(role: str, data: bytes) -> File:
    sha256 = digest(data)
    return File(named(role, sha256), len(data), sha256)


def _dump(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=True, allow_nan=False)
    return text.encode("ascii") + b"\n"
