"""HSTU: gated attention without a softmax reads the last events and says what comes next.

Zhai et al. 2024, "Actions speak louder than words: trillion-parameter sequential transducers for
generative recommendations". Differences: the full softmax by default, all positions trained at once
over several windows of a long history; scores have a bias by how many events lie between and none
by time (`gaps` reads the time at the input); a last norm; positions count from the first kept
event.
"""

from functools import partial
from typing import ClassVar

from honeyguide.models.causal import CausalModel
from honeyguide.models.sequence import HeadedSpec
from honeyguide.models.spec import Schema
from honeyguide.nn.attention import Causal
from honeyguide.nn.pointwise import GatedBlock


class HSTU(HeadedSpec):
    """Hierarchical sequential transduction units."""

    name: ClassVar[str] = "hstu"

    def build(self, schema: Schema) -> CausalModel:
        block = partial(GatedBlock, self.width, self.heads, self.dropout, self.history)
        reader = Causal(self.width, self.layers, self.dropout, self.history, block)
        return CausalModel(self, schema, reader)
