"""A causal transformer over (B, L, D): each position sees itself and those before."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu

from honeyguide.nn.causal import attend
from honeyguide.nn.dropout import Dropout


class Block(nn.Module):
    """Pre-norm attention and feed-forward, both residual.

    Right padding needs no mask here: under a causal mask no real position sees what lies behind it.
    """

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixed, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, inner), nn.Linear(inner, width)
        self.drop = Dropout(dropout)

    def forward(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        b, length, width = x.shape
        heads, each = self.heads, width // self.heads
        mixed = self.mixed(self.before(x)).view(b, length, 3, heads, each)
        q, k, v = mixed.permute(2, 0, 3, 1, 4).reshape(3, b * heads, length, each).unbind(0)
        seen = attend(q, k, v).view(b, heads, length, each).transpose(1, 2)
        x = x + self.drop(self.out(seen.reshape(b, length, width)))
        after: Tensor = x + self.drop(self.narrow(self.drop(gelu(self.wide(self.between(x))))))
        return after


class Causal(nn.Module):
    """Positions counted from the first kept event, blocks, and a last norm."""

    def __init__(
        self, width: int, layers: int, heads: int, inner: int, dropout: float, length: int
    ) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(length, width) * 0.02)
        self.drop = Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads, inner, dropout) for _ in range(layers))
        self.last = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        x = self.drop(x + self.place[: x.shape[1]])
        for block in self.blocks:
            x = block(x)
        normed: Tensor = self.last(x)
        return normed
