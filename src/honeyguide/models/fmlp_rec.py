"""FMLP-Rec: filters that are learned by frequency, one for each number, and no attention.

Zhou et al. 2022, "Filter-enhanced MLP is all you need for sequential recommendation". Differences:
the full softmax; a filter sees no later event, so that all positions are trained at once (for the
last event of a full window the first layer is the paper's); positions count from the first kept
event.
"""

from functools import partial
from typing import ClassVar

from honeyguide.models.causal import CausalModel
from honeyguide.models.sequence import SequenceSpec
from honeyguide.models.spec import Schema
from honeyguide.nn.filtering import Filters, WaveBlock


class FMLPRec(SequenceSpec):
    """Filter-enhanced MLP."""

    name: ClassVar[str] = "fmlp-rec"

    def build(self, schema: Schema) -> CausalModel:
        block = partial(WaveBlock, self.width, self.dropout, self.history)
        reader = Filters(self.width, self.layers, self.dropout, self.history, block)
        return CausalModel(self, schema, reader)
