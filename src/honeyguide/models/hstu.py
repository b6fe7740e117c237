"""HSTU: gated attention without a softmax reads the last events and says what comes next.

Zhai et al. 2024, "Actions speak louder than words: trillion-parameter sequential transducers for
generative recommendations". Differences: the full softmax by default, all positions trained at once
over several windows of a long history; scores have a bias by how many events lie between and none
by time (`gaps` reads the time at the input); a last norm; positions count from the first kept
event.
"""

from typing import ClassVar

from honeyguide.models.causal import CausalModel
from honeyguide.models.sequence import HeadedSpec
from honeyguide.models.spec import Schema
from honeyguide.nn.pointwise import Pointwise


class HSTU(HeadedSpec):
    """Hierarchical sequential transduction units."""

    name: ClassVar[str] = "hstu"

    def build(self, schema: Schema) -> CausalModel:
        reader = Pointwise(self.width, self.layers, self.heads, self.dropout, self.history)
        return CausalModel(self, schema, reader)
