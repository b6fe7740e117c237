"""Transformers over (B, L, D): one that looks back, and grows by an event, and one that looks both
ways."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import embedding, gelu, scaled_dot_product_attention

from honeyguide.nn.attend import attend
from honeyguide.nn.carried import Carried, through
from honeyguide.nn.dropout import Dropout

KeysAndValues = tuple[Carried, Carried]


class Attention(nn.Module):
    """Attention with heads, and a map of what they saw."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.mixed, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def read(
        self,
        x: Float[Tensor, "B L D"],
        before: KeysAndValues | None,
        prefix: Int64[Tensor, " B"] | None = None,
    ) -> tuple[Float[Tensor, "B L D"], KeysAndValues]:
        """What each position saw, and what the next needs of it; L = 1 where something came before.
        prefix: how many of the first each sees in any case, as in nn/attend.py."""
        b, length, width = x.shape
        heads, each = self.heads, width // self.heads
        mixed = self.mixed(x).view(b, length, 3, heads, each)
        q, k, v = mixed.permute(2, 0, 3, 1, 4).reshape(3, b * heads, length, each).unbind(0)
        if before is None:
            carried = Carried.of(k), Carried.of(v)
            seen = attend(q, k, v, None if prefix is None else prefix.repeat_interleave(heads))
        else:
            assert length == 1, "one event after the other"
            assert prefix is None, "what grows looks back"
            carried = before[0].then(k), before[1].then(v)
            seen = scaled_dot_product_attention(q, carried[0].rows, carried[1].rows)
        seen = seen.view(b, heads, length, each).transpose(1, 2).reshape(b, length, width)
        told: Tensor = self.out(seen)
        return told, carried


class Block(nn.Module):
    """Pre-norm attention and feed-forward, both residual.

    Right padding needs no mask: no real position sees more than those before it and the prefix.
    """

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.wide, self.narrow = nn.Linear(width, inner), nn.Linear(inner, width)
        self.drop = Dropout(dropout)

    def read(
        self,
        x: Float[Tensor, "B L D"],
        before: KeysAndValues | None,
        prefix: Int64[Tensor, " B"] | None = None,
    ) -> tuple[Float[Tensor, "B L D"], KeysAndValues]:
        """The vectors after this block, and what the next event needs of them."""
        seen, carried = self.attention.read(self.before(x), before, prefix)
        x = self.drop.onto(x, seen)
        inside = self.narrow(self.drop(gelu(self.wide(self.between(x)))))
        after = self.drop.onto(x, inside)
        return after, carried


class Transformer(nn.Module):
    """What both have: vectors of positions, blocks, and a last norm. block: makes one."""

    def __init__(
        self, width: int, layers: int, dropout: float, length: int, block: Callable[[], nn.Module]
    ) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(length, width) * 0.02)
        self.drop = Dropout(dropout)
        self.blocks: Any = nn.ModuleList(block() for _ in range(layers))
        self.last = nn.LayerNorm(width)


class Causal(Transformer):
    """Looks back. Positions counted from the first kept event."""

    @property
    def window(self) -> int | None:
        """How many events it can read."""
        return len(self.place)

    def read(
        self, x: Float[Tensor, "B L D"], before: tuple[KeysAndValues, ...] | None
    ) -> tuple[Float[Tensor, "B L D"], tuple[KeysAndValues, ...]]:
        """The state after each event, and what the next one needs."""
        first = 0 if before is None else before[0][0].held
        x = self.drop(x + self.place[first : first + x.shape[1]])
        x, carried = through(self.blocks, x, before)
        normed: Tensor = self.last(x)
        return normed, carried

    def forward(self, x: Float[Tensor, "B L D"]) -> Float[Tensor, "B L D"]:
        return self.read(x, None)[0]


class BothWays(Transformer):
    """Every position sees all of its sequence. Positions counted from the last."""

    def forward(
        self, x: Float[Tensor, "B L D"], length: Int64[Tensor, " B"]
    ) -> Float[Tensor, "B L D"]:
        """What each position of a sequence so long says, having seen the others."""
        assert x.shape[1] <= len(self.place), "longer than the window"
        place = torch.arange(x.shape[1], device=x.device)
        from_last = (length[:, None] - 1 - place).clamp(min=0)
        x = self.drop(x + embedding(from_last, self.place))
        for block in self.blocks:
            x, _ = block.read(x, None, length)
        normed: Tensor = self.last(x)
        return normed
