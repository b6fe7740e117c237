"""The k best of each row, equal scores in the order of item numbers. No ranking exists elsewhere.

A kernel keeps the k best in one pass over each row; the torch path sorts stably and serves other
devices. -inf never ranks, and NaN is refused.
"""

import numpy as np
import torch
from jaxtyping import Float32, Int64
from numba import njit
from torch import Tensor

from honeyguide.errors import TrainingError
from honeyguide.nn.parallel import over_rows
from honeyguide.types import NEVER, Ranking


def top_k(scores: Float32[Tensor, "B I"], k: int) -> Ranking:
    """items (B, k) PAD where fewer than k scores are above -inf, scores (B, k)."""
    if scores.device.type == "cpu":
        return _by_kernel(scores, k)
    return top_k_torch(scores, k)


def top_k_torch(scores: Float32[Tensor, "B I"], k: int) -> Ranking:
    """The same by a stable sort: slower, for devices without the kernel."""
    if bool(scores.isnan().any()):
        raise _nan()
    short = max(0, k - scores.shape[1])
    best, items = scores.sort(dim=1, descending=True, stable=True)
    best = torch.nn.functional.pad(best[:, :k], (0, short), value=NEVER)
    items = torch.nn.functional.pad(items[:, :k], (0, short))
    return Ranking(items.masked_fill(best == NEVER, 0), best.contiguous())


def _by_kernel(scores: Float32[Tensor, "B I"], k: int) -> Ranking:
    items = torch.empty((len(scores), k), dtype=torch.int64)
    best = torch.empty((len(scores), k), dtype=torch.float32)
    table, out, values = scores.detach().numpy(), items.numpy(), best.numpy()
    bad = np.zeros(len(scores), dtype=np.bool_)
    over_rows(
        len(scores), lambda a, b: _select(table[a:b], out[a:b], values[a:b], bad[a:b]), block=8
    )
    if bad.any():
        raise _nan()
    return Ranking(items, best)


def _nan() -> TrainingError:
    return TrainingError(
        "The model gave a score that is not a number.",
        "Train it again, with a lower learning_rate or more regularisation.",
    )


LANES = 64


@njit(cache=True, nogil=True)
def _select(table, out, values, bad):  # type: ignore[no-untyped-def]
    # A first scan of LANES scores at a time takes their maximum, which the compiler turns into
    # vector instructions; only blocks that beat the worst kept score are looked into.
    k, width = out.shape[1], table.shape[1]
    for row in range(table.shape[0]):
        filled = 0
        worst = np.float32(-np.inf)
        scores = table[row]
        for start in range(0, width, LANES):
            stop = min(start + LANES, width)
            top = np.float32(-np.inf)
            sane = True
            for i in range(start, stop):
                s = scores[i]
                top = s if s > top else top
                sane &= s == s
            if not sane:
                bad[row] = True
                break
            if top <= worst:
                continue
            for i in range(start, stop):
                s = scores[i]
                if s <= worst:
                    continue
                place = filled if filled < k else k - 1
                while place > 0 and values[row, place - 1] < s:
                    values[row, place] = values[row, place - 1]
                    out[row, place] = out[row, place - 1]
                    place -= 1
                values[row, place] = s
                out[row, place] = i
                if filled < k:
                    filled += 1
                if filled == k:
                    worst = values[row, k - 1]
        values[row, filled:] = -np.inf
        out[row, filled:] = 0


def exclude_items(
    scores: Float32[Tensor, "B I"], exclude: Int64[Tensor, "B E"]
) -> Float32[Tensor, "B I"]:
    """The same scores (changed in place) with -inf for the excluded items; PAD excludes nothing."""
    scores.scatter_(1, exclude, NEVER)
    return scores
