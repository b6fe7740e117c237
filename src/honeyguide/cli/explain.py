"""`honeyguide explain`: which events of a history carry a recommendation."""

import json as json_text
from typing import Annotated, Any

import typer

from honeyguide.cli.flags import AsJson, Bundle, words
from honeyguide.errors import CallError


def explain(
    bundle: Bundle,
    user: Annotated[str | None, typer.Option("--user", metavar="USER", help="A user.")] = None,
    history: Annotated[
        str | None,
        typer.Option("--history", metavar="A,B", help="Items of a history, oldest first."),
    ] = None,
    item: Annotated[
        str | None,
        typer.Option("--item", metavar="ITEM", help="What to explain; else what comes first."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Say which events carry a recommendation, and what it is like."""
    from honeyguide.cli import show

    if (user is None) == (history is None):
        raise CallError("Who asks is not clear.", "Give either --user USER or --history A,B.")
    rec = show.opened(bundle)
    asked = [user] if history is None else [words(history)]
    told = rec.explanations(asked, None if item is None else [item])
    if not told:
        raise CallError("There is nothing to explain: no item is left.", "Name one with --item.")
    (one,) = told
    if json:
        print(json_text.dumps(one.document(), indent=2, ensure_ascii=False, allow_nan=False))
        return
    at = "" if one.rank is None else f", at {one.rank}"
    show.say(f"{one.title or one.item}{at}:", *(f"  {said}" for said in one.sentences))
    _table(
        "most like it in the history",
        [(like.title or like.item, like.likeness) for like in one.nearest],
    )
    shares = [(f"{each.column}: {each.value}", each.share) for each in one.features]
    _table("share of the weight, by what the items of the history have in common", shares)


def _table(title: str, rows: list[tuple[Any, float]]) -> None:
    from honeyguide.cli import show

    if rows:
        show.say("", f"{title}:")
        show.grid(["", ""], [[f"  {name}", f"{value:.2f}"] for name, value in rows])
