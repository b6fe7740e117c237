"""`honeyguide evaluate`: a saved recommender, or another framework's file, against the truth."""

import json as json_text
from pathlib import Path
from typing import Annotated, Any

import typer

from honeyguide.cli import flags
from honeyguide.cli.flags import AsJson, Given, Metrics, takes, words
from honeyguide.errors import CallError


@takes(flags.inputs)
def evaluate(
    given: Given,
    bundle: Annotated[
        Path,
        typer.Argument(
            metavar="BUNDLE_OR_FILE",
            help="The folder of a saved recommender, or a file of lists or predictions.",
        ),
    ],
    metrics: Metrics = None,
    min_label: Annotated[
        float | None,
        typer.Option("--min-label", metavar="X", help="Of predictions: the label is 1 from X on."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Measure a saved recommender on later events, or a file of lists on the test part of data."""
    wanted = words(metrics)
    if not bundle.is_file():
        _bundle(bundle, given, wanted, min_label, json)
        return
    from honeyguide.cli import show
    from honeyguide.data.opening import Inputs
    from honeyguide.evaluate.predicted import POINTWISE

    of_predictions = [name for name in wanted if name in POINTWISE]
    if of_predictions and len(of_predictions) < len(wanted):
        raise CallError(
            f"{of_predictions[0]} is measured on predictions, the others on lists.",
            "Ask for them one after the other.",
        )
    if min_label is not None and not of_predictions:
        raise CallError(
            "--min-label is for metrics of predictions.", f"Those are {', '.join(POINTWISE)}."
        )
    inputs = Inputs(**given.inputs)
    show.fetch(given.data, inputs)
    measure = _predictions if of_predictions else _lists
    measure(bundle, given.data, inputs, wanted, min_label, json)


def _lists(
    file: Path, data: str | None, inputs: Any, wanted: list[str], _: float | None, json: bool
) -> None:
    from dataclasses import asdict

    from honeyguide.evaluate.evaluator import DEFAULT_METRICS
    from honeyguide.experiment.lists import evaluate_lists

    told = evaluate_lists(file, data, metrics=wanted or DEFAULT_METRICS, inputs=inputs)
    _show(
        {
            "data": told.data,
            "protocol": told.protocol.model_dump(mode="json"),
            "users": told.counts.asked,
            "counts": asdict(told.counts),
            "notes": list(told.notes),
        },
        told.evaluation.summaries(),
        f"{file.name} on {told.data} (split: {told.protocol.split}): "
        f"{told.counts.asked:,} users asked",
        json,
    )


def _predictions(
    file: Path,
    data: str | None,
    inputs: Any,
    wanted: list[str],
    min_label: float | None,
    json: bool,
) -> None:
    from honeyguide.experiment.lists import evaluate_predictions

    told = evaluate_predictions(file, data, metrics=wanted, inputs=inputs, min_label=min_label)
    _show(
        {
            "data": told.data,
            "protocol": told.protocol.model_dump(mode="json"),
            "rows": told.rows,
            "notes": list(told.notes),
        },
        told.metrics,
        f"{file.name} on {told.data} (split: {told.protocol.split}): {told.rows:,} events",
        json,
    )


def _bundle(
    bundle: Path, given: Given, wanted: list[str], min_label: float | None, json: bool
) -> None:
    from honeyguide.cli import show
    from honeyguide.data.opening import Inputs, open_data
    from honeyguide.evaluate.evaluator import DEFAULT_METRICS

    if given.data is None:
        raise CallError("No later events were given.", "Name a file of them after the bundle.")
    rec = show.opened(bundle)
    of_files = [*(name for name in given.inputs if name != "columns")]
    of_files += [] if min_label is None else ["min_label"]
    if of_files:
        raise CallError(
            f"--{of_files[0].replace('_', '-')} is for files of lists or predictions.",
            "A bundle is measured on all events of the table; only columns can be named.",
        )
    table = open_data(given.data, Inputs(**given.inputs)).table
    told = rec.evaluate(table, wanted or DEFAULT_METRICS)
    _show(
        {"users": len(told.users), "notes": list(table.notes)},
        told.summaries(),
        f"{rec.spec.name}: {len(told.users):,} users asked in {told.seconds:.2f} s",
        json,
    )


def _show(about: dict[str, Any], summaries: dict[str, Any], headline: str, json: bool) -> None:
    from dataclasses import asdict

    from honeyguide.cli import show

    if json:
        document = {**about, "metrics": {name: asdict(v) for name, v in summaries.items()}}
        print(json_text.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
        return
    show.notes(about["notes"])
    show.say(headline)
    show.grid(["metric", "mean"], [[name, show.metric(v)] for name, v in summaries.items()])
    show.say("± is half a 95 % interval over users")
