"""What stands in a table, in numbers: sizes, density, time, kinds, duplicates, the long tail."""

from datetime import UTC, datetime
from typing import Any

import polars as pl

from honeyguide.data.table import Table

HEADS = (0.01, 0.1, 0.2)  # parts of the catalogue, most popular first
FEW = 5
DAY = 86_400.0


def summarise(table: Table) -> dict[str, Any]:
    """A table as plain values, ready for JSON.

    density: distinct pairs of user and item over all that could be. duplicates: rows equal to an
    earlier one in every column (order aside). repeated_pairs: rows of a user and item that came
    before. long_tail: share of the events on the most popular items. time is null without times.
    """
    events = table.events
    rows = events.drop("order", strict=False)
    named = events.filter(pl.col("item_id").is_not_null())
    users, items = events["user_id"].n_unique(), named["item_id"].n_unique()
    pairs = named.select("user_id", "item_id").n_unique() if len(named) else 0
    by_user = events.group_by("user_id").len()["len"]
    by_item = named.group_by("item_id").len()["len"].sort(descending=True)
    return {
        "events": len(events),
        "users": users,
        "items": items,
        "density": pairs / (users * items) if users and items else None,
        "kinds": _counts(events, "kind"),
        "parts": _counts(events, "part") or None,
        "time": _time(events),
        "values": _values(events),
        "events_per_user": _spread(by_user),
        "events_per_item": _spread(by_item),
        "duplicates": len(rows) - rows.n_unique() if len(rows) else 0,
        "repeated_pairs": len(named) - pairs,
        "long_tail": _tail(by_item),
        "item_columns": _columns(table.items, "item_id"),
        "user_columns": _columns(table.users, "user_id"),
        "notes": list(table.notes),
    }


def _counts(events: pl.DataFrame, name: str) -> dict[str, int]:
    if name not in events.columns:
        return {}
    counted = events.group_by(name).len().sort(["len", name], descending=[True, False])
    return dict(zip(counted[name].to_list(), counted["len"].to_list(), strict=True))


def _time(events: pl.DataFrame) -> dict[str, Any] | None:
    if "time" not in events.columns or not len(events):
        return None
    # both casts are exact: times are f64 already
    first, last = (
        float(v) for v in events.select(pl.min("time"), pl.max("time").alias("l")).row(0)
    )
    return {"first": _day(first), "last": _day(last), "days": (last - first) / DAY}


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _values(events: pl.DataFrame) -> dict[str, float] | None:
    if "value" not in events.columns or events["value"].null_count() == len(events):
        return None
    told = events.select(
        pl.col("value").min().alias("lowest"),
        pl.col("value").mean().alias("mean"),
        pl.col("value").max().alias("highest"),
    )
    return {name: float(value) for name, value in told.row(0, named=True).items()}


def _spread(counts: pl.Series) -> dict[str, float]:
    if not len(counts):
        return {"fewest": 0.0, "median": 0.0, "mean": 0.0, "most": 0.0}
    told = counts.to_frame("n").select(
        pl.col("n").min().alias("fewest"),
        pl.col("n").median().alias("median"),
        pl.col("n").mean().alias("mean"),
        pl.col("n").max().alias("most"),
    )
    return {name: float(value) for name, value in told.row(0, named=True).items()}


def _tail(by_item: pl.Series) -> dict[str, float]:
    """by_item: events of each item, most first."""
    if not len(by_item):
        return {}
    total = int(by_item.sum())
    told = {
        f"top_{round(100 * head)}_percent": int(
            by_item.head(max(1, round(head * len(by_item)))).sum()
        )
        / total
        for head in HEADS
    }
    told[f"items_below_{FEW}_events"] = int((by_item < FEW).sum()) / len(by_item)
    return told


def _columns(side: pl.DataFrame | None, key: str) -> list[str] | None:
    return None if side is None else [name for name in side.columns if name != key]
