"""The simulated shop grows to 50 M events: what reading and an epoch cost on the way there.

    python growth.py [EVENTS_IN_MILLIONS ...]

One shop is simulated and written to Parquet, its rows shuffled, for the first users that make up so
many events. Each size is then read and trained in a process of its own, so that the peak memory is
that of the size alone. Names are text for the sizes up to 20 M, whole numbers for the largest. An
epoch is one pass of MF by BPR (width 64, a negative for each pair) over the distinct pairs of user
and item that speak for the item; the second of two is timed.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any

import numpy as np
import polars as pl

from _common import record
from honeyguide.data.interactions import Interactions
from honeyguide.data.opening import Inputs, open_data
from honeyguide.data.shop import simulate
from honeyguide.data.training import TrainingData
from honeyguide.experiment.machine import peak_memory_mb, reset_peak_memory
from honeyguide.models.mf import MF
from honeyguide.models.spec import Schema
from honeyguide.train.trainer import build, fit

SIZES = (1, 5, 20, 50)
TEXT = 20  # up to so many millions of events names are text
ITEMS = 5_000
SETTLED = 15  # seconds


def main() -> None:
    """The child's part, or all of it."""
    if len(sys.argv) > 1 and sys.argv[1] == "--child":
        print(json.dumps(child(Path(sys.argv[2]))))
        return
    sizes = [int(text) for text in sys.argv[1:]] or list(SIZES)
    with TemporaryDirectory() as folder:
        made = make(Path(folder), sizes)
        rows = []
        for size in sizes:
            path = Path(folder) / f"{size}.parquet"
            command = [sys.executable, __file__, "--child", str(path)]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            rows.append({"millions": size, **json.loads(told.splitlines()[-1])})
            path.unlink()
            print(rows[-1], flush=True)
    record("growth", {"shop": made, "sizes": rows, "line": line(rows)})


def make(folder: Path, sizes: list[int]) -> dict[str, Any]:
    """The files, and what the shop was."""
    most, started = max(sizes) * 1_000_000, perf_counter()
    shop = simulate(most, items=ITEMS)
    told: dict[str, Any] = {"events": most, "seconds": perf_counter() - started}
    started = perf_counter()
    friends = shop.friendships()
    told |= {"friendships": len(friends), "friendship_seconds": perf_counter() - started}
    assert shop.table.users is not None
    people = shop.table.users["user_id"]
    told |= {"users": len(people), "items": ITEMS}
    events = shop.table.events.select("user_id", "item_id", "kind", "time")
    del shop, friends
    events = events[np.random.default_rng(0).permutation(len(events))]
    for size in sizes:
        last = people[max(1, round(len(people) * size / max(sizes))) - 1]
        part = events.filter(pl.col("user_id") <= last)
        if size > TEXT:
            part = part.with_columns(
                pl.col("user_id").str.slice(1).cast(pl.Int32),
                pl.col("item_id").str.split("-").list.last().cast(pl.Int32),
            )
        part.write_parquet(folder / f"{size}.parquet")
    return told


def child(path: Path) -> dict[str, Any]:
    """Read and train one size."""
    small = simulate(1_000).table.events  # kernels are compiled before the clock starts
    Interactions.of(open_data(small, Inputs()).table)
    started = perf_counter()
    log = Interactions.of(open_data(str(path), Inputs()).table)
    read, peak = perf_counter() - started, peak_memory_mb()
    sleep(SETTLED)  # polars gives back what reading took only after a while
    reset_peak_memory()  # what training takes, with the numbered events in memory
    spec = MF(loss="bpr", negatives=1, batch=8192, epochs=2, learning_rate=5e-3, l2=1e-3)
    model = build(spec, Schema(users=log.n_users, items=log.n_items), 0)
    fitted = fit(model, TrainingData(log))
    last = fitted.journal[-1]
    return {
        "events": len(log),
        "users": log.n_users,
        "pairs": round(last["targets_per_second"] * last["seconds"]),
        "read_seconds": read,
        "read_peak_mb": peak,
        "epoch_seconds": last["seconds"],
        "train_peak_mb": peak_memory_mb(),
    }


def line(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Seconds of an epoch per million pairs by least squares through 0, and the worst deviation
    from that line, as a part of it."""
    x = np.array([row["pairs"] for row in rows]) / 1e6
    y = np.array([row["epoch_seconds"] for row in rows])
    slope = float(x @ y / (x @ x))
    apart = np.abs(y - slope * x) / (slope * x)
    return {"seconds_per_million_pairs": slope, "worst_deviation": float(apart.max())}


if __name__ == "__main__":
    main()
