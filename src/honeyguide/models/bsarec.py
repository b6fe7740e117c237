"""BSARec: attention, and beside it a filter that keeps slow and scales fast changes of interest.

Shin et al. 2024, "An attentive inductive bias for sequential recommendation beyond the
self-attention". Differences: the filter sees no later event, so that all positions are trained at
once (for the last event, which answers, the first layer's is the paper's); dropout stands on the
branches and not on the attention weights; positions count from the first kept event.
"""

from typing import Annotated, ClassVar

from honeyguide.config import Choice, Range
from honeyguide.models.causal import CausalModel
from honeyguide.models.sequence import HeadedSpec
from honeyguide.models.spec import Count, Schema, Share
from honeyguide.nn.filtering import Filters


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
        kept = min(self.kept, self.history // 2 + 1)
        reader = Filters(
            self.width, self.layers, self.heads, self.dropout, self.share, kept, self.history
        )
        return CausalModel(self, schema, reader)
