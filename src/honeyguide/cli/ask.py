"""Asking a saved recommender: `recommend`, `score`, `similar`."""

import json as json_text
from typing import Annotated, Any

import typer

from honeyguide.cli.flags import AsJson, Bundle, HowMany, words
from honeyguide.errors import CallError

User = Annotated[str | None, typer.Option("--user", metavar="USER", help="A user.")]
Items = Annotated[str, typer.Option("--items", metavar="A,B", help="Items.")]


def recommend(
    bundle: Bundle,
    user: User = None,
    history: Annotated[
        str | None,
        typer.Option("--history", metavar="A,B", help="Items of a history, oldest first."),
    ] = None,
    k: HowMany = 10,
    candidates: Annotated[
        str | None, typer.Option("--candidates", metavar="A,B", help="Rank only these.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Recommend to a user, or to whoever has this history."""
    from honeyguide.bundle.bundle import describe
    from honeyguide.cli import show
    from honeyguide.serve.answers import reply
    from honeyguide.serve.server import VERSION_DIGITS

    if (user is None) == (history is None):
        raise CallError("Who asks is not clear.", "Give either --user USER or --history A,B.")
    rec = show.opened(bundle)
    few = None if candidates is None else words(candidates)
    asked = [user] if history is None else [words(history)]
    told = reply(
        rec,
        rec.answer(asked, k, candidates=few),
        describe(bundle).sha256[:VERSION_DIGITS],
        few,
    )
    if json:
        _print(told.model_dump(mode="json"))
        return
    items = told.items
    show.listed([i.item_id for i in items], [i.title for i in items], [i.score for i in items])
    if told.fallback:
        what = "the history is empty" if user is None else f"nothing is known of user {user}"
        show.say(f"fallback: {what}, or it says nothing, so this is what is popular")
    else:
        show.say(f"{rec.spec.name}, answered by {told.answered_by}")


def score(
    bundle: Bundle,
    user: Annotated[str, typer.Option("--user", metavar="USER", help="A user.")],
    items: Items,
    json: AsJson = False,
) -> None:
    """Score items for a user."""
    from honeyguide.cli import show
    from honeyguide.serve.answers import titled

    rec, wanted = show.opened(bundle), words(items)
    if not wanted:
        raise CallError("No item was given.", "Name some with --items A,B.")
    told = rec.score([user] * len(wanted), wanted)["score"].to_list()
    if json:
        _print([{"item_id": i, "score": s} for i, s in zip(wanted, told, strict=True)])
        return
    show.listed(wanted, titled(rec, wanted), told)
    if user not in rec.state.users.vocab:
        show.say(f"user {user} is unknown: scored like someone without a history")


def similar(
    bundle: Bundle,
    item: Annotated[str, typer.Option("--item", metavar="ITEM", help="An item.")],
    k: HowMany = 10,
    by: Annotated[
        str | None, typer.Option("--by", metavar="HOW", help="cosine, dot or euclid.")
    ] = None,
    json: AsJson = False,
) -> None:
    """The items most like one."""
    from honeyguide.cli import show
    from honeyguide.serve.answers import titled

    rec = show.opened(bundle)
    told = rec.similar([item], k, by)
    names, scores = told["similar_id"].to_list(), told["score"].to_list()
    if json:
        _print([{"item_id": i, "score": s} for i, s in zip(names, scores, strict=True)])
        return
    show.listed(names, titled(rec, names), scores)


def _print(document: Any) -> None:
    print(json_text.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
