"""How long one answer takes through rec.recommend([history]): names in, frame out.

2,000 MovieLens-1M histories of at most 200 events, one at a time, after a hundred to warm up.
Goals: p99 at most 3 ms for EASE and MF, 15 ms for SASRec.
"""

from time import perf_counter

import numpy as np

import honeyguide as hg
from _common import record
from honeyguide.data.sets import load as load_set

COUNT, LENGTH, WARM = 2_000, 200, 100
GOALS_MS = {"ease": 3.0, "mf": 3.0, "sasrec": 15.0}


def histories() -> list[list[int]]:
    """The last events of the first users."""
    events = load_set("movielens-1m").table.events.sort("user_id", "order")
    lists = events.group_by("user_id", maintain_order=True).agg("item_id")["item_id"].to_list()
    return [history[-LENGTH:] for history in lists[:COUNT]]


def main() -> None:
    """The weights do not matter for time, so the learned models get one epoch."""
    asked, told = histories(), {}
    for spec in (hg.EASE(), hg.MF(epochs=1), hg.SASRec(epochs=1)):
        rec = hg.Recommender(spec).fit("movielens-1m")
        times = []
        for history in [*asked[:WARM], *asked]:
            started = perf_counter()
            rec.recommend([history], k=10)
            times.append(1e3 * (perf_counter() - started))
        p50, p95, p99 = np.percentile(times[WARM:], [50, 95, 99])
        told[spec.name] = {
            "p50_ms": p50,
            "p95_ms": p95,
            "p99_ms": p99,
            "max_ms": max(times[WARM:]),
            "goal_p99_ms": GOALS_MS[spec.name],
            "reached": bool(p99 <= GOALS_MS[spec.name]),
        }
    record("latency", {"histories": COUNT, "at_most_events": LENGTH, "k": 10, "models": told})


if __name__ == "__main__":
    main()
