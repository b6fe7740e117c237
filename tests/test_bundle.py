"""A bundle comes back exactly as it was saved; what could not come back is not saved."""

import json
import os
import shutil
from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest
import torch

from bundles import assert_same, refusal, sign, tiny
from honeyguide.bundle import Contents, describe, load, save
from honeyguide.bundle.manifest import COUNT_LIMIT, MANIFEST_LIMIT
from honeyguide.errors import BundleError
from honeyguide.files import digest

NUMBERS = {
    "Int": (8, 16, 32, 64, 128),
    "UInt": (8, 16, 32, 64),
    "Float": (32, 64),
}
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn,
    torch.float8_e5m2, torch.complex64, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint64, torch.uint32, torch.uint16, torch.uint8, torch.bool,
]  # fmt: skip


@pytest.fixture
def bundle(tmp_path) -> Path:
    save(tiny(), tmp_path / "shop", created=NOON)
    return tmp_path / "shop"


# --- round trips


def test_every_dtype_and_shape_comes_back(tmp_path):
    generator = torch.Generator().manual_seed(1)
    tensors = {}
    for dtype in DTYPES:
        for shape in ((), (0,), (3, 0, 2), (1,), (2, 3, 5)):
            size = torch.zeros(shape, dtype=dtype).nbytes
            raw = torch.randint(0, 2 if dtype == torch.bool else 256, (size,), generator=generator)
            values = raw.to(torch.uint8).view(dtype) if size else torch.zeros(shape, dtype=dtype)
            tensors[f"{dtype}{list(shape)}"] = values.reshape(shape)
    save(tiny(tensors=tensors), tmp_path / "b")
    assert_same(tiny(tensors=tensors), load(tmp_path / "b"))


def test_odd_tensors_come_back_plain(tmp_path):
    base = torch.randn(4, 6)
    tensors = {
        "transposed": base.T,
        "tied": base,
        "tied_again": base,
        "part": base[1:3, ::2],
        "learned": torch.nn.Parameter(base),
        "conjugate": torch.complex(base, base).conj(),
        "not a name, but a name": torch.tensor(float("nan")),
    }
    save(tiny(tensors=tensors), tmp_path / "b")
    back = load(tmp_path / "b").tensors
    for name, tensor in tensors.items():
        assert back[name].shape == tensor.shape
        assert torch.equal(back[name], tensor.detach()) or name.startswith("not")
        assert not back[name].requires_grad
    back["tied"].zero_()
    assert torch.equal(back["tied_again"], base)


def test_every_column_type_comes_back(tmp_path):
    tables = {
        "items": pl.DataFrame(
            {
                "text": ["a", "", None],
                "list": [[1, 2], [], None],
                "struct": [{"a": 1, "b": "x"}] * 3,
                "vector": pl.Series([[1.0, 2.0]] * 3, dtype=pl.Array(pl.Float32, 2)),
                "category": pl.Series(["x", "y", None], dtype=pl.Categorical),
                "enum": pl.Series(["x", "y", "x"], dtype=pl.Enum(["x", "y"])),
                "day": [date(2026, 1, 1)] * 3,
                "moment": [datetime(2026, 1, 1, tzinfo=UTC)] * 3,
                "flag": [True, False, None],
                "bytes": [b"\0", b"", None],
                "nothing": [None] * 3,
                "nan": [float("nan"), float("inf"), -0.0],
            }
        ),
        "numbers": pl.DataFrame(
            {f"{kind}{n}": pl.Series([0, 1, 2], dtype=getattr(pl, f"{kind}{n}"))
             for kind, sizes in NUMBERS.items() for n in sizes}
        ),
        "no_rows": pl.DataFrame(schema={"item_id": pl.String, "n": pl.UInt8}),
        "no_columns": pl.DataFrame(),
    }  # fmt: skip
    save(tiny(tables=tables), tmp_path / "b")
    assert_same(tiny(tables=tables), load(tmp_path / "b"))


def test_documents_and_settings_come_back(tmp_path):
    value = {"": [None, True, 0, -0.0, 0.1, 1e300, "ü\u2028\0 \ud800", {"z": {}, "a": []}]}
    contents = tiny(settings=value, schema=value, documents={"config": value, "x": None, "y": 1})
    save(contents, tmp_path / "b")
    assert_same(contents, load(tmp_path / "b"))


def test_nothing_at_all_comes_back(tmp_path):
    contents = Contents("popular", {}, {}, {}, {}, {})
    save(contents, tmp_path / "b")
    assert_same(contents, load(tmp_path / "b"))


def test_describe_tells_what_stands_there(bundle):
    manifest = describe(bundle)
    assert (manifest.model, manifest.created) == ("ease", "2026-01-02T12:00:00Z")
    assert manifest.format_version == 1
    assert manifest.settings == tiny().settings
    assert set(manifest.files) == {"tensors", "table.items", "document.notes"}
    assert manifest.names | {"manifest.json"} == set(os.listdir(bundle))
    for file in manifest.files.values():
        data = (bundle / file.name).read_bytes()
        assert (len(data), digest(data)) == (file.bytes, file.sha256)
        assert file.sha256[:12] in file.name
    with pytest.raises(FrozenInstanceError):
        manifest.model = "popular"  # type: ignore[misc]


