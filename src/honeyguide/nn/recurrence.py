"""Recurrent readers: gated (GRU, LSTM) and linear (complex, diagonal), over (B, L, D).

Special: the linear recurrence h_t = decay * h_(t-1) + x_t is one kernel that walks along a sequence
with all its numbers in cache; its way back is the same walk from the other end. torch would take a
dozen passes over memory for the parallel form.
"""

from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from numba import njit
from torch import Tensor, nn
from torch.nn.functional import gelu, linear, pad

from honeyguide.nn.carried import through
from honeyguide.nn.dropout import Dropout
from honeyguide.nn.parallel import kernel_over_rows

NEAREST, FARTHEST = 0.8, 0.99  # lengths of the decays at the start


class Gated(nn.Module):
    """Layers of GRU or LSTM, one after the other, and a last map to the width of the items."""

    window: int | None = None  # all events are carried on

    def __init__(
        self, cell: Literal["gru", "lstm"], width: int, inner: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        kind = nn.GRU if cell == "gru" else nn.LSTM
        self.cells = nn.ModuleList(
            kind(width if number == 0 else inner, inner, batch_first=True)
            for number in range(layers)
        )
        self.drop = Dropout(dropout)
        self.out = nn.Linear(inner, width)
        self.last = nn.LayerNorm(width)

    def read(
        self, x: Float[Tensor, "B L D"], before: tuple[Any, ...] | None
    ) -> tuple[Float[Tensor, "B L D"], tuple[Any, ...]]:
        """The state after each event, and what the next one needs: the hidden state by layer."""
        carried = []
        for number, cell in enumerate(self.cells):
            x, more = cell(self.drop(x), None if before is None else before[number])
            carried.append(more)
        normed: Tensor = self.last(self.out(self.drop(x)))
        return normed, tuple(carried)


class Linear(nn.Module):
    """Blocks of a linear recurrence and a feed-forward, each residual with the norm behind it."""

    window: int | None = None  # all events are carried on

    def __init__(self, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.LayerNorm(width)
        self.drop = Dropout(dropout)
        self.blocks: Any = nn.ModuleList(LinearBlock(width, dropout) for _ in range(layers))

    def read(
        self, x: Float[Tensor, "B L D"], before: tuple[Tensor, ...] | None
    ) -> tuple[Float[Tensor, "B L D"], tuple[Tensor, ...]]:
        """The state after each event, and what the next one needs: the last h of each block."""
        return through(self.blocks, self.first(self.drop(x)), before)


class LinearBlock(nn.Module):
    """A complex diagonal recurrence (Orvieto et al. 2023) of twice the width, then feed-forward.

    log_rate, log_angle (2 D): decay = exp(-exp(log_rate) + i exp(log_angle)), so it is never longer
    than 1. log_gain (2 D): of what goes in.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        inner = 2 * width
        length = torch.empty(inner).uniform_(NEAREST**2, FARTHEST**2).sqrt()
        self.log_rate = nn.Parameter((-length.log()).log())
        self.log_angle = nn.Parameter((torch.rand(inner) * 2 * torch.pi).clamp(min=1e-4).log())
        self.log_gain = nn.Parameter((1 - length.square()).sqrt().log())
        self.into = nn.Linear(width, 2 * inner)  # real parts, then imaginary ones
        self.out = nn.Linear(2 * inner, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.between, self.behind = nn.LayerNorm(width), nn.LayerNorm(width)
        self.drop = Dropout(dropout)

    def read(
        self, x: Float[Tensor, "B L D"], before: Float[Tensor, "B W"] | None
    ) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B W"]]:
        """The vectors after this block, and the last h."""
        rate, angle = self.log_rate.exp(), self.log_angle.exp()
        decay = torch.stack([(-rate).exp() * angle.cos(), (-rate).exp() * angle.sin()])
        gain = self.log_gain.exp().repeat(2)
        # the gain goes into the map, which is smaller than what it maps
        given = linear(x, self.into.weight * gain[:, None], self.into.bias * gain).float()
        if before is not None:  # h is linear, so what came before goes in with the first event
            given[:, 0] += _turned(before, decay)
        states = recur(given, decay)
        x = self.between(self.drop.onto(x, self.out(states)))
        inside = self.narrow(self.drop(gelu(self.wide(x))))
        normed: Tensor = self.behind(self.drop.onto(x, inside))
        return normed, states[:, -1]


def _turned(h: Float[Tensor, "B W"], decay: Float[Tensor, "2 H"]) -> Float[Tensor, "B W"]:
    """decay * h."""
    real, imaginary = h.chunk(2, 1)
    turned = (real * decay[0] - imaginary * decay[1], real * decay[1] + imaginary * decay[0])
    return torch.cat(turned, 1)


def recur(x: Float[Tensor, "B L W"], decay: Float[Tensor, "2 H"]) -> Float[Tensor, "B L W"]:
    """h_t = decay h_(t-1) + x_t from h_(-1) = 0. W: 2 H, real parts first."""
    if x.device.type != "cpu":
        return recur_by_torch(x, decay)
    states: Tensor = _Recurrence.apply(x, decay)  # type: ignore[no-untyped-call]
    return states


def recur_by_torch(
    x: Float[Tensor, "B L W"], decay: Float[Tensor, "2 H"]
) -> Float[Tensor, "B L W"]:
    """The same without the kernel, for other devices: by doubling the distance that has been
    covered, log2 L times."""
    half = decay.shape[1]
    states, by = torch.complex(x[..., :half], x[..., half:]), torch.complex(decay[0], decay[1])
    reach = 1
    while reach < x.shape[1]:
        before = pad(states, (0, 0, reach, 0))[:, : x.shape[1]]
        states, by, reach = states + by * before, by * by, 2 * reach
    return torch.cat([states.real, states.imag], 2)


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, decay: Tensor) -> Tensor:
        states = torch.empty(x.shape, dtype=x.dtype)
        parts = x.contiguous().numpy(), states.numpy()
        kernel_over_rows(_walk, parts, decay.detach().numpy(), block=1)
        ctx.save_for_backward(states, decay)
        return states

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        states, decay = ctx.saved_tensors
        d_x = torch.empty(states.shape, dtype=states.dtype)
        d_decay = torch.empty(len(states), *decay.shape)
        parts = grads[0].contiguous().numpy(), states.numpy(), d_x.numpy(), d_decay.numpy()
        kernel_over_rows(_walk_back, parts, decay.detach().numpy(), block=1)
        return d_x, d_decay.sum(0)


STRICT = {"contract", "nsz"}  # sums in their order


@njit(cache=True, nogil=True, fastmath=STRICT)
def _walk(x, states, decay):  # type: ignore[no-untyped-def]
    # what is carried on stands in arrays of its own: compilers vectorise what cannot overlap
    half = decay.shape[1]
    by_real, by_imaginary = decay
    real, imaginary = np.empty(half, np.float32), np.empty(half, np.float32)
    for row in range(len(x)):
        real[:], imaginary[:] = 0, 0
        for t in range(x.shape[1]):
            given_real, given_imaginary = x[row, t, :half], x[row, t, half:]
            for d in range(half):
                turned = given_real[d] + by_real[d] * real[d] - by_imaginary[d] * imaginary[d]
                imaginary[d] = (
                    given_imaginary[d] + by_real[d] * imaginary[d] + by_imaginary[d] * real[d]
                )
                real[d] = turned
            states[row, t, :half], states[row, t, half:] = real, imaginary


@njit(cache=True, nogil=True, fastmath=STRICT)
def _walk_back(grad, states, d_x, d_decay, decay):  # type: ignore[no-untyped-def]
    half = decay.shape[1]
    by_real, by_imaginary = decay
    real, imaginary = np.empty(half, np.float32), np.empty(half, np.float32)
    of_real, of_imaginary = np.empty(half, np.float32), np.empty(half, np.float32)
    for row in range(len(grad)):
        real[:], imaginary[:], of_real[:], of_imaginary[:] = 0, 0, 0, 0
        for t in range(grad.shape[1] - 1, -1, -1):
            # the gradient of the state after this one meets the state that was turned into it
            held_real, held_imaginary = states[row, t, :half], states[row, t, half:]
            for d in range(half):
                of_real[d] += real[d] * held_real[d] + imaginary[d] * held_imaginary[d]
                of_imaginary[d] += imaginary[d] * held_real[d] - real[d] * held_imaginary[d]
            given_real, given_imaginary = grad[row, t, :half], grad[row, t, half:]
            for d in range(half):
                turned = given_real[d] + by_real[d] * real[d] + by_imaginary[d] * imaginary[d]
                imaginary[d] = (
                    given_imaginary[d] + by_real[d] * imaginary[d] - by_imaginary[d] * real[d]
                )
                real[d] = turned
            d_x[row, t, :half], d_x[row, t, half:] = real, imaginary
        d_decay[row, 0], d_decay[row, 1] = of_real, of_imaginary
