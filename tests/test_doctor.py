"""The doctor: what it reports, and the cure of each thing that can be broken."""

import re
from importlib import import_module
from pathlib import Path

from commands import typed
from honeyguide.cli.doctor import TESTED_TORCH

ROOT = Path(__file__).resolve().parent.parent


def test_doctor_is_content(capsys, monkeypatch):
    monkeypatch.delenv("HONEYGUIDE_DATA", raising=False)
    said = typed(capsys, "doctor")
    assert said.status == 0
    for line in ("torch ", "threads", "AMX", "data folder", "cache", "extra dev"):
        assert re.search(rf"^ok +{line}", said.out, re.MULTILINE), line


def test_doctor_knows_the_pinned_torch():
    assert f"torch=={TESTED_TORCH}\n" in (ROOT / "constraints.txt").read_text()


def test_doctor_names_the_cure_of_a_missing_data_folder(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HONEYGUIDE_DATA", str(tmp_path / "gone"))
    said = typed(capsys, "doctor")
    assert said.status == 1
    assert "BROKEN  data folder" in said.out
    assert "Set HONEYGUIDE_DATA" in said.out


def test_doctor_survives_a_torch_that_cannot_be_imported(capsys, monkeypatch):
    def import_(name):
        if name == "torch":
            raise ImportError("libtorch.so: cannot open shared object file")
        return import_module(name)

    monkeypatch.setattr("honeyguide.cli.doctor.import_module", import_)
    said = typed(capsys, "doctor")
    assert said.status == 1
    assert "BROKEN  torch" in said.out
    assert "pip install --force-reinstall --no-deps torch" in said.out


def test_doctor_finds_numpy_and_torch_at_odds(capsys, monkeypatch):
    import torch

    def refuse(array):
        raise RuntimeError("Numpy is not available")

    monkeypatch.setattr(torch, "from_numpy", refuse)
    said = typed(capsys, "doctor")
    assert said.status == 1
    assert "torch and numpy: do not fit together" in said.out


def test_doctor_finds_a_cache_that_cannot_be_written(capsys, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    said = typed(capsys, "doctor")
    assert said.status == 1
    assert "Set XDG_CACHE_HOME" in said.out
