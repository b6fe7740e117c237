"""Where and in what precision to compute, decided when training starts."""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from honeyguide.errors import CallError

Format = Literal["f32", "bf16"]
Precision = Literal["auto", Format]


def choose_device(name: str = "auto") -> torch.device:
    """The device with this name, CUDA ones with their number; "auto" takes CUDA where it is.

    Raises CallError.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise CallError(f"There is no device {name!r}.", "Use auto, cpu, cuda or cuda:NUMBER.")
    if device.type == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise CallError(
            "This machine has no CUDA device.",
            'Say Training(device="cpu") or Training(device="auto").',
        )
    count = torch.cuda.device_count()
    if device.index is not None and device.index >= count:
        raise CallError(
            f"There is no device {name!r}.", f"This machine has cuda:0 to cuda:{count - 1}."
        )
    return device if device.index is not None else torch.device("cuda", torch.cuda.current_device())


def has_amx() -> bool:
    """Whether the processor multiplies bf16 tiles (Intel AMX).

    Without them bf16 is slower than f32: 68 against 140 GFLOP/s on an AVX512-BF16 processor, two
    cores, product of 2,000 x 2,000.
    """
    return bool(torch.cpu._is_amx_tile_supported())


def choose_precision(device: torch.device, asked: Precision) -> Format:
    """What was asked for; "auto" takes bf16 where the device multiplies it faster than f32."""
    if asked != "auto":
        return asked
    if device.type == "cpu":
        return "bf16" if has_amx() else "f32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "f32"


def autocast(device: torch.device, precision: Format) -> AbstractContextManager[object]:
    """The context in which losses are computed; it may be entered again and again."""
    if precision == "f32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
