"""Flags that several commands share, each written once.

A group is a plain function: its parameters are the flags, and its answer says which of them were
given. `takes(group)` puts the flags of a group on a command, which receives the answer as its first
argument. Special: only what was given is in there, so that flags win over a file with a run.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer


@dataclass(frozen=True, slots=True)
class Given:
    """What was said about the data. data: its name or file; inputs: fields of data.Inputs."""

    data: str | None
    inputs: dict[str, Any]

    def fields(self, base: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fields of a Run, where those of `base` (a file with a run) give way to the flags."""
        fields = dict(base or {})
        inputs = dict(fields.pop("inputs", {}))
        columns = {**inputs.pop("columns", {}), **self.inputs.get("columns", {})}
        said = {name: value for name, value in self.inputs.items() if name != "columns"}
        if self.data is not None:
            fields["data"] = self.data
            # data named on the command line takes the place of parts named in the file
            inputs = {k: v for k, v in inputs.items() if k not in ("train", "valid", "test")}
        elif "train" in said:
            fields.pop("data", None)
        return {**fields, "inputs": {**inputs, **said, "columns": columns}}


def _column(option: str, what: str) -> Any:
    return typer.Option(option, metavar="COLUMN", help=what, rich_help_panel="Columns")


def _part(option: str, what: str) -> Any:
    return typer.Option(option, metavar="FILE", help=what, rich_help_panel="Data")


def _cut(option: str, metavar: str, what: str) -> Any:
    return typer.Option(option, metavar=metavar, help=what, rich_help_panel="Split")


User = Annotated[str | None, _column("--user", "Who.")]
Item = Annotated[str | None, _column("--item", "What.")]
Time = Annotated[str | None, _column("--time", "When: numbers since 1970, or ISO 8601 dates.")]
Order = Annotated[
    str | None, _column("--order", "What came first; `file` for the order of the rows.")
]
Rating = Annotated[str | None, _column("--rating", "How much: a rating, a count.")]
Kind = Annotated[str | None, _column("--kind", "What happened: view, purchase, like and so on.")]


def columns(
    data: Annotated[str | None, typer.Argument(help="A data set's name, or a file.")] = None,
    user: User = None,
    item: Item = None,
    time: Time = None,
    order: Order = None,
    rating: Rating = None,
    kind: Kind = None,
) -> Given:
    """The data, and which column is which."""
    named = _said(user=user, item=item, time=time, order=order, rating=rating, kind=kind)
    return Given(data, {"columns": named} if named else {})


def inputs(
    data: Annotated[
        str | None,
        typer.Argument(help="A data set's name, or a file; none with --train and --test."),
    ] = None,
    user: User = None,
    item: Item = None,
    time: Time = None,
    order: Order = None,
    rating: Rating = None,
    kind: Kind = None,
    items: Annotated[
        str | None, _part("--items", "A file with one row per item: titles, categories.")
    ] = None,
    users: Annotated[str | None, _part("--users", "A file with one row per user.")] = None,
    train: Annotated[str | None, _part("--train", "A ready-made training part.")] = None,
    valid: Annotated[str | None, _part("--valid", "A ready-made validation part.")] = None,
    test: Annotated[str | None, _part("--test", "A ready-made test part.")] = None,
    download: Annotated[
        bool,
        typer.Option(
            "--download",
            help="Fetch a named data set from its publisher where it is not on this machine.",
            rich_help_panel="Data",
        ),
    ] = False,
    split: Annotated[
        str | None,
        _cut(
            "--split",
            "HOW",
            "time, leave-last-out, random, new-users, new-items or k-fold; by default follows "
            "the data.",
        ),
    ] = None,
    split_seed: Annotated[
        int | None, _cut("--split-seed", "N", "Seed of a split that draws (default 0).")
    ] = None,
    folds: Annotated[
        int | None, _cut("--folds", "N", "Parts of a k-fold split (default 5).")
    ] = None,
    fold: Annotated[
        int | None, _cut("--fold", "N", "Which of them is test, from 0 (default 0).")
    ] = None,
    k_core: Annotated[
        int | None,
        _cut("--k-core", "N", "Keep users and items with at least N events, repeatedly."),
    ] = None,
    min_rating: Annotated[
        float | None, _cut("--min-rating", "X", "Leave ratings below X out.")
    ] = None,
    allow_repeats: Annotated[
        bool,
        typer.Option(
            "--allow-repeats",
            help="Let a ready-made split without times hold the same pair on both sides.",
            rich_help_panel="Split",
        ),
    ] = False,
) -> Given:
    """The data, which column is which, and how to cut it."""
    named = columns(data, user, item, time, order, rating, kind)
    said = _said(
        items=items,
        users=users,
        train=train,
        valid=valid,
        test=test,
        split=split,
        split_seed=split_seed,
        folds=folds,
        fold=fold,
        k_core=k_core,
        min_rating=min_rating,
        download=download or None,
        allow_repeats=allow_repeats or None,
    )
    return Given(data, {**named.inputs, **said})


def takes(
    group: Callable[..., Given],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Put the flags of a group on a command, in place of its first parameter."""
    flags = inspect.signature(group).parameters

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command).parameters.values())[1:]

        @functools.wraps(command)
        def run(**values: Any) -> None:
            given = group(**{name: values.pop(name) for name in flags})
            command(given, **values)

        keyword = inspect.Parameter.KEYWORD_ONLY
        argument = [flags["data"].replace(kind=keyword)]
        rest = [flag.replace(kind=keyword) for name, flag in flags.items() if name != "data"]
        arguments = [p for p in own if p.name == "bundle"]
        options = [p.replace(kind=keyword) for p in own if p.name != "bundle"]
        parameters = [p.replace(kind=keyword) for p in arguments] + argument + options + rest
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def words(text: str | None) -> list[str]:
    """A list as it is written in one argument: a,b,c."""
    return [] if text is None else [word.strip() for word in text.split(",") if word.strip()]


def _said(**flags: Any) -> dict[str, Any]:
    return {name: value for name, value in flags.items() if value is not None}


# ------------------------------------------------------------------ flags of one value

Bundle = Annotated[Path, typer.Argument(help="The folder of a saved recommender.")]
Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="RUN.toml", help="A file that holds a run; flags win."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="MODEL.KEY=VALUE", help="A setting of a model; may be repeated."),
]
Metrics = Annotated[
    str | None,
    typer.Option("--metrics", metavar="A,B", help="What to measure, such as recall@20,ndcg@20."),
]
Track = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        metavar="SERVICE:FOLDER",
        help="Write journals for tensorboard, wandb or mlflow, too; may be repeated.",
    ),
]
JsonOut = Annotated[
    Path | None, typer.Option("--json", metavar="OUT", help="Write the result to this file.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Host = Annotated[str, typer.Option("--host", help="The address to listen on.")]
Port = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="The port; 0 takes a free one.")
]
HowMany = Annotated[int, typer.Option("-k", help="How many items.")]
