"""LRURec: a linear recurrence reads all events there are, in constant time for each.

Yue et al. 2024, "Linear recurrent units for sequential recommendation". Differences: no bias for
each item; events before the window count as none (a state that is carried on knows them all); the
recurrence is walked along and not computed by doubling.
"""

from typing import ClassVar

from honeyguide.models.causal import CausalModel
from honeyguide.models.sequence import SequenceSpec
from honeyguide.models.spec import Schema
from honeyguide.nn.recurrence import Linear


class LRURec(SequenceSpec):
    """Linear recurrent units."""

    name: ClassVar[str] = "lrurec"

    def build(self, schema: Schema) -> CausalModel:
        return CausalModel(self, schema, Linear(self.width, self.layers, self.dropout))
