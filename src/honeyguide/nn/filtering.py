"""Readers that filter along the events: frequencies, beside attention or alone, and dilated
convolutions.

Special: a filter of a window's frequencies is a circulant matrix; its lower triangle sees nothing
that comes later, so all positions are trained at once, and for the last place of a full window it
is the whole filter. The low-pass is one fixed matrix, so no transform is computed for it.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from honeyguide.nn.attention import Attention, KeysAndValues
from honeyguide.nn.carried import Carried, behind, through
from honeyguide.nn.convolve import convolve
from honeyguide.nn.dropout import Dropout


def low_pass(length: int, kept: int) -> Float[Tensor, "L L"]:
    """What keeps the `kept` lowest frequencies of `length` places, where later ones are 0.

    Row t holds the weights of places 0 to t for place t: the circulant matrix of the discrete
    Fourier transform, cut and transformed back, below its diagonal.
    """
    place = torch.arange(length, dtype=torch.float64)
    apart = place[:, None] - place
    waves = torch.arange(1, kept, dtype=torch.float64)
    # a wave has a mirror image, but for the fastest of an even number of places
    twice = torch.where(2 * waves == length, 1.0, 2.0)
    angle = 2 * torch.pi * apart[..., None] * waves / length
    return ((1 + (twice * angle.cos()).sum(-1)) / length).tril().float()


class FilterBlock(nn.Module):
    """A share of filtered events and a share of attention, then feed-forward; norms behind."""

    def __init__(
        self, width: int, heads: int, dropout: float, share: float, filtered: Float[Tensor, "L L"]
    ) -> None:
        super().__init__()
        self.share = share
        self.register_buffer("filtered", filtered, persistent=False)
        self.sharpness = nn.Parameter(torch.randn(width))  # its square is what high frequencies get
        self.attention = Attention(width, heads)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.by_filter, self.by_heads = nn.LayerNorm(width), nn.LayerNorm(width)
        self.behind = nn.LayerNorm(width)
        self.drop = Dropout(dropout)

    def read(
        self, x: Float[Tensor, "B L D"], before: tuple[Carried, KeysAndValues] | None
    ) -> tuple[Float[Tensor, "B L D"], tuple[Carried, KeysAndValues]]:
        """The vectors after this block, and what the next event needs of them."""
        events = behind(None if before is None else before[0], x)
        first, end = events.held - x.shape[1], events.held
        low = self.get_buffer("filtered")[first:end, :end] @ events.rows
        found = self.by_filter(self.drop.onto(x, low + self.sharpness.square() * (x - low)))
        seen, keys = self.attention.read(x, None if before is None else before[1])
        seen = self.by_heads(self.drop.onto(x, seen))
        x = self.share * found + (1 - self.share) * seen
        normed: Tensor = self.behind(self.drop.onto(x, self.narrow(gelu(self.wide(x)))))
        return normed, (events, keys)


class WaveBlock(nn.Module):
    """A learned filter for each number, then feed-forward; norms behind. waves (W // 2 + 1, D, 2):
    what each frequency of W places is multiplied by, real parts and imaginary ones."""

    def __init__(self, width: int, dropout: float, length: int) -> None:
        super().__init__()
        self.length = length
        self.waves = nn.Parameter(torch.randn(length // 2 + 1, width, 2) * 0.02)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.between, self.behind = nn.LayerNorm(width), nn.LayerNorm(width)
        self.drop = Dropout(dropout)

    def read(
        self, x: Float[Tensor, "B L D"], before: tuple[Carried] | None
    ) -> tuple[Float[Tensor, "B L D"], tuple[Carried]]:
        """The vectors after this block, and what the next event needs of them."""
        events = behind(None if before is None else before[0], x)
        weights = torch.fft.irfft(torch.view_as_complex(self.waves), n=self.length, dim=0)
        if before is None:
            found = convolve(x, weights)
        else:
            assert x.shape[1] == 1, "one event after the other"
            found = (events.rows * weights[: events.held].flip(0)).sum(1, keepdim=True)
        x = self.between(self.drop.onto(x, found.to(x)))
        normed: Tensor = self.behind(self.drop.onto(x, self.narrow(gelu(self.wide(x)))))
        return normed, (events,)


class Filters(nn.Module):
    """Positions counted from the first kept event, then blocks. block: makes one."""

    def __init__(
        self, width: int, layers: int, dropout: float, length: int, block: Callable[[], nn.Module]
    ) -> None:
        super().__init__()
        self.window: int | None = length
        self.place = nn.Parameter(torch.randn(length, width) * 0.02)
        self.first = nn.LayerNorm(width)
        self.drop = Dropout(dropout)
        self.blocks: Any = nn.ModuleList(block() for _ in range(layers))

    def read(
        self, x: Float[Tensor, "B L D"], before: tuple[Any, ...] | None
    ) -> tuple[Float[Tensor, "B L D"], tuple[Any, ...]]:
        """The state after each event, and what the next one needs."""
        first = 0 if before is None else before[0][0].held
        x = self.drop(self.first(x + self.place[first : first + x.shape[1]]))
        return through(self.blocks, x, before)


class Dilated(nn.Module):
    """Residual blocks of two causal convolutions each, the second twice as far apart."""

    window: int | None = None  # what lies out of reach says nothing

    def __init__(self, width: int, dilations: tuple[int, ...], kernel: int, dropout: float) -> None:
        super().__init__()
        self.steps = [step for dilation in dilations for step in (dilation, 2 * dilation)]
        self.kernel = kernel
        self.convolved = nn.ModuleList(nn.Linear(kernel * width, width) for _ in self.steps)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in self.steps)
        self.drop = Dropout(dropout)
        self.last = nn.LayerNorm(width)

    def read(
        self, x: Float[Tensor, "B L D"], before: tuple[Tensor, ...] | None
    ) -> tuple[Float[Tensor, "B L D"], tuple[Tensor, ...]]:
        """The state after each event, and what the next one needs: of each convolution the last
        inputs, as far back as it looks."""
        x, carried = self.drop(x), []
        inside, length = x, x.shape[1]
        for number, step in enumerate(self.steps):
            events = inside if before is None else torch.cat([before[number], inside], 1)
            carried.append(events[:, -step * (self.kernel - 1) :])
            beside = earlier(events, step, self.kernel)[:, -length:]
            inside = torch.relu(self.norms[number](self.convolved[number](beside)))
            if number % 2:  # the second of a block
                x = inside = self.drop.onto(x, inside)
        normed: Tensor = self.last(x)
        return normed, tuple(carried)


def earlier(x: Float[Tensor, "B L D"], step: int, count: int) -> Float[Tensor, "B L KD"]:
    """Beside each other the vectors at each place, `step` before it, and so on; 0 before the
    first."""
    length = x.shape[1]
    moved = [pad(x, (0, 0, step * number, 0))[:, :length] for number in range(count)]
    return torch.cat(moved, 2)
