"""GRU4Rec: a gated recurrent network reads the events and says what comes next.

Hidasi et al. 2016 and 2018. Differences: the full softmax, or one corrected for how negatives were
drawn, in place of TOP1 and BPR-max; item vectors are both what goes in and what is asked for; whole
windows are trained at once and not sessions side by side; LSTM (Hochreiter and Schmidhuber 1997) by
a setting.
"""

from typing import Annotated, ClassVar, Literal

from honeyguide.config import Choice
from honeyguide.models.causal import CausalModel
from honeyguide.models.sequence import SequenceSpec
from honeyguide.models.spec import Count, Schema
from honeyguide.nn.recurrence import Gated


class GRU4Rec(SequenceSpec):
    """Recurrent neural network over events."""

    name: ClassVar[str] = "gru4rec"

    cell: Literal["gru", "lstm"] = "gru"
    """lstm holds a memory of its own beside the state; it seldom pays."""
    layers: Annotated[Count, Choice((1, 2))] = 1
    """Recurrent layers."""
    inner: Annotated[Count, Choice((64, 128, 256))] = 128
    """Numbers inside the recurrence."""

    def build(self, schema: Schema) -> CausalModel:
        reader = Gated(self.cell, self.width, self.inner, self.layers, self.dropout)
        return CausalModel(self, schema, reader)
