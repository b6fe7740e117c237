"""Readers that filter along the events: frequencies beside attention, and dilated convolutions.

Special: the low-pass of a window is one fixed matrix, so no transform is computed, and its lower
triangle sees nothing that comes later, so all positions are trained at once.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from honeyguide.nn.causal import attend
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
        self.heads, self.share = heads, share
        self.register_buffer("filtered", filtered, persistent=False)
        self.sharpness = nn.Parameter(torch.randn(width))  # its square is what high frequencies get
        self.mixed, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.by_filter, self.by_heads = nn.LayerNorm(width), nn.LayerNorm(width)
        self.behind = nn.LayerNorm(width)
        self.drop = Dropout(dropout)

    def forward(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        b, length, width = x.shape
        low = self.get_buffer("filtered")[:length, :length] @ x
        found = low + self.sharpness.square() * (x - low)
        found = self.by_filter(x + self.drop(found))
        heads, each = self.heads, width // self.heads
        mixed = self.mixed(x).view(b, length, 3, heads, each)
        q, k, v = mixed.permute(2, 0, 3, 1, 4).reshape(3, b * heads, length, each).unbind(0)
        seen = attend(q, k, v).view(b, heads, length, each).transpose(1, 2)
        seen = self.by_heads(x + self.drop(self.out(seen.reshape(b, length, width))))
        x = self.share * found + (1 - self.share) * seen
        normed: Tensor = self.behind(x + self.drop(self.narrow(gelu(self.wide(x)))))
        return normed


class Filters(nn.Module):
    """Positions counted from the first kept event, then blocks."""

    def __init__(
        self,
        width: int,
        layers: int,
        heads: int,
        dropout: float,
        share: float,
        kept: int,
        length: int,
    ) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(length, width) * 0.02)
        self.first = nn.LayerNorm(width)
        self.drop = Dropout(dropout)
        filtered = low_pass(length, kept)
        self.blocks = nn.ModuleList(
            FilterBlock(width, heads, dropout, share, filtered) for _ in range(layers)
        )

    def forward(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        x = self.drop(self.first(x + self.place[: x.shape[1]]))
        for block in self.blocks:
            x = block(x)
        return x


class Dilated(nn.Module):
    """Residual blocks of two causal convolutions each, the second twice as far apart."""

    def __init__(self, width: int, dilations: tuple[int, ...], kernel: int, dropout: float) -> None:
        super().__init__()
        self.steps = [(d, 2 * d) for d in dilations]
        self.convolved = nn.ModuleList(
            nn.Linear(kernel * width, width) for _ in range(2 * len(dilations))
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * len(dilations)))
        self.kernel = kernel
        self.drop = Dropout(dropout)
        self.last = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        x = self.drop(x)
        for number, steps in enumerate(self.steps):
            inside = x
            for half, step in enumerate(steps):
                layer = 2 * number + half
                inside = self.convolved[layer](earlier(inside, step, self.kernel))
                inside = torch.relu(self.norms[layer](inside))
            x = x + self.drop(inside)
        normed: Tensor = self.last(x)
        return normed


def earlier(x: Float[Tensor, "B L D"], step: int, count: int) -> Float[Tensor, "B L KD"]:
    """Beside each other the vectors at each place, `step` before it, and so on; 0 before the
    first."""
    length = x.shape[1]
    moved = [pad(x, (0, 0, step * number, 0))[:, :length] for number in range(count)]
    return torch.cat(moved, 2)
