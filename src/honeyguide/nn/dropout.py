"""Dropout whose mask costs next to nothing on a CPU.

torch draws one Bernoulli number after another there, on one thread: a third of a SASRec step on two
cores. Here a counter-based hash gives 32 bits an element, all threads at once; the seed comes from
torch's generator, or from one of a thread's own, and gives one mask whatever the number of threads.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numba import njit
from torch import Tensor, nn
from torch.nn.functional import dropout

from honeyguide.nn.bits import INTEGERS, bits_of, narrow, wide
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
        if not _has_bits(x):
            return dropout(x, self.p)
        dropped: Tensor = _Masked.apply(x, self.p, drawn_seed())  # type: ignore[no-untyped-call]
        return dropped

    def onto(self, base: Float[Tensor, "*any"], x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """base + self(x), in one pass where base is f32."""
        fits = _has_bits(x) and base.dtype == torch.float32 and base.shape == x.shape
        if not self.training or self.p == 0 or not fits:
            plain: Tensor = base + self(x)
            return plain
        added: Tensor = _Added.apply(base, x, self.p, drawn_seed())  # type: ignore[no-untyped-call]
        return added


def drawn_by(seed: int, p: float) -> tuple[np.uint32, np.uint32, np.uint32]:
    """What the kernels know of a seed, and below what the hash of an element keeps it."""
    kept = np.uint32(min(round((1 - p) * (HALF + 1)), HALF))
    return np.uint32(seed & HALF), np.uint32(seed >> 32 & HALF), kept


def _has_bits(x: Tensor) -> bool:
    """Whether the kernels can read it."""
    return x.device.type == "cpu" and x.dtype in INTEGERS


def _in_pieces(
    kernel: Callable[..., object], parts: Sequence[np.ndarray], by: tuple[Any, ...]
) -> None:
    """Call kernel(*parts, first, *by) with pieces of all parts that begin at place `first`."""

    def piece(a: int, b: int) -> None:
        kernel(*(part[a * CHUNK : b * CHUNK] for part in parts), a * CHUNK, *by)

    over_rows(-(-len(parts[0]) // CHUNK), piece, block=1)


class _Masked(torch.autograd.Function):
    """Nothing is kept: the way back draws the same mask again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float, seed: int) -> Tensor:
        ctx.by = (*drawn_by(seed, p), np.float32(1 / (1 - p)))
        return _masked(x, x.dtype, ctx.by)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return _masked(grads[0], grads[0].dtype, ctx.by), None, None


class _Added(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, base: Tensor, x: Tensor, p: float, seed: int) -> Tensor:
        ctx.by, ctx.dtype = (*drawn_by(seed, p), np.float32(1 / (1 - p))), x.dtype
        out = torch.empty(x.shape)
        _in_pieces(_add, [_flat(base), _flat(x), _flat(out)], ctx.by)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        return grads[0], _masked(grads[0], ctx.dtype, ctx.by), None, None


def _masked(x: Tensor, dtype: torch.dtype, by: tuple[Any, ...]) -> Tensor:
    out = torch.empty(x.shape, dtype=dtype)
    _in_pieces(_mask, [_flat(x), _flat(out)], by)
    return out


def _flat(x: Tensor) -> np.ndarray:
    return bits_of(x.detach().contiguous().view(-1))


class ReluDropout(Dropout):
    """relu, then dropout, in one pass forwards and one backwards.

    Nothing is kept but what comes out: it is zero where either stopped the gradient.
    """

    def forward(self, x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        if not self.training or self.p == 0 or not _has_bits(x):
            return super().forward(torch.relu(x))
        dropped: Tensor = _ReluMasked.apply(x, self.p, drawn_seed())  # type: ignore[no-untyped-call]
        return dropped


class _ReluMasked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float, seed: int) -> Tensor:
        out = torch.empty(x.shape, dtype=x.dtype)
        ctx.factor = 1 / (1 - p)
        by = (*drawn_by(seed, p), np.float32(ctx.factor))
        _in_pieces(_pass_on, [_flat(x), _flat(out)], by)
        ctx.save_for_backward(out)
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
def _mask(given, made, first, low, high, kept, factor):  # type: ignore[no-untyped-def]
    for n in range(len(made)):
        x = wide(given[n]) * factor if hashed(first + n, low, high) < kept else np.float32(0)
        made[n] = narrow(x, made[n])


@njit(cache=True, nogil=True)
def _add(base, given, made, first, low, high, kept, factor):  # type: ignore[no-untyped-def]
    for n in range(len(made)):
        x = wide(given[n]) * factor if hashed(first + n, low, high) < kept else np.float32(0)
        made[n] = narrow(wide(base[n]) + x, made[n])


@njit(cache=True, nogil=True)
def _pass_on(given, made, first, low, high, kept, factor):  # type: ignore[no-untyped-def]
    # positive values where they are kept, and NaN
    for n in range(len(made)):
        x = wide(given[n])
        passes = (x > 0) & (hashed(first + n, low, high) < kept) | (x != x)
        made[n] = narrow(x * factor if passes else np.float32(0), made[n])
