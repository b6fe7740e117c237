"""Rows that any other history reaches by a linear map of its items.

Special: no step of descent when asked. After training, ridge regression finds the map from what the
items of each trained history give (the sum of their vectors over the root of how many there are) to
the row that was learned for it. What the map misses of a user's own row is kept beside it, so the
trained history gives back the trained row, and one more event moves it by what that event gives.
"""

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from honeyguide.data.query import Pairs, Query, fingerprints
from honeyguide.data.training import TrainingData
from honeyguide.models.spec import Schema, Spec, UserRows


class MappedRows(UserRows):
    """carry (D, D): the map. user.rest (U, D): what it misses of the trained rows."""

    def __init__(self, spec: Spec, schema: Schema, width: int) -> None:
        super().__init__(spec, schema, width)
        self.carry: Tensor
        self.register_buffer("carry", torch.zeros(width, width))
        self.user.register_buffer("rest", torch.zeros(schema.users, width))

    @torch.no_grad()
    def settle(self, data: TrainingData) -> None:
        """The map from the items of a history to a user's row, by ridge regression."""
        events = data.interactions.counting(self.spec.rule)
        self.as_of.copy_(torch.from_numpy(fingerprints(events)))
        rows = self.user.weight
        given = self.given(Pairs.of(events.pairs(self.spec.rule)).to(rows.device))
        active = torch.from_numpy(events.lengths > 0).to(rows.device)
        gram = given[active].T @ given[active]
        gram.diagonal().add_(1e-3 * gram.diagonal().mean().clamp(min=1e-6))
        self.carry.copy_(torch.linalg.solve(gram, given[active].T @ rows[active]))
        self.user.get_buffer("rest").copy_(rows - given @ self.carry)

    def given(self, pairs: Pairs) -> Float32[Tensor, "B D"]:
        """The sum of the items' vectors over the root of how many there are."""
        count = pairs.offsets.diff().clamp(min=1)
        return pairs.times(self.items.weight) / count.sqrt()[:, None]

    def priors(self, users: Int64[Tensor, " B"]) -> Float32[Tensor, "B D"]:
        return self.user.get_buffer("rest")[users]

    def fold_in(self, query: Query, prior: Float32[Tensor, "B D"]) -> Float32[Tensor, "B D"]:
        """The map of the history plus what it had missed."""
        return prior + self.given(query.pairs(self.spec.rule)) @ self.carry
