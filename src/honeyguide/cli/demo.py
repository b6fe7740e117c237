"""`honeyguide demo`: the whole journey on screen, from a table to a service.

Real films where MovieLens lies on this machine or may be fetched, else the simulated shop; nothing
reaches out unasked.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from honeyguide.cli.flags import Host, JsonOut, Port

REAL = ("movielens-100k", "movielens-latest-small", "movielens-1m")  # the first that is here
BUILT_IN = "simulated-shop"
# few epochs, so that all of it takes under three minutes on two cores
SETTINGS: dict[str, dict[str, Any]] = {
    "popular": {},
    "item-knn": {},
    "ease": {},
    "ials": {},
    "mf": {"epochs": 15},
    "sasrec": {"epochs": 5, "history": 50},
}
HISTORY = 10  # events that the user shown should have
SHOWN = 5


def demo(
    no_serve: Annotated[
        bool, typer.Option("--no-serve", help="Stop after the bundle is written.")
    ] = False,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch MovieLens where it is not on this machine.")
    ] = False,
    json: JsonOut = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="BUNDLE", help="The folder to save to.")
    ] = Path("honeyguide-demo"),
    host: Host = "127.0.0.1",
    port: Port = 8088,
) -> None:
    """Compare models on films or a simulated shop, save the best, serve it."""
    from honeyguide.cli import show
    from honeyguide.cli.runs import refuse_occupied
    from honeyguide.data.opening import Inputs
    from honeyguide.experiment import Run
    from honeyguide.experiment import compare as compare_models
    from honeyguide.experiment.writing import refuse_unwritable, write
    from honeyguide.recommender import Recommender
    from honeyguide.train.progress import Bar

    refuse_occupied(out)
    refuse_unwritable(json)
    data = _data(download)
    run = Run(
        data=data, models=tuple(SETTINGS), settings=SETTINGS, inputs=Inputs(download=download)
    )
    show.fetch(data, run.inputs)
    if data == BUILT_IN:
        show.say(
            "MovieLens is not on this machine, so this is the simulated shop.",
            "For real films: honeyguide demo --download (5 MB from grouplens.org, for research "
            "only), or point HONEYGUIDE_DATA at a folder that holds ml-100k.",
            "",
        )
    with _one_thread(), show.Bars() as bars:
        told = compare_models(run=run, watch=bars.watch, on_result=bars.done)
    show.comparison(told)
    if json is not None:
        write(told, json)
        show.say(f"Written to {json}.")
    if told.chosen is None:
        raise typer.Exit(1)
    (spec,) = (spec for spec in run.specs() if spec.name == told.chosen)
    rec = Recommender(spec)
    with _one_thread(), Bar(spec.name) as bar:
        rec.fit(data, inputs=run.inputs, reporter=bar)
    rec.save(out)
    show.say("", f"{spec.name}, now trained on everything, is saved in {out}.")
    user = _example(rec)
    show.say("", f"User {user} last met:")
    show.say(*(f"  {name}" for name in _last_met(rec, user)))
    show.say("", f"and is recommended ($ honeyguide recommend {out} --user {user} -k {SHOWN}):")
    _recommended(rec, user)
    if no_serve:
        show.say("", f"Serve it: honeyguide serve {out}")
        return
    _serve(out, host, port, user)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Tables this small gain little from a second thread, and where other programs keep the cores
    busy, threads that wait for each other took 104 s of processor time in place of 12."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _data(download: bool) -> str:
    from honeyguide.data.sets import located

    here = next((name for name in REAL if located(name) is not None), None)
    return here or (REAL[0] if download else BUILT_IN)


def _example(rec: Any) -> Any:
    """The first user with a history worth showing, or the one with the longest."""
    lengths = rec.state.histories.lengths
    enough = (lengths >= HISTORY).nonzero()[0]
    return rec.state.users.vocab.names[int(enough[0] if len(enough) else lengths.argmax())]


def _last_met(rec: Any, user: Any) -> list[str]:
    from honeyguide.serve.answers import titled

    state = rec.state
    past = state.histories.of_users(state.users.vocab.numbers([user])).seen()
    last = list(dict.fromkeys(past.item[::-1].tolist()))[:SHOWN]  # a view and a purchase are one
    names = [state.items.vocab.names[number - 1] for number in reversed(last)]
    return [title or str(name) for title, name in zip(titled(rec, names), names, strict=True)]


def _recommended(rec: Any, user: Any) -> None:
    from honeyguide.cli import show
    from honeyguide.serve.answers import titled

    frame = rec.answer([user], SHOWN).frame
    names = frame["item_id"].to_list()
    show.listed(names, titled(rec, names), frame["score"].to_list())


def _serve(out: Path, host: str, port: int, user: Any) -> None:
    import json as json_text

    from honeyguide.cli import show
    from honeyguide.serve.server import serve

    def ready(url: str) -> None:
        body = json_text.dumps({"user_id": user, "k": SHOWN})
        show.say(
            "",
            f"Serving {out} on {url} (Ctrl-C stops). Ask it from another terminal:",
            f"  curl {url}/v1/recommendations --json '{body}'",
        )

    serve(out, host, port, ready)
