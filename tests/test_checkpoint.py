"""A checkpoint is there whole, ours and undamaged, or refused."""

import errno
import os
import random

import numpy as np
import pytest
import torch

from honeyguide.errors import TrainingError
from honeyguide.files import is_temporary
from honeyguide.train import checkpoint
from honeyguide.train.average import Average
from honeyguide.train.checkpoint import FILE, Progressed, differences, fingerprint

ABOUT = {"model": "mf", "spec": {"width": 8, "batch": 64}, "seed": 0, "validation": None}


def state(**changes) -> Progressed:
    tensors = {
        "model.w": torch.arange(6.0).reshape(2, 3),
        "model.half": torch.ones(2, dtype=torch.bfloat16),
        "model.count": torch.tensor(7),
        "model.none": torch.zeros(0, 3),
        "optimiser.0.exp_avg": torch.full((2, 3), 1e-30),
    }
    plain = {"epoch": 2, "step": 5, "loss_sum": 0.1 + 0.2, "best": 1 / 3, "best_epoch": 1}
    return Progressed(**{"about": ABOUT, "tensors": tensors, **plain, **changes})


def assert_same(one: Progressed, other: Progressed) -> None:
    for name in (n for n in Progressed.__slots__ if n != "tensors"):
        assert getattr(one, name) == getattr(other, name)
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        assert tensor.dtype == other.tensors[name].dtype
        assert torch.equal(tensor, other.tensors[name])


def refused(folder, about=ABOUT) -> TrainingError:
    with pytest.raises(TrainingError) as caught:
        checkpoint.read(folder, about)
    assert "without resume" in caught.value.do
    return caught.value


def test_round_trip(tmp_path):
    assert checkpoint.read(tmp_path, ABOUT) is None
    for made in (state(), state(best=None, best_epoch=None, finished=True), state(tensors={})):
        checkpoint.write(tmp_path, made)
        read = checkpoint.read(tmp_path, ABOUT)
        assert read is not None
        assert_same(read, made)
    assert os.listdir(tmp_path) == [FILE]


def test_what_was_read_does_not_hang_on_the_file(tmp_path):
    checkpoint.write(tmp_path, state())
    read = checkpoint.read(tmp_path, ABOUT)
    with (tmp_path / FILE).open("r+b") as file:
        file.write(bytes((tmp_path / FILE).stat().st_size))
    assert read is not None
    assert_same(read, state())


def test_weights_under_two_names_and_parts_of_one_memory(tmp_path):
    tied = torch.arange(6.0)
    tensors = {"model.a": tied, "model.b": tied, "model.c": tied[2:4], "model.d": tied[::2]}
    checkpoint.write(tmp_path, state(tensors=tensors))
    read = checkpoint.read(tmp_path, ABOUT)
    assert read is not None
    assert_same(read, state(tensors=tensors))


def test_another_run_is_refused_and_told_what_changed(tmp_path):
    checkpoint.write(tmp_path, state())
    other = {**ABOUT, "spec": {"width": 16, "batch": 64}, "seed": 1, "validation": "00c0ffee"}
    wrong = refused(tmp_path, other).wrong
    assert "spec.width was 8 and is 16" in wrong
    assert "seed was 0 and is 1" in wrong
    assert 'validation was absent and is "00c0ffee"' in wrong
    assert "batch" not in wrong
    assert "model" not in wrong


def test_differences():
    assert differences(ABOUT, ABOUT) == []
    assert differences({"a": 1}, {"b": 2}) == ["a was 1 and is absent", "b was absent and is 2"]
    assert differences({"a": {"b": 1}}, {"a": None}) == ['a was {"b": 1} and is absent']


@pytest.mark.parametrize("data", [b"", b"\0" * 64, b"no checkpoint", os.urandom(1_000)])
def test_foreign_bytes_are_refused(tmp_path, data):
    (tmp_path / FILE).write_bytes(data)
    assert "cannot be read" in refused(tmp_path).wrong


def test_a_safetensors_file_that_is_no_checkpoint_is_refused(tmp_path):
    from safetensors.torch import save

    for metadata in (None, {"state": "{}"}, {"state": "{}", "sha256": "00"}):
        (tmp_path / FILE).write_bytes(save({"w": torch.zeros(2)}, metadata))
        assert "cannot be read" in refused(tmp_path).wrong


def test_a_folder_in_its_place_is_refused(tmp_path):
    (tmp_path / FILE).mkdir()
    assert "cannot be read" in refused(tmp_path).wrong


def test_no_cut_and_no_flipped_bit_is_ever_read(tmp_path):
    checkpoint.write(tmp_path, state())
    good = (tmp_path / FILE).read_bytes()
    rng = random.Random(5)
    for _ in range(300):
        bad = bytearray(good)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        (tmp_path / FILE).write_bytes(bad)
        refused(tmp_path)
    for _ in range(50):
        (tmp_path / FILE).write_bytes(good[: rng.randrange(len(good))])
        refused(tmp_path)
    (tmp_path / FILE).write_bytes(good)
    assert checkpoint.read(tmp_path, ABOUT) is not None


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_a_disk_that_refuses_leaves_the_old_one(tmp_path, monkeypatch, call):
    checkpoint.write(tmp_path, state())

    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(TrainingError, match="No space left") as caught:
            checkpoint.write(tmp_path, state(epoch=3))
    assert FILE in caught.value.wrong
    assert "still stands" in caught.value.do
    read = checkpoint.read(tmp_path, ABOUT)
    assert read is not None
    assert_same(read, state())
    assert not any(is_temporary(name) for name in os.listdir(tmp_path))


def test_removing(tmp_path):
    checkpoint.remove(tmp_path)
    checkpoint.write(tmp_path, state())
    checkpoint.remove(tmp_path)
    assert checkpoint.read(tmp_path, ABOUT) is None


def two() -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
    model = torch.nn.Linear(3, 2)
    return model, torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)


def test_pack_and_unpack_put_everything_back():
    model, optimiser = two()
    for _ in range(3):
        optimiser.zero_grad()
        model(torch.ones(1, 3)).square().sum().backward()
        optimiser.step()
    packed = checkpoint.pack(model, optimiser, {"weight": torch.zeros(1)}, Average(model, 0.0))
    packed = {name: tensor.detach().clone() for name, tensor in packed.items()}
    other, its_optimiser = two()
    best = checkpoint.unpack(packed, other, its_optimiser, Average(other, 0.0))
    assert torch.equal(best["weight"], torch.zeros(1))
    for one, two_ in ((model, optimiser), (other, its_optimiser)):
        two_.zero_grad()
        one(torch.ones(1, 3)).square().sum().backward()
        two_.step()
    assert torch.equal(model.weight, other.weight)
    assert torch.equal(model.bias, other.bias)


def test_weights_of_another_shape_are_refused():
    one, optimiser = two()
    packed = checkpoint.pack(one, optimiser, {}, Average(one, 0.0))
    model = torch.nn.Linear(4, 2)
    none = Average(model, 0.0)
    with pytest.raises(TrainingError, match="does not fit the model"):
        checkpoint.unpack(packed, model, torch.optim.AdamW(model.parameters()), none)


def test_fingerprints_see_values_types_shapes_and_order():
    one, other = np.arange(6), np.arange(6.0)
    columns: list[list[np.ndarray]] = [
        [one, other],
        [other, one],
        [one],
        [one[::2]],
        [one.reshape(2, 3)],
        [one + 1],
        [],
    ]
    columns.append([one.astype(np.int32)])
    assert len({fingerprint(column) for column in columns}) == len(columns)
    assert fingerprint([one[::2]]) == fingerprint([one[::2].copy()])
