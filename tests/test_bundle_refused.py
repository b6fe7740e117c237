"""A bundle that is damaged, forged, foreign or newer is refused, with a reason."""

import json
import os
import random
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bundles import assert_same, refusal, sign, tiny
from honeyguide.bundle import describe, load, save
from honeyguide.bundle.manifest import compose, parse
from honeyguide.errors import BundleError

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
TENSORS = ("files", "tensors")


@pytest.fixture
def bundle(tmp_path) -> Path:
    save(tiny(), tmp_path / "shop", created=NOON)
    return tmp_path / "shop"


def test_a_thousand_truncations_and_flips_never_load(bundle):
    rng = random.Random(20260102)
    originals = {path: path.read_bytes() for path in sorted(bundle.iterdir())}
    touched = dict.fromkeys(originals, 0)
    for _ in range(1_000):
        path = rng.choice(list(originals))
        damaged = bytearray(originals[path])
        if rng.random() < 0.4:
            del damaged[rng.randrange(len(damaged)) :]
        else:
            for place in rng.sample(range(len(damaged) * 8), rng.choice((1, 1, 2, 8))):
                damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        refusal(bundle)
        path.write_bytes(originals[path])
        touched[path] += 1
    assert min(touched.values()) > 200
    assert_same(tiny(), load(bundle))


def test_no_single_flipped_bit_of_the_manifest_passes(bundle):
    raw = (bundle / "manifest.json").read_bytes()
    for place in range(len(raw) * 8):
        damaged = bytearray(raw)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(BundleError):
            parse(bytes(damaged), "It")


def test_added_or_random_bytes_never_load(bundle):
    rng = random.Random(7)
    for path in sorted(bundle.iterdir()):
        original = path.read_bytes()
        fakes = [original + b"\n", b" " + original, b"", rng.randbytes(len(original))]
        for fake in fakes + [rng.randbytes(n) for n in (1, 100, 5_000)]:
            path.write_bytes(fake)
            refusal(bundle)
        path.write_bytes(original)
    assert_same(tiny(), load(bundle))


def test_random_bytes_with_the_right_checksum_are_refused(tmp_path):
    rng = random.Random(8)
    for role in ("tensors", "table.items", "document.notes"):
        for data in (b"", b"{", b"[" * 100_000, b"PAR1" * 4, rng.randbytes(8), rng.randbytes(999)):
            blobs = {"tensors": b"\x02\0\0\0\0\0\0\0{}", role: data}
            manifest, raw = compose("ease", {}, {}, blobs, NOON)
            folder = tmp_path / manifest.sha256
            folder.mkdir()
            (folder / "manifest.json").write_bytes(raw)
            for key, file in manifest.files.items():
                (folder / file.name).write_bytes(blobs[key])
            assert f"cannot be read as {role}" in refusal(folder).wrong


def test_the_reason_and_the_cure_are_named(bundle, tmp_path):
    assert "There is no folder" in refusal(tmp_path / "no").wrong
    assert "has no manifest.json" in refusal(tmp_path).wrong
    name = describe(bundle).files["tensors"].name
    good = (bundle / name).read_bytes()
    (bundle / name).write_bytes(good[:-1])
    assert "truncated" in refusal(bundle).wrong
    (bundle / name).write_bytes(good[:-1] + b"x")
    assert "checksum" in refusal(bundle).wrong
    (bundle / name).unlink()
    assert f"lacks its file {name}" in refusal(bundle).wrong
    (bundle / "manifest.json").write_text('{"format": "pickle-of-horrors"}')
    assert "something else wrote it" in refusal(bundle).wrong
    (bundle / "manifest.json").write_bytes(b"\x80\x04\x95")
    assert "not JSON" in refusal(bundle).wrong


def test_a_newer_bundle_asks_for_an_upgrade(bundle):
    value = json.loads((bundle / "manifest.json").read_bytes())
    newer = {**value, "format_version": 2, "something": "new"}
    (bundle / "manifest.json").write_bytes(sign(newer))
    error = refusal(bundle)
    assert "format version 2" in error.wrong
    assert "pip install --upgrade honeyguide" in error.do


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [
        (TENSORS, "name", "../tensors-0123456789ab.safetensors"),
        (TENSORS, "name", "/dev/zero"),
        (TENSORS, "name", "tensors\\x.safetensors"),
        (TENSORS, "name", "manifest.json"),
        (TENSORS, "name", ""),
        (TENSORS, "bytes", -1),
        (TENSORS, "bytes", True),
        (TENSORS, "bytes", 64.0),
        (TENSORS, "bytes", 1 << 62),
        (TENSORS, "sha256", "A" * 64),
        (TENSORS, "sha256", "0" * 63),
        (TENSORS, "mode", "0777"),
        (("files",), "table.../../x", {"name": "x", "bytes": 1, "sha256": "0" * 64}),
        (("files",), "tensors", None),
        ((), "files", {}),
        ((), "files", []),
        ((), "format_version", 0),
        ((), "format_version", "1"),
        ((), "format_version", True),
        ((), "format_version", None),
        ((), "model", 3),
        ((), "settings", []),
        ((), "created", "yesterday"),
        ((), "extra", 1),
    ],
)
def test_a_forged_manifest_is_refused(bundle, where, key, value):
    forged = json.loads((bundle / "manifest.json").read_bytes())
    inner = forged
    for step in where:
        inner = inner[step]
    inner[key] = value
    (bundle / "manifest.json").write_bytes(sign(forged))
    refusal(bundle)
    with pytest.raises(BundleError):
        describe(bundle)


def test_the_forgery_itself_is_sound(bundle):
    raw = (bundle / "manifest.json").read_bytes()
    assert sign(json.loads(raw)) == raw


def test_an_absurd_size_is_refused_before_it_is_read(bundle):
    size = 1 << 39
    value = json.loads((bundle / "manifest.json").read_bytes())
    value["files"]["tensors"]["bytes"] = size
    (bundle / "manifest.json").write_bytes(sign(value))
    os.truncate(bundle / value["files"]["tensors"]["name"], size)
    assert "memory" in refusal(bundle).wrong
    os.truncate(bundle / "manifest.json", size)
    assert "more than" in refusal(bundle).wrong


def test_what_is_no_file_is_refused_at_once(bundle):
    for name in sorted(os.listdir(bundle), reverse=True):
        original = (bundle / name).read_bytes()
        for make in (os.mkfifo, os.mkdir, lambda path: os.symlink(path, path)):
            (bundle / name).unlink()
            make(bundle / name)
            assert name in refusal(bundle).wrong
            shutil.rmtree(bundle / name) if make is os.mkdir else (bundle / name).unlink()
            (bundle / name).write_bytes(original)
