"""NextItNet: causal convolutions that reach twice as far back in each layer.

Yuan et al. 2019, "A simple convolutional generative network for next item recommendation".
Differences: item vectors are both what goes in and what is asked for; a last norm; dropout.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from honeyguide.config import Choice
from honeyguide.models.causal import CausalModel
from honeyguide.models.sequence import SequenceSpec
from honeyguide.models.spec import Count, Schema
from honeyguide.nn.filtering import Dilated


class NextItNet(SequenceSpec):
    """Dilated convolutions over events."""

    name: ClassVar[str] = "nextitnet"

    layers: Annotated[Count, Choice((1, 2, 3, 4))] = 4
    """Residual blocks: the distance between the events that one looks at is 1 and 2 in the first, 1
    and 2 times 4 in the second, and starts anew in the third."""
    kernel: Annotated[int, Field(ge=2), Choice((2, 3))] = 3
    """How many events a convolution looks at."""

    def build(self, schema: Schema) -> CausalModel:
        dilations = tuple(4 ** (number % 2) for number in range(self.layers))
        return CausalModel(self, schema, Dilated(self.width, dilations, self.kernel, self.dropout))
