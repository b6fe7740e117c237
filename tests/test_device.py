"""Where and in what precision to compute."""

import pytest
import torch

from honeyguide.errors import CallError
from honeyguide.train import device
from honeyguide.train.device import autocast, choose_device, choose_precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


def cuda(monkeypatch, count: int, bf16: bool = True) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: count - 1)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)


@pytest.mark.parametrize(
    ("name", "count", "chosen"),
    [
        ("auto", 0, CPU),
        ("auto", 1, CUDA),
        ("auto", 2, torch.device("cuda", 1)),  # the current one
        ("cpu", 1, CPU),
        ("cpu:0", 0, CPU),
        ("cuda", 1, CUDA),
        ("cuda:0", 2, CUDA),
    ],
)
def test_the_device_that_was_named(monkeypatch, name, count, chosen):
    cuda(monkeypatch, count)
    assert choose_device(name) == chosen


@pytest.mark.parametrize(
    ("name", "count", "said"),
    [
        ("gpu", 1, "no device 'gpu'"),
        ("", 1, "no device ''"),
        ("meta", 1, "no device 'meta'"),
        ("mps", 1, "no device 'mps'"),
        ("cuda:x", 1, "no device 'cuda:x'"),
        ("cuda", 0, "no CUDA device"),
        ("cuda:1", 0, "no CUDA device"),
        ("cuda:2", 2, "cuda:0 to cuda:1"),
    ],
)
def test_a_device_that_is_not_there(monkeypatch, name, count, said):
    cuda(monkeypatch, count)
    with pytest.raises(CallError, match=said) as caught:
        choose_device(name)
    assert caught.value.do.endswith(".")


@pytest.mark.parametrize(
    ("where", "asked", "amx", "bf16", "chosen"),
    [
        (CPU, "auto", False, True, "f32"),
        (CPU, "auto", True, False, "bf16"),
        (CUDA, "auto", False, True, "bf16"),
        (CUDA, "auto", True, False, "f32"),
        (CPU, "bf16", False, False, "bf16"),
        (CPU, "f32", True, True, "f32"),
        (CUDA, "f32", True, True, "f32"),
    ],
)
def test_bf16_where_it_pays_or_was_asked_for(monkeypatch, where, asked, amx, bf16, chosen):
    cuda(monkeypatch, 1, bf16)
    monkeypatch.setattr(device, "has_amx", lambda: amx)
    assert choose_precision(where, asked) == chosen


def test_the_processor_answers():
    assert device.has_amx() in (True, False)


@pytest.mark.parametrize(("precision", "dtype"), [("f32", torch.float32), ("bf16", torch.bfloat16)])
def test_the_context_can_be_entered_again_and_again(precision, dtype):
    context, one = autocast(CPU, precision), torch.ones(2, 2)
    for _ in range(3):
        with context:
            assert (one @ one).dtype == dtype
        assert (one @ one).dtype == torch.float32
