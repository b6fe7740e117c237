"""What a bundle holds, as values in memory and as bytes; nothing here touches a disk.

Three formats, none of which can run code when it is read: safetensors for tensors, Parquet for
tables, JSON for documents.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
import safetensors.torch
import torch

from honeyguide.bundle.manifest import Manifest, canonical
from honeyguide.errors import BundleError


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """Everything that makes a recommender, by name; the values a bundle is written from.

    model:     the model's name, as in the table of models.
    settings:  the model's spec, a JSON object.
    schema:    what the model was built for (numbers of items, columns, ...), a JSON object.
    tensors:   weights, any shape and dtype (except complex128 and sparse ones).
    tables:    item names, user names, histories, ...
    documents: any further JSON values, such as the resolved configuration of the run.

    Names of tables and documents have up to 64 of a-z, 0-9 and _ and begin with a letter.
    """

    model: str
    settings: dict[str, Any]
    schema: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    tables: dict[str, pl.DataFrame]
    documents: dict[str, Any]


def encode(contents: Contents) -> dict[str, bytes]:
    """Role to bytes; equal contents give equal bytes. BundleError names what cannot be stored."""
    blobs = {"tensors": _pack(contents.tensors)}
    for name, table in contents.tables.items():
        blobs[f"table.{name}"] = _to_parquet(name, table)
    for name, document in contents.documents.items():
        blobs[f"document.{name}"] = canonical(f"the document {name!r}", document)
    return blobs


def decode(manifest: Manifest, blobs: Mapping[str, bytes]) -> Contents:
    """The contents in these verified bytes; BundleError if they are not what their role says."""
    tensors: dict[str, torch.Tensor] = {}
    tables: dict[str, pl.DataFrame] = {}
    documents: dict[str, Any] = {}
    for role, data in blobs.items():
        kind, _, name = role.partition(".")
        # A hash says that these are the bytes that were saved, not that an honest program saved
        # them: the parsers may meet anything, and polars answers some of it with a panic.
        try:
            if kind == "tensors":
                tensors = safetensors.torch.load(data)
            elif kind == "table":
                tables[name] = pl.read_parquet(io.BytesIO(data))
            else:
                documents[name] = json.loads(data)
        except (Exception, pl.exceptions.PanicException) as error:
            raise BundleError(
                f"{manifest.files[role].name} is what was saved, but it cannot be read as "
                f"{role}: {error}.",
                "Ask whoever made the bundle, or train and save it again.",
            ) from error
    return Contents(manifest.model, manifest.settings, manifest.schema, tensors, tables, documents)


def _pack(tensors: Mapping[str, torch.Tensor]) -> bytes:
    plain: dict[str, torch.Tensor] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        if name == "__metadata__":
            raise BundleError(
                "No tensor can be saved under the name '__metadata__', which safetensors keeps "
                "for itself.",
                "Give it another name.",
            )
        try:
            dense = tensor.detach().cpu().contiguous().resolve_conj().resolve_neg()
            storage = dense.untyped_storage().data_ptr()
        except RuntimeError as error:
            raise _cannot_hold(f"the tensor {name!r}", tensor, error) from error
        # safetensors refuses tensors that share memory, as tied weights do; each gets its own.
        plain[name] = dense.clone() if storage in storages else dense
        storages.add(storage)
    try:
        return safetensors.torch.save(plain)
    except (KeyError, ValueError, RuntimeError) as error:
        kinds = sorted({str(tensor.dtype) for tensor in plain.values()})
        raise _cannot_hold("a tensor", ", ".join(kinds), error) from error


def _to_parquet(name: str, table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    try:
        table.write_parquet(buffer)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _cannot_hold(f"the table {name!r}", table.schema, error) from error
    return buffer.getvalue()


def _cannot_hold(what: str, kind: object, error: BaseException) -> BundleError:
    shown = f"{kind.dtype}, {kind.layout}" if isinstance(kind, torch.Tensor) else str(kind)
    return BundleError(
        f"A bundle cannot hold {what} ({shown}): {error}.",
        "Tensors must be dense and of a type safetensors knows, columns of a type Parquet knows.",
    )
