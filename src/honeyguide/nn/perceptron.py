"""NeuMF's loss over pairs in one pass: looked-up rows, both halves, loss and all gradients.

Special: torch needs a hundred small operations and their records for what here are the products
of matrices (by torch, in bf16 where autocast asks for it) and a few kernels of numba around them.
Each row is looked up once a step, and its share of the first layer computed once, however many
pairs name it. The plain formulas stay in models/neumf.py, serve other devices, and a test holds
that the two agree. Letters: B pairs, C = 1 + N items of each (the wanted one first), R = B C,
D width of a half, E of a row (both halves), H of a hidden layer.
"""

from dataclasses import dataclass
from threading import get_ident
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64
from numba import njit
from torch import Tensor

from honeyguide.nn.bits import bits_of, narrow, wide
from honeyguide.nn.dropout import drawn_by, drawn_seed, hashed
from honeyguide.nn.pairs import FAST, MODES, places, slopes_of, sparse_rows
from honeyguide.shapes import rounded_up


@dataclass(frozen=True, slots=True)
class Told:
    """What the pass does beside its tensors: which loss, and how it is held in."""

    loss: str
    ridge: float
    dropout: float


def told(
    users: Float[Tensor, "U E"],
    items: Float[Tensor, "I E"],
    user: Int64[Tensor, " B"],
    asked: Int64[Tensor, "B C"],
    factors: Float[Tensor, " D"] | None,
    layers: list[Tensor],
    how: Told,
) -> Float[Tensor, ""]:
    """The loss (bpr or bce) of pairs and their negatives; gradients of the tables hold rows only.

    All on the CPU, f32. factors: what each product of the factorisation counts. layers: the weights
    that the user and the item give to the first layer (H, D), its bias, then weight and bias of
    each further one and of the output (1, H); the output's bias may be left out. Empty where there
    is no perceptron.
    """
    made: Tensor = _Joined.apply(users, items, user, asked, factors, how, *layers)  # type: ignore[no-untyped-call]
    return made


@dataclass(frozen=True, slots=True)
class _Looked:
    """The rows of a table that a step looks at: their numbers (n,), values and gradient (n and some
    of zeros, E), and which of them each place of the batch names."""

    rows: Int64[Tensor, " n"]
    index: Int32[np.ndarray, " M"]
    values: Float[Tensor, "m E"]
    gradient: Float[Tensor, "m E"]

    @classmethod
    def up(cls, table: Tensor, numbers: Tensor, side: str) -> "_Looked":
        many = numbers.numel()
        most = rounded_up(min(many, len(table)))
        rows, values = torch.empty(most, dtype=torch.int64), torch.empty(most, table.shape[1])
        index = np.empty(many, np.int32)
        place = places(len(table), side, get_ident())
        count = _look_up(
            table.detach().numpy(),
            numbers.reshape(-1).numpy(),
            place,
            rows.numpy(),
            index,
            values.numpy(),
        )
        held = rounded_up(count)
        values[count:held] = 0
        gradient = torch.zeros(held, table.shape[1])
        return cls(rows[:count], index, values[:held], gradient)


