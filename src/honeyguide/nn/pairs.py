"""The losses over pairs in one pass: looked-up rows, scores, loss and the gradient of each row.

Special: numba instead of a dozen operations of torch, each of which writes (B, N, D) to memory and
reads it again. The plain formulas stay in losses.py, serve other devices, and a test holds that the
two agree.
"""

from functools import lru_cache
from threading import get_ident
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64
from numba import njit
from torch import Tensor

from honeyguide.nn.prefetch import ask_for, ask_for_line

MODES = {"bpr": 0, "bce": 1, "gbce": 2, "mse": 3, "ccl": 4}
FAST = {"contract", "reassoc", "nsz"}  # sums may be reordered; a NaN stays one
AHEAD = 4  # pairs


def told(
    users: Float[Tensor, "U D"],
    items: Float[Tensor, "I D"],
    user: Int64[Tensor, " B"],
    wanted: Int64[Tensor, " B"],
    unwanted: Int64[Tensor, "B N"],
    *,
    loss: str,
    heat: float,
    cosine: bool,
    ridge: float,
    first: float = 0.0,
    second: float = 0.0,
) -> Float[Tensor, ""]:
    """The loss named so of pairs and their negatives, plus the ridge. Gradients hold rows only,
    those of computed tables all.

    users, items: on the CPU, f32. first, second: what else the loss looks at (gbce: the
    power of a positive; mse: weight; ccl: margin and weight).
    """
    numbers = (MODES[loss], heat, cosine, ridge, first, second)
    summed: Tensor = _Pairs.apply(users, items, user, wanted, unwanted, numbers)  # type: ignore[no-untyped-call]
    return summed


