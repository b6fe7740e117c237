"""Events of a user cut into sessions: by their session ids, by inactivity, or not at all."""

import numpy as np
from jaxtyping import Int64

from honeyguide.data.interactions import Interactions
from honeyguide.errors import CallError


def session_ends(events: Interactions, inactivity: float | None = None) -> Int64[np.ndarray, " S1"]:
    """Session s is the events ends[s] to ends[s + 1], in order; S sessions, none of them empty.

    inactivity: a session ends where the next event is so many seconds later (then session ids are
    not looked at). None = where the session id changes; a user without ids is one session. Raises
    CallError without an order, or without times where inactivity is given.
    """
    if events.order is None:
        raise CallError(
            "Sessions need an order, and the table has none.",
            "Name a column with --time or --order (--order file if the rows stand in order).",
        )
    starts = np.zeros(len(events) + 1, dtype=bool)
    starts[events.offsets[:-1][np.diff(events.offsets) > 0]] = True
    starts[-1] = True
    if inactivity is not None:
        if events.time is None:
            raise CallError(
                "Sessions by inactivity need times, and the table has none.",
                "Name a column with --time, or leave inactivity out.",
            )
        starts[1:-1] |= np.diff(events.time) > inactivity
    elif events.session is not None:
        starts[1:-1] |= np.diff(events.session) != 0
    return np.flatnonzero(starts).astype(np.int64)
