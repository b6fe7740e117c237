"""Where and in what precision to compute, decided when training starts."""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from honeyguide.errors import CallError

Precision = Literal["auto", "f32", "bf16"]


def choose_device(name: str = "auto") -> torch.device:
    """The device with this name; "auto" takes CUDA where there is one. Raises CallError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise CallError(f"There is no device {name!r}.", "Use auto, cpu or cuda.") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise CallError("This machine has no CUDA device.", "Use --device cpu or auto.")
    return device


def has_amx() -> bool:
    """Whether the processor multiplies bf16 tiles (Intel AMX).

    Without them bf16 is slower than f32: 68 against 140 GFLOP/s on an AVX512-BF16 processor, two
    cores, product of 2,000 x 2,000 (benchmarks/precision.py).
    """
    return bool(torch.cpu._is_amx_tile_supported())


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """bf16 where asked for, or where it pays and nothing was asked for."""
    pays = has_amx() if device.type == "cpu" else torch.cuda.is_bf16_supported()
    if precision == "bf16" or (precision == "auto" and pays):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()
