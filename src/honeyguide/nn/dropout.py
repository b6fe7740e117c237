"""Dropout whose mask costs next to nothing on a CPU.

torch draws one Bernoulli number after another there, on one thread: a third of a SASRec step on two
cores. Here a counter-based hash gives 16 bits an element, all threads at once; the seed comes from
torch's generator, so a seeded step repeats exactly, whatever the number of threads.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numba import njit
from torch import Tensor, nn
from torch.nn.functional import dropout

from honeyguide.nn.parallel import over_rows

LEVELS = 1 << 16  # the probability is rounded to a 65,536th
CHUNK = 1 << 16


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
        seed = int(torch.randint(1 << 62, ()).item())
        dropped: Tensor = _Masked.apply(x, self.p, seed)  # type: ignore[no-untyped-call]
        return dropped


class _Masked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float, seed: int) -> Tensor:
        scale = torch.empty(x.shape, dtype=torch.float32)
        flat = scale.view(-1).numpy()
        kept, factor = np.uint64(round((1 - p) * LEVELS)), np.float32(1 / (1 - p))
        pieces = -(-len(flat) // CHUNK)
        over_rows(
            pieces,
            lambda a, b: _fill(flat, a * CHUNK, min(b * CHUNK, len(flat)), seed, kept, factor),
            block=1,
        )
        scale = scale.to(x.dtype)
        ctx.save_for_backward(scale)
        return x * scale

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (scale,) = ctx.saved_tensors
        return grads[0] * scale, None, None


@njit(cache=True, nogil=True)
def _fill(out, start, stop, seed, kept, factor):  # type: ignore[no-untyped-def]
    # splitmix64 of the place of four elements, 16 bits for each; `start` is a multiple of four
    base = np.uint64(seed)
    low = np.uint64(LEVELS - 1)
    for group in range(start // 4, (stop + 3) // 4):
        x = base + np.uint64(group) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
        first = group * 4
        for lane in range(min(4, stop - first)):
            bits = (x >> np.uint64(16 * lane)) & low
            out[first + lane] = factor if bits < kept else np.float32(0)
