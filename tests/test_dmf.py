"""DMF: scores are what its similarity says of where the two towers end."""

from typing import Any

import pytest
import torch

from honeyguide.errors import CallError
from honeyguide.models.dmf import DMF
from matrices import everyone, fitted, random_log

SMALL = DMF(width=4, hidden=(6,), epochs=2, batch=20, dropout=0.0, temperature=1.0)


@pytest.mark.parametrize("similarity", ["dot", "cosine", "euclid"])
def test_scores_by_the_similarity(similarity):
    log = random_log()
    model: Any = fitted(SMALL.but(similarity=similarity), log)
    asked = everyone(log, model.spec)
    with torch.no_grad():
        users = model.of_user(asked.pairs(model.spec.rule), model.items.weight)
        items = model.of_item(model.columns, model.user.weight)
        told = model.score(asked)[:, 1:]
    if similarity == "cosine":
        users, items = (torch.nn.functional.normalize(part) for part in (users, items))
    wanted = users @ items[1:].T
    if similarity == "euclid":  # but for what is the same for all items of a user
        wanted = -(torch.cdist(users, items[1:]) ** 2)
        wanted, told = wanted - wanted[:, :1], told - told[:, :1]
    torch.testing.assert_close(told, wanted, rtol=1e-4, atol=1e-4)


def test_a_tower_needs_a_layer():
    with pytest.raises(CallError, match="hidden"):
        DMF(hidden=())
