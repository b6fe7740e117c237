"""The page's part on every model through `compare`."""

from typing import Any

from _pages import COSTS, costs, interval, read, table

SETS = {
    "movielens-1m": "MovieLens-1M, 5-core, the last item of each user by order",
    "gowalla": "Gowalla (LightGCN split)",
}


def family() -> str:
    """A table for each data set."""
    parts = [(title, read(f"family_{name.replace('-', '_')}")) for name, title in SETS.items()]
    return "\n".join(_one(title, told) for title, told in parts if told is not None)


def _one(title: str, told: dict[str, Any]) -> str:
    *asked, coverage = told["run"]["metrics"]
    run = [row for row in told["results"] if not row["skipped"]]
    rows = [
        [
            row["model"],
            *(interval(row["metrics"][name]) for name in asked),
            f"{row['metrics'][coverage]['mean']:.3f}".lstrip("0"),
            *costs(row),
        ]
        for row in run
    ]
    head = ["model", *asked, coverage, *COSTS]
    left = [f"- {row['model']}: {row['skipped']}" for row in told["results"] if row["skipped"]]
    left += [f"- {name}: would take longer than all others together" for name in told["left_out"]]
    return (
        f"{title}: all models by `compare`, the defaults of {told['date']}, one seed, whatever has "
        f"epochs stopped after {told['epochs']} epoch{'s'[: told['epochs'] > 1]}. This tells that "
        "they run and what they cost, not what they reach (see above for that):\n\n"
        + table(head, rows)
        + "\nNot run:\n\n"
        + "\n".join(left or ["- nothing was left out"])
        + "\n"
    )
