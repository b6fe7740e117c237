"""BSARec: attention, and beside it a filter that keeps slow and scales fast changes of interest.

Shin et al. 2024, "An attentive inductive bias for sequential recommendation beyond the
self-attention". Differences: the filter sees no later event, so that all positions are trained at
once (for the last event, which answers, the first layer's is the paper's); dropout stands on the
branches and not on the attention weights; positions count from the first kept event.
"""

from functools import partial
from typing import Annotated, ClassVar

from honeyguide.config import Choice, Range
from honeyguide.models.causal import CausalModel
from honeyguide.models.sequence import HeadedSpec
from honeyguide.models.spec import Count, Schema, Share
from honeyguide.nn.filtering import FilterBlock, Filters, low_pass


class BSARec(HeadedSpec):
    """Beyond self-attention for sequential recommendation."""

    name: ClassVar[str] = "bsarec"

    share: Annotated[Share, Range(0.1, 0.9)] = 0.7
    """Of the filter against attention."""
    kept: Annotated[Count, Choice((2, 3, 4, 6))] = 3
    """How many of the lowest frequencies of `history` places pass unchanged, the mean among them
    (the paper's c = 5 keeps 3)."""
    history: Count = 50
    """The last so many events are read; the frequencies are those of a window so long."""

    def build(self, schema: Schema) -> CausalModel:
        slow = low_pass(self.history, min(self.kept, self.history // 2 + 1))
        block = partial(FilterBlock, self.width, self.heads, self.dropout, self.share, slow)
        reader = Filters(self.width, self.layers, self.dropout, self.history, block)
        return CausalModel(self, schema, reader)
