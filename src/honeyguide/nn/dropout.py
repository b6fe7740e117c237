"""Dropout whose mask costs next to nothing on a CPU.

torch draws one Bernoulli number after another there, on one thread: a third of a SASRec step on two
cores. Here a counter-based hash gives 32 bits an element, all threads at once; the seed comes from
torch's generator, or from one of a thread's own, and gives one mask whatever the number of threads.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numba import njit
from torch import Tensor, nn
from torch.nn.functional import dropout

from honeyguide.nn.parallel import over_rows

CHUNK = 1 << 16
HALF = (1 << 32) - 1
_own = threading.local()  # the generator of a thread that is seeded apart


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Masks of this thread are drawn by this seed, whatever other threads draw meanwhile."""
    before = getattr(_own, "generator", None)
    _own.generator = torch.Generator().manual_seed(seed)
    try:
        yield
    finally:
        _own.generator = before


def drawn_seed() -> int:
    return int(torch.randint(1 << 62, (), generator=getattr(_own, "generator", None)).item())


class Dropout(nn.Module):
    """While training, an element is zero with probability p, the rest scaled by 1 / (1 - p)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return dropout(x, self.p)
        dropped: Tensor = _Masked.apply(x, self.p, drawn_seed())  # type: ignore[no-untyped-call]
        return dropped


def drawn_by(seed: int, p: float) -> tuple[np.uint32, np.uint32, np.uint32]:
    """What the kernels know of a seed, and below what the hash of an element keeps it."""
    kept = np.uint32(min(round((1 - p) * (HALF + 1)), HALF))
    return np.uint32(seed & HALF), np.uint32(seed >> 32 & HALF), kept


def _in_pieces(size: int, work: Callable[[int, int], object]) -> None:
    over_rows(-(-size // CHUNK), lambda a, b: work(a * CHUNK, min(b * CHUNK, size)), block=1)


class _Masked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float, seed: int) -> Tensor:
        scale = torch.empty(x.shape, dtype=torch.float32)
        flat = scale.view(-1).numpy()
        by = (*drawn_by(seed, p), np.float32(1 / (1 - p)))
        _in_pieces(len(flat), lambda start, stop: _fill(flat, start, stop, *by))
        scale = scale.to(x.dtype)
        ctx.save_for_backward(scale)
        return x * scale

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (scale,) = ctx.saved_tensors
        return grads[0] * scale, None, None


class ReluDropout(Dropout):
    """relu, then dropout, in one pass forwards and one backwards.

    Nothing is kept but what comes out: it is zero where either stopped the gradient.
    """

    def forward(self, x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        if not self.training or self.p == 0 or x.device.type != "cpu" or x.dtype not in BITS:
            return super().forward(torch.relu(x))
        dropped: Tensor = _ReluMasked.apply(x, self.p, drawn_seed())  # type: ignore[no-untyped-call]
        return dropped


# floats above zero are integers above zero, whatever their width; without its sign NaN lies above
# infinity
BITS = {
    torch.float32: (torch.int32, np.int32(0x7FFFFFFF), np.int32(0x7F800000)),
    torch.bfloat16: (torch.int16, np.int32(0x7FFF), np.int32(0x7F80)),
}


class _ReluMasked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float, seed: int) -> Tensor:
        bits, *limits = BITS[x.dtype]
        out = torch.empty_like(x, memory_format=torch.contiguous_format)
        given, made = (part.view(-1).view(bits).numpy() for part in (x.contiguous(), out))
        by = (*drawn_by(seed, p), *limits)
        _in_pieces(len(made), lambda start, stop: _pass_on(given, made, start, stop, *by))
        out.mul_(1 / (1 - p))
        ctx.save_for_backward(out)
        ctx.factor = 1 / (1 - p)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (out,) = ctx.saved_tensors
        passed = torch.ops.aten.threshold_backward(grads[0], out, 0)
        return passed.mul_(ctx.factor), None, None


@njit(cache=True, nogil=True)
def hashed(place, low, high):  # type: ignore[no-untyped-def]
    # two rounds of multiply and shift (Mueller's), in 32 bits so that 16 fit a register; numba
    # widens a product of 32 bits unless it is told not to
    x = np.uint32(np.uint32(place) * np.uint32(0x9E3779B9) + low)
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D))
    x = np.uint32((x ^ high ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


@njit(cache=True, nogil=True)
def _fill(out, start, stop, low, high, kept, factor):  # type: ignore[no-untyped-def]
    for place in range(start, stop):
        out[place] = factor if hashed(place, low, high) < kept else np.float32(0)


@njit(cache=True, nogil=True)
def _pass_on(given, made, start, stop, low, high, kept, size, infinity):  # type: ignore[no-untyped-def]
    # positive values where they are kept, and NaN
    for place in range(start, stop):
        bits = np.int32(given[place])
        passes = (bits > 0) & (hashed(place, low, high) < kept) | ((bits & size) > infinity)
        made[place] = bits if passes else np.int32(0)
