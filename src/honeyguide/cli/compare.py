"""`honeyguide compare`: several models on one split, measured alike, with a verdict."""

from typing import Annotated

import typer

from honeyguide.cli import flags
from honeyguide.cli.flags import Config, Given, JsonOut, Metrics, Settings, Track, takes, words


@takes(flags.inputs)
def compare(
    given: Given,
    models: Annotated[
        str | None, typer.Option("--models", metavar="A,B", help="Names of models.")
    ] = None,
    settings: Settings = None,
    metrics: Metrics = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="N,N", help="One training per seed.")
    ] = None,
    track: Track = None,
    json: JsonOut = None,
    config: Config = None,
) -> None:
    """Train and measure several models on one split, and say which to choose."""
    from honeyguide.cli import show
    from honeyguide.cli.runs import run_of, whole_numbers
    from honeyguide.experiment import compare as compare_models
    from honeyguide.experiment.writing import refuse_unwritable, write
    from honeyguide.train.tracking import tracker_named

    numbers = None if seeds is None else whole_numbers(words(seeds), "--seeds")
    run = run_of(given, config, words(models), settings, metrics=words(metrics), seeds=numbers)
    run.specs()
    if track:
        run = run.but(track=tuple(track))
        for text in track:
            tracker_named(text)  # what is missing is said before anything is trained
    refuse_unwritable(json)
    show.fetch(run.data, run.inputs)
    with show.Bars() as bars:
        told = compare_models(run=run, watch=bars.watch, on_result=bars.done)
    show.comparison(told)
    if json is not None:
        write(told, json)
        show.say("", f"Written to {json}.")
    if told.failed:
        raise typer.Exit(1)
