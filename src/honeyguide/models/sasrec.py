"""SASRec: a causal transformer reads the last events and says what comes next.

Kang and McAuley 2018, trained with the full softmax as in Klenitskiy and Vasilev 2023 ("Turning
dross into gold loss"). Differences: all positions are trained at once over several windows of a
long history; positions count from the first kept event; dropout stands on the branches and not on
the attention weights, whose kernel then needs no mask; the norm stands before each branch.
"""

from typing import Annotated, ClassVar

from pydantic import model_validator

from honeyguide.config import Choice, Space
from honeyguide.data.interactions import Interactions
from honeyguide.errors import CallError
from honeyguide.models.sequence import WIDTHS, SequenceModel, SequenceSpec
from honeyguide.models.spec import Count, Schema
from honeyguide.nn.attention import Causal

HEADS = (1, 2, 4)  # where tuning looks; each divides each of WIDTHS


class SASRec(SequenceSpec):
    """Self-attentive sequential recommendation."""

    name: ClassVar[str] = "sasrec"

    heads: Annotated[Count, Choice(HEADS)] = 1
    """Attention heads; must divide the width."""

    @model_validator(mode="after")
    def _heads_divide(self) -> "SASRec":
        if self.width % self.heads:
            raise CallError(
                f"{self.heads} heads do not divide a width of {self.width}.",
                "Choose heads so that width is a multiple of them.",
            )
        return self

    def searched(self, log: Interactions) -> dict[str, Space]:
        wide = Choice(tuple(w for w in WIDTHS if w % self.heads == 0))
        return self.spaces() | {
            "width": wide,
            "heads": Choice(tuple(h for h in HEADS if self.width % h == 0)),
        }

    def build(self, schema: Schema) -> SequenceModel:
        reader = Causal(self.width, self.layers, self.heads, self.width, self.dropout, self.history)
        return SequenceModel(self, schema, reader)
