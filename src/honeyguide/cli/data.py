"""`honeyguide data`: what stands in a table, before anything is learned from it."""

from typing import Any

from honeyguide.cli import flags
from honeyguide.cli.flags import Given, JsonOut, takes


@takes(flags.inputs)
def data(given: Given, json: JsonOut = None) -> None:
    """Say what stands in a table, and how it would be split."""
    from honeyguide.cli import show
    from honeyguide.cli.runs import run_of
    from honeyguide.data.summary import summarise
    from honeyguide.experiment.splitting import open_split
    from honeyguide.experiment.writing import refuse_unwritable, write_json

    refuse_unwritable(json)
    run = run_of(given, None, None, None)
    show.fetch(run.data, run.inputs)
    opened, parts = open_split(run.data, run.inputs)
    told = {"name": opened.name, **summarise(opened.table)}
    told["notes"] = [*told["notes"], *parts.notes]
    told["split"] = {
        "how": opened.protocol.split,
        "train_events": len(parts.train),
        "test_users": len(parts.test.users),
        "test_pairs": len(parts.test.truth),
    }
    show.pairs(_lines(told))
    show.notes(told["notes"])
    if json is not None:
        write_json(told, json)
        show.say(f"Written to {json}.")


def _lines(told: dict[str, Any]) -> list[tuple[str, str]]:
    """The summary in words, one line each."""
    time, values, cut, tail = told["time"], told["values"], told["split"], told["long_tail"]
    density = "" if told["density"] is None else f"{100 * told['density']:.3g} %"
    lines = [
        ("data", told["name"]),
        ("events", f"{told['events']:,}"),
        ("users", f"{told['users']:,}{_known(told['user_columns'])}"),
        ("items", f"{told['items']:,}{_known(told['item_columns'])}"),
        ("density", density),
        ("kinds", _counted(told["kinds"])),
        (
            "time",
            f"{time['first']} to {time['last']} ({time['days']:,.1f} days)" if time else "none",
        ),
    ]
    if values:
        lines.append(
            ("values", f"{values['lowest']:g} to {values['highest']:g}, mean {values['mean']:.3g}")
        )
    if told["parts"]:
        lines.append(("parts", _counted(told["parts"])))
    return [
        *lines,
        ("events per user", _spread(told["events_per_user"])),
        ("events per item", _spread(told["events_per_item"])),
        ("duplicates", f"{told['duplicates']:,} rows equal to an earlier one"),
        ("repeats", f"{told['repeated_pairs']:,} events of a user and item that came before"),
        (
            "long tail",
            f"{_percent(tail, 'top_1_percent')} of events on the top 1 % of items, "
            f"{_percent(tail, 'top_10_percent')} on 10 %, {_percent(tail, 'top_20_percent')} on "
            f"20 %; {_percent(tail, 'items_below_5_events')} of items have fewer than 5",
        ),
        (
            "split",
            f"{cut['how']}: {cut['train_events']:,} events to learn from, {cut['test_users']:,} "
            f"users to ask, {cut['test_pairs']:,} pairs to find",
        ),
    ]


def _known(columns: list[str] | None) -> str:
    return f" (known of each: {', '.join(columns)})" if columns else ""


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _spread(spread: dict[str, float]) -> str:
    return (
        f"{spread['fewest']:,.0f} to {spread['most']:,.0f}, median {spread['median']:,.4g}, "
        f"mean {spread['mean']:,.4g}"
    )


def _percent(shares: dict[str, float], name: str) -> str:
    return f"{100 * shares[name]:.0f} %"