class _Pairs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        users: Tensor,
        items: Tensor,
        user: Tensor,
        wanted: Tensor,
        unwanted: Tensor,
        numbers: tuple[int, float, bool, float, float, float],
    ) -> Tensor:
        mode, *rest = numbers
        width, count = users.shape[1], unwanted.shape[1]
        asking = torch.empty(min(len(user), len(users)), width)
        asked = torch.empty(min(len(user) * (1 + count), len(items)), width)
        rows = [torch.empty(len(part), dtype=torch.int64) for part in (asking, asked)]
        scratch = [
            places(len(users), "users", get_ident()),
            places(len(items), "items", get_ident()),
            *(part.numpy() for part in (*rows, asking, asked)),
        ]
        loss, many_users, many_items = _pass(
            users.detach().contiguous().numpy(),
            items.detach().contiguous().numpy(),
            user.numpy(),
            wanted.numpy(),
            unwanted.numpy(),
            mode,
            *rest,
            *scratch,
        )
        ctx.shapes, ctx.computed = (users.shape, items.shape), not users.is_leaf
        ctx.save_for_backward(
            rows[0][:many_users], asking[:many_users], rows[1][:many_items], asked[:many_items]
        )
        return torch.tensor(loss, dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        user_rows, asking, item_rows, asked = ctx.saved_tensors
        scale = grads[0].item()
        if scale != 1:
            asking, asked = asking * scale, asked * scale
        of_users, of_items = ctx.shapes
        back = _all_rows if ctx.computed else sparse_rows
        of_rows = back(user_rows, asking, of_users), back(item_rows, asked, of_items)
        return *of_rows, *[None] * 4


@lru_cache(8)
def places(rows: int, side: str, thread: int) -> Int32[np.ndarray, " N"]:
    """Where the gradient of a row stands in this step, -1 if nowhere; each step leaves it so.

    Kept, because clearing it in each step costs more than the step where there are a million users.
    """
    return np.full(rows, -1, np.int32)


def sparse_rows(rows: Tensor, values: Tensor, shape: torch.Size) -> Tensor:
    made: Tensor = torch.sparse_coo_tensor(rows[None], values, shape, check_invariants=False)
    return made


def _all_rows(rows: Tensor, values: Tensor, shape: torch.Size) -> Tensor:
    """The same gradient with zeros in all other rows."""
    return torch.zeros(shape).index_copy_(0, rows, values)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy", inline="always")
def _softplus_and_slope(x):  # type: ignore[no-untyped-def]
    """log(1 + exp(x)), and the sigmoid."""
    small = np.exp(-abs(x))
    share = np.float32(1) / (np.float32(1) + small)
    return max(x, np.float32(0)) + np.log1p(small), share if x > 0 else small * share


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy", inline="always")
def slopes_of(scores, mode, first, second, out):  # type: ignore[no-untyped-def]
    """The loss of one target (scores[0]) and its negatives; out: its slope by each score."""
    many = np.float32(len(scores) - 1)
    loss, one = np.float32(0), np.float32(1)
    if mode == 0:
        out[0] = 0
        for n in range(1, len(scores)):
            plus, slope = _softplus_and_slope(scores[n] - scores[0])
            loss += plus / many
            out[n] = slope / many
            out[0] -= out[n]
    elif mode <= 2:
        power = first if mode == 2 else one
        share = one / (one + many)
        plus, slope = _softplus_and_slope(-scores[0])
        loss, out[0] = power * plus * share, -power * slope * share
        for n in range(1, len(scores)):
            plus, slope = _softplus_and_slope(scores[n])
            loss += plus * share
            out[n] = slope * share
    elif mode == 3:
        loss = (one - scores[0]) ** 2
        out[0] = -2 * (one - scores[0])
        for n in range(1, len(scores)):
            loss += first * scores[n] ** 2 / many
            out[n] = 2 * first * scores[n] / many
    else:
        loss = one - scores[0]
        out[0] = -one
        for n in range(1, len(scores)):
            over = scores[n] - first
            out[n] = second / many if over > 0 else np.float32(0)
            loss += out[n] * over
    return loss


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _pass(  # type: ignore[no-untyped-def]
    users,
    items,
    user,
    wanted,
    unwanted,
    mode,
    heat,
    cosine,
    ridge,
    first,
    second,
    user_place,
    item_place,
    user_rows,
    item_rows,
    user_grads,
    item_grads,
):
    width, negatives, batch = users.shape[1], unwanted.shape[1], len(user)
    heat, ridge = np.float32(heat), np.float32(ridge)
    first, second = np.float32(first), np.float32(second)
    share, one = np.float32(1.0 / batch), np.float32(1)
    measured = cosine or ridge > 0  # whether anything asks for the lengths of vectors
    scores = np.empty(1 + negatives, np.float32)
    slopes = np.empty(1 + negatives, np.float32)
    inverse = np.ones(1 + negatives, np.float32)  # 1 / length of each item's vector, or 1
    total, many_users, many_items = 0.0, 0, 0
    for b in range(batch):
        if b + AHEAD < batch:
            ask_for_line(user_place, (user[b + AHEAD],))
            ask_for(users, user[b + AHEAD])
            ask_for(items, wanted[b + AHEAD])
            for n in range(negatives):
                ask_for(items, unwanted[b + AHEAD, n])
        u, own, size = user[b], one, np.float32(0)
        if measured:
            for d in range(width):
                size += users[u, d] * users[u, d]
            own = one / max(np.sqrt(size), np.float32(1e-12)) if cosine else one
        for n in range(1 + negatives):
            i = wanted[b] if n == 0 else unwanted[b, n - 1]
            dot, squared = np.float32(0), np.float32(0)
            for d in range(width):
                dot += users[u, d] * items[i, d]
            if measured:
                for d in range(width):
                    squared += items[i, d] * items[i, d]
                size += squared if n == 0 else squared / np.float32(negatives)
                inverse[n] = one / max(np.sqrt(squared), np.float32(1e-12)) if cosine else one
            scores[n] = dot * own * inverse[n] / heat
        total += slopes_of(scores, mode, first, second, slopes) + ridge * size
        mine = user_place[u]
        if mine < 0:
            mine = many_users
            user_place[u], user_rows[mine] = mine, u
            many_users += 1
            for d in range(width):
                user_grads[mine, d] = 0
        turned = np.float32(0)
        for n in range(1 + negatives):
            i = wanted[b] if n == 0 else unwanted[b, n - 1]
            at = item_place[i]
            if at < 0:
                at = many_items
                item_place[i], item_rows[at] = at, i
                many_items += 1
                for d in range(width):
                    item_grads[at, d] = 0
            # by dot: g_y = slope x + ridge y; by cosine the part along y falls out of it
            across = slopes[n] * share * own * inverse[n] / heat
            for d in range(width):
                user_grads[mine, d] += across * items[i, d]
            for d in range(width):
                item_grads[at, d] += across * users[u, d]
            if measured:
                along = 2 * ridge * share
                if n > 0:
                    along /= np.float32(negatives)
                if cosine:
                    pulled = slopes[n] * share * scores[n]
                    turned += pulled
                    along -= pulled * inverse[n] * inverse[n]
                for d in range(width):
                    item_grads[at, d] += along * items[i, d]
        if measured:
            along = 2 * ridge * share - turned * own * own
            for d in range(width):
                user_grads[mine, d] += along * users[u, d]
    for at in range(many_users):
        user_place[user_rows[at]] = -1
    for at in range(many_items):
        item_place[item_rows[at]] = -1
    return total / batch, many_users, many_items
