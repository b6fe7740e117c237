"""Popular: everyone gets what most people took. The yardstick for everything else."""

from typing import Annotated, ClassVar

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from honeyguide.config import Choice, Space
from honeyguide.data.interactions import Interactions
from honeyguide.data.query import Query
from honeyguide.data.rule import EVENTS_FOR, Rule
from honeyguide.data.training import TrainingData
from honeyguide.errors import CallError
from honeyguide.models.spec import Dense, Positive, Schema, Solved, Spec, never_pad

DAY = 86_400.0


class Popular(Spec):
    """The number of events of an item, older ones worth less if there is a half-life."""

    name: ClassVar[str] = "popular"
    rule: ClassVar[Rule] = EVENTS_FOR

    half_life: Annotated[Positive | None, Choice((None, 7.0, 30.0, 90.0, 365.0))] = None
    """Days after which an event is worth half. Set it where tastes or the catalogue move on."""

    def searched(self, log: Interactions) -> dict[str, Space]:
        return {} if log.time is None else self.spaces()

    def build(self, schema: Schema) -> "PopularModel":
        return PopularModel(self, schema)


class PopularModel(Dense, Solved):
    """One score per item, the same for all."""

    def __init__(self, spec: Popular, schema: Schema) -> None:
        super().__init__(spec, schema)
        self.half_life = spec.half_life
        self.weight: Tensor
        self.register_buffer("weight", torch.zeros(schema.items))

    def solve(self, data: TrainingData, seed: int) -> None:
        events = data.interactions.counting(self.spec.rule)
        worth = None
        if self.half_life is not None:
            if events.time is None:
                raise CallError(
                    "Popularity with a half-life needs times, and the table has none.",
                    "Name the column with --time, or leave half_life out.",
                )
            age = (events.time.max() - events.time) / (self.half_life * DAY)
            worth = np.exp2(-age)
        counts = np.bincount(events.item, weights=worth, minlength=self.schema.items)
        self.weight = torch.from_numpy(counts.astype(np.float32))

    def score(self, query: Query) -> Float32[Tensor, "B I"]:
        return never_pad(self.weight.repeat(len(query), 1))
