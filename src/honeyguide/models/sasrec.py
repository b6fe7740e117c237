"""SASRec: a causal transformer reads the last events and says what comes next.

Kang and McAuley 2018, trained with the full softmax as in Klenitskiy and Vasilev 2023 ("Turning
dross into gold loss"). Differences: all positions are trained at once over several windows of a
long history; positions count from the first kept event; dropout stands on the branches and not on
the attention weights, whose kernel then needs no mask; the norm stands before each branch.
"""

from functools import partial
from typing import ClassVar

from honeyguide.models.causal import CausalModel
from honeyguide.models.sequence import HeadedSpec
from honeyguide.models.spec import Schema
from honeyguide.nn.attention import Block, Causal


class SASRec(HeadedSpec):
    """Self-attentive sequential recommendation."""

    name: ClassVar[str] = "sasrec"

    def build(self, schema: Schema) -> CausalModel:
        block = partial(Block, self.width, self.heads, self.width, self.dropout)
        reader = Causal(self.width, self.layers, self.dropout, self.history, block)
        return CausalModel(self, schema, reader)
