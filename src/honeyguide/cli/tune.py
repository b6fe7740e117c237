"""`honeyguide tune`: better settings under a time budget, then one reading of test."""

from pathlib import Path
from typing import Annotated, Any

import typer

from honeyguide.cli import flags
from honeyguide.cli.flags import Config, Given, Metrics, Settings, takes, words
from honeyguide.errors import CallError

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
RESULTS, TUNED = "results.json", "tuned.toml"


@takes(flags.inputs)
def tune(
    given: Given,
    models: Annotated[
        str | None, typer.Option("--models", metavar="A,B", help="Names of models.")
    ] = None,
    budget: Annotated[
        str, typer.Option("--budget", metavar="TIME", help="For all models: 90s, 30m, 2h.")
    ] = "30m",
    trials: Annotated[
        int, typer.Option("--trials", metavar="N", min=1, help="Most trials of a model.")
    ] = 40,
    sampler: Annotated[
        str, typer.Option("--sampler", metavar="HOW", help="tpe, or random as a yardstick.")
    ] = "tpe",
    no_prune: Annotated[
        bool, typer.Option("--no-prune", help="Train trials that are behind to their end, too.")
    ] = False,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Of training and of the search.")
    ] = 0,
    settings: Settings = None,
    metrics: Metrics = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="For trials, settings and results."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted search in --out.")
    ] = False,
    config: Config = None,
) -> None:
    """Look for better settings on validation, then measure each model once on test."""
    from honeyguide.cli import show
    from honeyguide.cli.runs import run_of
    from honeyguide.experiment.tuning import tune as tune_models
    from honeyguide.tuning import Search

    if resume and out is None:
        raise CallError("Nothing to resume: no folder was given.", "Name it with --out.")
    if out is not None and out.exists() and not out.is_dir():
        raise CallError(f"{out} is a file.", "Name a folder with --out.")
    run = run_of(given, config, words(models), settings, metrics=words(metrics), seeds=seed)
    run.specs()
    said: dict[str, Any] = {"trials": trials, "sampler": sampler, "seed": seed}
    how = Search(budget=_seconds(budget), prune=not no_prune, **said)
    show.fetch(run.data, run.inputs)
    with show.Bars() as bars:
        told = tune_models(
            run=run,
            search_by=how,
            folder=out,
            resume=resume,
            watch=bars.watch,
            on_trial=bars.done,
        )
    show.tuning(told)
    show.comparison(told)
    if out is not None:
        _write(told, out)
        show.say("", f"Written to {out}: {RESULTS}, {TUNED}.")
    if told.failed:
        raise typer.Exit(1)


def _write(told: Any, out: Path) -> None:
    from honeyguide.experiment.tuning import tuned_run
    from honeyguide.experiment.writing import write, write_toml

    out.mkdir(parents=True, exist_ok=True)
    write(told, out / RESULTS)
    write_toml(tuned_run(told.run, told), out / TUNED)


def _seconds(text: str) -> float:
    """90s, 30m, 2h. Raises CallError."""
    number, unit = text[:-1], text[-1:]
    try:
        seconds = float(number) * UNITS[unit]
    except (ValueError, KeyError):
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise CallError(f"{text!r} is no time.", "Write --budget 90s, 30m or 2h.")
    return seconds
