"""How long one explanation takes: a history of 50 events, names in, sentences out, MovieLens-1M."""

from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

import honeyguide as hg
from _common import record

EVENTS, HISTORIES, GOAL = 50, 500, 50.0
# SASRec is trained for one epoch: how well it is trained changes no time
SPECS = [hg.EASE(), hg.MF(epochs=3), hg.SASRec(history=50, epochs=1)]


def main() -> None:
    """All models."""
    table = hg.load_data("movielens-1m").table.events.sort("user_id", "order")
    users = table.group_by("user_id").len().filter(pl.col("len") >= EVENTS)["user_id"]
    some = users.sort().sample(HISTORIES, seed=0).to_list()
    last = table.filter(pl.col("user_id").is_in(some)).group_by("user_id").tail(EVENTS)
    histories = last.group_by("user_id", maintain_order=True).agg("item_id")["item_id"].to_list()
    told: dict[str, Any] = {}
    for spec in SPECS:
        rec = hg.Recommender(spec).fit("movielens-1m")
        rec.explanations([histories[0]])
        times = []
        for history in histories:
            started = perf_counter()
            (one,) = rec.explanations([history])
            _ = one.sentences
            times.append(1_000 * (perf_counter() - started))
        told[spec.name] = {
            "p50_ms": float(np.percentile(times, 50)),
            "p95_ms": float(np.percentile(times, 95)),
            "goal_p95_ms": GOAL,
        }
    record("explain_latency", {"events": EVENTS, "histories": HISTORIES, "models": told})


if __name__ == "__main__":
    main()