def test_equal_contents_give_equal_bytes(bundle, tmp_path):
    elsewhere = datetime(2026, 1, 2, 17, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    save(tiny(), tmp_path / "other", created=elsewhere)
    for name in os.listdir(bundle):
        assert (bundle / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_a_bundle_may_be_moved_and_copied(bundle, tmp_path):
    shutil.copytree(bundle, tmp_path / "copy")
    shutil.move(bundle, tmp_path / "moved")
    assert_same(load(tmp_path / "copy"), load(tmp_path / "moved"))


# --- what cannot be saved


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"settings": {"a": float("nan")}}, "settings is not JSON"),
        ({"settings": {"a": (1, 2)}}, "settings would be read back different"),
        ({"schema": {"a": {1: "b"}}}, "schema would be read back different"),
        ({"documents": {"config": {"path": Path("x")}}}, "document 'config' is not JSON"),
        ({"documents": {"Config": {}}}, "no place for 'document.Config'"),
        ({"tables": {"../items": pl.DataFrame()}}, "no place for 'table.../items'"),
        ({"tables": {"items": pl.DataFrame({"a": [object()]})}}, "the table 'items'"),
        ({"tensors": {"a": torch.eye(2).to_sparse()}}, "the tensor 'a'"),
        ({"tensors": {"a": torch.empty(2, device="meta")}}, "the tensor 'a'"),
        ({"tensors": {"a": torch.zeros(2, dtype=torch.complex128)}}, "complex128"),
        ({"tensors": {"__metadata__": torch.zeros(2)}}, "__metadata__"),
        ({"model": ""}, "model"),
        ({"schema": {"a": "x" * MANIFEST_LIMIT}}, "manifest would have"),
        ({"documents": {f"d{n}": n for n in range(COUNT_LIMIT)}}, "files"),
    ],
)
def test_what_cannot_come_back_is_not_saved(bundle, changes, said):
    before = sorted(os.listdir(bundle))
    with pytest.raises(BundleError) as raised:
        save(tiny(**changes), bundle)
    assert said in raised.value.wrong
    assert sorted(os.listdir(bundle)) == before
    assert_same(tiny(), load(bundle))


def test_a_moment_needs_a_time_zone(tmp_path):
    with pytest.raises(BundleError, match="time zone"):
        save(tiny(), tmp_path / "b", created=datetime(2026, 1, 1))


# --- where a bundle may be saved


def test_a_save_replaces_the_bundle_and_keeps_strangers_files(bundle):
    (bundle / "README.txt").write_text("mine")
    before = set(os.listdir(bundle))
    same = describe(bundle).files["table.items"].name
    stamp = (bundle / same).stat().st_ino
    new = tiny(tensors={"w": torch.ones(2)}, documents={})
    save(new, bundle)
    assert_same(new, load(bundle))
    assert set(os.listdir(bundle)) == describe(bundle).names | {"manifest.json", "README.txt"}
    assert before & set(os.listdir(bundle)) == {same, "manifest.json", "README.txt"}
    assert (bundle / same).stat().st_ino == stamp, "an unchanged file is not written again"


def test_overwriting_can_be_forbidden(bundle, tmp_path):
    with pytest.raises(BundleError, match="already stands"):
        save(tiny(documents={}), bundle, overwrite=False)
    assert_same(tiny(), load(bundle))
    save(tiny(), tmp_path / "deep" / "new", overwrite=False)
    assert_same(tiny(), load(tmp_path / "deep" / "new"))


@pytest.mark.parametrize(
    "name", ["thesis.tex", "manifest.json", "manifest.json.bak", "items-0123456789ab.parquet.old"]
)
def test_another_folder_is_never_mixed_with(tmp_path, name):
    (tmp_path / name).write_text('{"name": "a web page"}')
    with pytest.raises(BundleError, match="Nothing was saved"):
        save(tiny(), tmp_path)
    assert os.listdir(tmp_path) == [name]


def test_what_a_killed_first_save_left_is_no_stranger(tmp_path):
    (tmp_path / ".hg-0123456789abcdef.tmp").write_bytes(b"half")
    (tmp_path / "tensors-0123456789ab.safetensors").write_bytes(b"whole, but named by nobody")
    save(tiny(), tmp_path)
    assert set(os.listdir(tmp_path)) == describe(tmp_path).names | {"manifest.json"}


def test_a_damaged_or_newer_bundle_is_not_overwritten(bundle):
    good = (bundle / "manifest.json").read_bytes()
    newer = sign({**json.loads(good), "format_version": 2})
    for raw in (good[:-1], newer):
        (bundle / "manifest.json").write_bytes(raw)
        with pytest.raises(BundleError, match="Move that folder away"):
            save(tiny(documents={}), bundle)
        assert (bundle / "manifest.json").read_bytes() == raw


def test_a_damaged_file_is_repaired_by_saving_again(bundle):
    name = describe(bundle).files["tensors"].name
    (bundle / name).write_bytes(b"rot")
    refusal(bundle)
    save(tiny(), bundle)
    assert_same(tiny(), load(bundle))


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BundleError):
            save(tiny(), folder)
        refusal(folder)
