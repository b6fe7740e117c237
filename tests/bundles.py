"""What the tests of bundles share: a tiny one, how to compare two, how to forge one."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch

from honeyguide.bundle import Contents, load
from honeyguide.errors import BundleError
from honeyguide.files import digest


def tiny(**changes) -> Contents:
    plain = Contents(
        model="ease",
        settings={"l2": 250.0, "rule": None},
        schema={"items": 3, "kinds": ["click"]},
        tensors={"item.weight": torch.arange(6.0).reshape(2, 3)},
        tables={"items": pl.DataFrame({"item_id": ["a", "b", "ü"]})},
        documents={"notes": ["guessed the time column", 0.1]},
    )
    return replace(plain, **changes)


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def assert_same(one: Contents, other: Contents) -> None:
    for part in ("model", "settings", "schema", "documents"):
        assert getattr(one, part) == getattr(other, part)
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        assert tensor.dtype == other.tensors[name].dtype
        assert tensor.shape == other.tensors[name].shape
        assert bits(tensor) == bits(other.tensors[name])
    assert one.tables.keys() == other.tables.keys()
    for name, table in one.tables.items():
        assert table.schema == other.tables[name].schema
        assert table.equals(other.tables[name])


def refusal(folder: Path) -> BundleError:
    with pytest.raises(BundleError) as raised:
        load(folder)
    assert raised.value.wrong.endswith(".")
    assert raised.value.do.endswith(".")
    return raised.value


def sign(value: dict) -> bytes:
    """A manifest with these values and the right checksum, as a forger would write it."""

    def dump(value: dict) -> bytes:
        return json.dumps(value, sort_keys=True, indent=2).encode() + b"\n"

    body = {key: part for key, part in value.items() if key != "sha256"}
    return dump({**body, "sha256": digest(dump(body))})
