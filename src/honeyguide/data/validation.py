"""A small validation part for a log that is otherwise learned whole."""

import numpy as np

from honeyguide.data.interactions import Interactions
from honeyguide.data.rule import EVENTS_FOR
from honeyguide.data.split import Holdout, holdout
from honeyguide.data.vocab import PAD

SHARE = 10  # one user in so many
MOST = 5_000
FEWEST = 3  # events that a user must have to give one away


def sampled_holdout(events: Interactions, seed: int) -> tuple[Interactions, Holdout | None]:
    """The log without one event of every tenth user, and that event as a Holdout.

    The event is the user's last that counts, with what follows it (a later search would tell of
    it), or a random one where there is no order. None where no user has enough events.
    """
    counted = np.flatnonzero(EVENTS_FOR.mask()[events.kind] & (events.item != PAD))
    user = events.user[counted]
    first = np.searchsorted(user, np.arange(events.n_users), side="left")
    many = np.searchsorted(user, np.arange(events.n_users), side="right") - first
    able = np.flatnonzero(many >= FEWEST)
    if len(able) == 0:
        return events, None
    draw = np.random.default_rng(seed)
    size = min(MOST, max(1, len(able) // SHARE))
    chosen = np.sort(draw.choice(able, size, replace=False))
    place = many[chosen] - 1 if events.order else draw.integers(0, many[chosen])
    rows = counted[first[chosen] + place]
    edges = np.zeros(len(events) + 1, np.int8)
    edges[rows] = 1
    edges[events.offsets[chosen + 1] if events.order else rows + 1] -= 1
    held = edges[:-1].cumsum(dtype=np.int8) > 0
    learned = events.only(~held)
    kept = holdout(learned, events.only(held), None)
    return learned, kept if len(kept.users) else None