class _Joined(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        users: Tensor,
        items: Tensor,
        user: Tensor,
        asked: Tensor,
        factors: Tensor | None,
        how: Told,
        *layers: Tensor,
    ) -> Tensor:
        kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None
        with torch.autocast("cpu", enabled=False):
            asking, given = _Looked.up(users, user, "users"), _Looked.up(items, asked, "items")
            step = _Step(asking, given, asked.shape, how, kind or torch.float32)
            of_layers = step.run(factors, [layer.detach() for layer in layers])
        ctx.shapes = users.shape, items.shape
        ctx.save_for_backward(
            asking.rows,
            asking.gradient[: len(asking.rows)],
            given.rows,
            given.gradient[: len(given.rows)],
            step.of_factors,
            *of_layers,
        )
        ctx.halves = factors is not None
        return torch.tensor(step.total, dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        user_rows, *rest = ctx.saved_tensors
        asking, item_rows, given, of_factors, *of_layers = rest
        scale = grads[0].item()
        if scale != 1:
            asking, given, of_factors = asking * scale, given * scale, of_factors * scale
            of_layers = [each * scale for each in of_layers]
        of_users, of_items = ctx.shapes
        return (
            sparse_rows(user_rows, asking, of_users),
            sparse_rows(item_rows, given, of_items),
            None,
            None,
            of_factors if ctx.halves else None,
            None,
            *of_layers,
        )


class _Step:
    """One batch, forwards and backwards. What lies between two products is kept as they take it, in
    f32 or bf16."""

    def __init__(
        self, asking: _Looked, given: _Looked, shape: torch.Size, how: Told, kind: torch.dtype
    ) -> None:
        self.asking, self.given, self.how, self.kind = asking, given, how, kind
        self.pairs, self.items = shape
        self.total = 0.0
        self.of_factors = torch.zeros(0)
        self.scale = np.float32(1 / (1 - how.dropout))
        seed = drawn_seed() if how.dropout else 0
        self.low, self.high, self.kept = drawn_by(seed, how.dropout)

    def run(self, factors: Tensor | None, layers: list[Tensor]) -> list[Tensor]:
        """Everything; gives the gradients of the layers, and leaves the others in their places."""
        counted = torch.zeros(0) if factors is None else factors.detach()
        self.of_factors = torch.zeros_like(counted)
        if not layers:
            nothing = torch.zeros(self.pairs * self.items, 0, dtype=self.kind)
            self._last(counted, nothing, torch.zeros(0), None)
            return []
        (of_user, of_item, bias), deeper = layers[:3], layers[3:]
        out = [deeper.pop() for _ in range(2 - len(deeper) % 2)][::-1]  # its bias may be left out
        sides = [
            # the halves that are for the perceptron stand at the end of the rows
            (side, side.values[:, -of_user.shape[1] :].to(self.kind), weight.to(self.kind))
            for side, weight in ((self.asking, of_user), (self.given, of_item))
        ]
        shares = [rows @ weight.T for _, rows, weight in sides]
        hidden = [shares[0].new_empty(self.pairs * self.items, len(bias))]
        user, item = self.asking.index, self.given.index
        (x, y), into = map(bits_of, shares), bits_of(hidden[0])
        _first(x, y, user, item, bias.numpy(), into, *self._mask(0))
        weights = [weight.to(self.kind) for weight in deeper[::2]]
        for n, (weight, added) in enumerate(zip(weights, deeper[1::2], strict=True)):
            hidden.append(hidden[-1] @ weight.T)
            _further(bits_of(hidden[-1]), added.numpy(), *self._mask(n + 1))
        slopes, gradients = self._last(counted, hidden[-1], out[0][0], *out[1:])
        for n in range(len(weights) - 1, -1, -1):
            of_bias = slopes.sum(0, dtype=torch.float32)
            gradients = [(slopes.T @ hidden[n]).float(), of_bias, *gradients]
            slopes = slopes @ weights[n]
            _stopped(bits_of(slopes), bits_of(hidden[n]), self.scale)
        back = [torch.zeros(share.shape) for share in shares]
        _to_rows(bits_of(slopes), user, item, *(each.numpy() for each in back))
        of_sides = []
        for (side, rows, weight), slope in zip(sides, back, strict=True):
            cast = slope.to(self.kind)
            of_sides.append((cast.T @ rows).float())
            side.gradient[:, -weight.shape[1] :] += cast @ weight
        return [*of_sides, back[0].sum(0), *gradients]

    def _mask(self, layer: int) -> list[Any]:
        """What a kernel needs to know to draw a mask."""
        return [self.low ^ np.uint32(layer), self.high, self.kept, self.scale]

    def _last(
        self, factors: Tensor, hidden: Tensor, out: Tensor, bias: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Scores and the loss; gives the slopes of the last hidden layer before its relu, and the
        gradients of what makes a score of it."""
        slopes, of_out, of_bias = torch.empty_like(hidden), torch.zeros_like(out), torch.zeros(1)
        self.total = _scored(
            self.asking.values.numpy(),
            self.given.values.numpy(),
            self.asking.index,
            self.given.index,
            factors.numpy(),
            bits_of(hidden),
            out.numpy(),
            np.float32(0 if bias is None else bias.item()),
            MODES[self.how.loss],
            np.float32(self.how.ridge),
            self.scale,
            bits_of(slopes),
            self.asking.gradient.numpy(),
            self.given.gradient.numpy(),
            self.of_factors.numpy(),
            of_out.numpy(),
            of_bias.numpy(),
        )
        return slopes, [of_out[None]] if bias is None else [of_out[None], of_bias]


@njit(cache=True, nogil=True)
def _look_up(table, numbers, place, rows, index, values):  # type: ignore[no-untyped-def]
    width, count = table.shape[1], 0
    for n in range(len(numbers)):
        row = numbers[n]
        at = place[row]
        if at < 0:
            at = count
            place[row], rows[at] = at, row
            for d in range(width):
                values[at, d] = table[row, d]
            count += 1
        index[n] = at
    for at in range(count):
        place[rows[at]] = -1
    return count


@njit(cache=True, nogil=True, fastmath=FAST, inline="always")
def _dropped(x, place, low, high, kept, scale):  # type: ignore[no-untyped-def]
    """relu and dropout of a number; NaN stays. place: in the layer."""
    passes = hashed(place, low, high) <= kept
    return np.float32(0) if x <= 0 or not passes else x * scale


# Below, what torch multiplies comes as bits (nn/bits.py).


@njit(cache=True, nogil=True, fastmath=FAST)
def _first(users, items, user, item, bias, out, low, high, kept, scale):  # type: ignore[no-untyped-def]
    """relu and dropout of what the user and the item of each place give to the first layer."""
    many, width = len(item) // len(user), out.shape[1]
    x = np.empty(width, np.float32)
    for b in range(len(user)):
        mine = users[user[b]]
        for d in range(width):
            x[d] = wide(mine[d]) + bias[d]
        for r in range(b * many, (b + 1) * many):
            row, made, base = items[item[r]], out[r], r * width
            for d in range(width):
                y = _dropped(x[d] + wide(row[d]), base + d, low, high, kept, scale)
                made[d] = narrow(y, made[d])


@njit(cache=True, nogil=True, fastmath=FAST)
def _further(rows, bias, low, high, kept, scale):  # type: ignore[no-untyped-def]
    """The same in place, of a further layer."""
    width = rows.shape[1]
    for r in range(len(rows)):
        row, base = rows[r], r * width
        for d in range(width):
            y = _dropped(wide(row[d]) + bias[d], base + d, low, high, kept, scale)
            row[d] = narrow(y, row[d])


@njit(cache=True, nogil=True, fastmath=FAST)
def _stopped(slopes, hidden, scale):  # type: ignore[no-untyped-def]
    """In place: nothing comes back where relu or dropout made a zero."""
    width = slopes.shape[1]
    for r in range(len(slopes)):
        slope, row = slopes[r], hidden[r]
        for d in range(width):
            back = wide(slope[d]) * scale if row[d] != 0 else np.float32(0)
            slope[d] = narrow(back, slope[d])


@njit(cache=True, nogil=True, fastmath=FAST)
def _to_rows(slopes, user, item, users, items):  # type: ignore[no-untyped-def]
    """Added to the row of the user and to that of the item."""
    many, width = len(item) // len(user), slopes.shape[1]
    for r in range(len(slopes)):
        slope, x, y = slopes[r], users[user[r // many]], items[item[r]]
        for d in range(width):
            x[d] += wide(slope[d])
        for d in range(width):
            y[d] += wide(slope[d])


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _scored(  # type: ignore[no-untyped-def]
    users,
    items,
    user,
    item,
    factors,
    hidden,
    out,
    bias,
    mode,
    ridge,
    scale,
    slopes,
    user_grads,
    item_grads,
    of_factors,
    of_out,
    of_bias,
):
    batch, many = len(user), len(item) // len(user)
    width, whole = len(out), users.shape[1]
    share, zero = np.float32(1.0 / batch), np.float32(0)
    scores, pulls = np.empty(many, np.float32), np.empty(many, np.float32)
    total = 0.0
    for b in range(batch):
        x, gx = users[user[b]], user_grads[user[b]]
        for n in range(many):
            y, row, score = items[item[b * many + n]], hidden[b * many + n], bias
            for d in range(len(factors)):
                score += x[d] * factors[d] * y[d]
            for d in range(width):
                score += wide(row[d]) * out[d]
            scores[n] = score
        total += slopes_of(scores, mode, zero, zero, pulls)
        for n in range(many):
            y, gy = items[item[b * many + n]], item_grads[item[b * many + n]]
            row, slope, pull = hidden[b * many + n], slopes[b * many + n], pulls[n] * share
            of_bias[0] += pull
            for d in range(len(factors)):
                gx[d] += pull * factors[d] * y[d]
                gy[d] += pull * factors[d] * x[d]
                of_factors[d] += pull * x[d] * y[d]
            for d in range(width):
                of_out[d] += pull * wide(row[d])
            for d in range(width):
                back = pull * out[d] * scale if row[d] != 0 else zero
                slope[d] = narrow(back, slope[d])
        if ridge > 0:
            size, each = zero, np.float32(1) / np.float32(many)
            for d in range(whole):
                size += x[d] * x[d]
                gx[d] += 2 * ridge * share * x[d]
            for n in range(many):
                y, gy = items[item[b * many + n]], item_grads[item[b * many + n]]
                for d in range(whole):
                    size += each * y[d] * y[d]
                    gy[d] += 2 * ridge * share * each * y[d]
            total += ridge * size
    return total / batch
