"""Attention that weighs each pair of events by itself, without a softmax, and gates what it saw.

Letters: N sequences (times heads), L and T lengths, D width (of a head), W window; B histories.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from honeyguide.nn.attention import KeysAndValues
from honeyguide.nn.carried import behind
from honeyguide.nn.dropout import Dropout


class GatedBlock(nn.Module):
    """Of each event a gate, a query, a key and a value; the gate multiplies what was seen, which
    stands in for a feed-forward. apart (W,): what is added to scores of events so far apart."""

    def __init__(self, width: int, heads: int, dropout: float, length: int) -> None:
        super().__init__()
        self.heads = heads
        self.mixed = nn.Linear(width, 4 * width, bias=False)
        nn.init.normal_(self.mixed.weight, std=0.02)
        self.apart = nn.Parameter(torch.randn(length) * 0.02)
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.out = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.out.weight)
        self.drop = Dropout(dropout)

    def read(
        self, x: Float[Tensor, "B L D"], before: KeysAndValues | None
    ) -> tuple[Float[Tensor, "B L D"], KeysAndValues]:
        """The vectors after this block, and what the next event needs of them."""
        b, length, width = x.shape
        heads, each = self.heads, width // self.heads
        mixed = silu(self.mixed(self.before(x))).view(b, length, 4, heads, each)
        gate = mixed[:, :, 0].reshape(b, length, width)
        q, k, v = mixed[:, :, 1:].permute(2, 0, 3, 1, 4).reshape(3, b * heads, length, each)
        keys, values = (
            behind(None if before is None else before[number], rows)
            for number, rows in enumerate((k, v))
        )
        seen = weigh(q, keys.rows, values.rows, self.apart)
        seen = seen.view(b, heads, length, each).transpose(1, 2).reshape(b, length, width)
        told: Tensor = x + self.out(self.drop(gate * self.between(seen)))
        return told, (keys, values)


def weigh(
    q: Float[Tensor, "N L D"],
    k: Float[Tensor, "N T D"],
    v: Float[Tensor, "N T D"],
    apart: Float[Tensor, " W"],
) -> Float[Tensor, "N L D"]:
    """The sum of the values of each place and those before it, each by silu(q k + apart) / W. The
    queries are those of the last L of T places."""
    place = torch.arange(k.shape[1], device=q.device)
    earlier = place[-q.shape[1] :, None] - place
    # silu of what is far below zero is zero
    near = apart[earlier.clamp(min=0)].masked_fill(earlier < 0, torch.finfo(q.dtype).min / 2)
    scores = (q @ k.transpose(1, 2)).add_(near.to(q))
    return silu(scores) @ (v / len(apart))
