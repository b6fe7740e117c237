"""Another framework's file measured on our split, by our evaluator: its lists or its predictions.

What a file may do that a model cannot (unknown and seen items, ties, missing lists) is counted and
said, never mended in silence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float64, Int64

from honeyguide.data.answers import read_lists, read_predictions
from honeyguide.data.interactions import Interactions
from honeyguide.data.opening import Inputs
from honeyguide.data.protocol import Protocol
from honeyguide.data.rule import Rule
from honeyguide.data.split import asked_events
from honeyguide.data.vocab import PAD
from honeyguide.errors import CallError, InputError, UnknownName
from honeyguide.evaluate.evaluator import DEFAULT_METRICS, Evaluation, evaluate
from honeyguide.evaluate.listed import Counts, Listed, counts
from honeyguide.evaluate.metrics import metric
from honeyguide.evaluate.predicted import OF_LABELS, POINTWISE, measured
from honeyguide.evaluate.statistics import Summary
from honeyguide.experiment.splitting import open_split


@dataclass(frozen=True, slots=True, eq=False)
class ScoredLists:
    """What lists of a file are worth. notes: whatever was guessed, left out or odd, in words."""

    data: str
    protocol: Protocol
    evaluation: Evaluation
    counts: Counts
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPredictions:
    """What predictions of a file are worth. rows: events of the test part that were looked at."""

    data: str
    protocol: Protocol
    metrics: dict[str, Summary]
    rows: int
    notes: tuple[str, ...]


def evaluate_lists(
    lists: Any,
    data: Any = None,
    *,
    metrics: Sequence[str] = DEFAULT_METRICS,
    inputs: Inputs | None = None,
    exclude_seen: bool = True,
) -> ScoredLists:
    """Measure lists that were made elsewhere on the test part of a data set.

    lists: a file or frame with user_id, item_id and rank or score. data, inputs: as for compare;
    the lists must have been made without the test part, which nobody can check here. exclude_seen:
    take out what the user had seen. Items that training never saw stay in their place, as misses.
    Raises CallError, UnknownName, InputError, ColumnError, ValueInColumn, LeakError.
    """
    inputs = inputs or Inputs()
    depth = max((metric(name).k for name in metrics), default=0)
    opened, parts = open_split(data, inputs)
    table, guesses = read_lists(lists, inputs.columns)
    listed = Listed.of(table, parts.test.history.users, parts.test.history.items)
    told = counts(listed, parts.test, depth, exclude_seen=exclude_seen)
    if told.without_list == told.asked:
        raise InputError(
            f"None of the {told.asked} users who are asked has a list.",
            "Check that both files use the same user ids.",
        )
    return ScoredLists(
        data=opened.name,
        protocol=opened.protocol,
        # a list rests on no question, so a past of one event is enough
        evaluation=evaluate(
            listed, parts.test, rule=Rule(), past=1, metrics=metrics, exclude_seen=exclude_seen
        ),
        counts=told,
        notes=(
            *opened.table.notes,
            *parts.notes,
            *(f"lists: {note}" for note in (*guesses, *_said(told, depth, exclude_seen))),
        ),
    )


def _said(told: Counts, depth: int, exclude_seen: bool) -> list[str]:
    removed = "taken out, what follows moves up" if exclude_seen else "left in, they are misses"
    said = (
        (told.without_list, f"of {told.asked} users asked have no list: all misses"),
        (told.not_asked, "lists of users who are not asked left out"),
        (told.unknown, "entries of items that training never saw keep their place, as misses"),
        (told.seen, f"entries that the user had seen: {removed}"),
        (told.tied, "lists with equal scores, which stand in the order of the file"),
        (told.shorter, f"lists end before place {depth}: nothing can be found behind"),
    )
    return [f"{count} {what}" for count, what in said if count]


def evaluate_predictions(
    predictions: Any,
    data: Any = None,
    *,
    metrics: Sequence[str] = ("rmse", "mae"),
    inputs: Inputs | None = None,
    min_label: float | None = None,
) -> ScoredPredictions:
    """Measure predicted values or probabilities that were made elsewhere.

    predictions: a file or frame with user_id, item_id and prediction, for every event of the test
    part that has a value, also of users without history. metrics: of evaluate.predicted. min_label:
    the label is 1 from this value on (accuracy, log_loss, ece, auc); None where the values are 0
    and 1. Raises CallError without values, InputError where a prediction is missing, and what
    evaluate_lists raises.
    """
    inputs = inputs or Inputs()
    if not metrics:
        raise CallError("No metric was asked for.", f"Name some of {', '.join(POINTWISE)}.")
    for name in metrics:
        if name not in POINTWISE:
            raise UnknownName("metric of predictions", name, POINTWISE)
    opened, _ = open_split(data, inputs)  # refuses leaks
    log = Interactions.of(opened.table)
    asked = _valued(asked_events(log, opened.protocol), metrics[0])
    assert asked.value is not None
    table, guesses = read_predictions(predictions, inputs.columns)
    p = _matched(table, asked)
    y, users = asked.value.astype(np.float64), asked.user.astype(np.int64)
    labels = y if min_label is None else (y >= min_label).astype(np.float64)
    unused = len(table) - len(np.unique(_pairs(asked)))
    notes = [
        *guesses,
        *([f"{unused} predictions of other pairs left out"] if unused else []),
        *(["every prediction is the same"] if p.min() == p.max() else []),
    ]
    return ScoredPredictions(
        data=opened.name,
        protocol=opened.protocol,
        metrics={
            name: measured(name, labels if name in OF_LABELS else y, p).summary(users)
            for name in metrics
        },
        rows=len(y),
        notes=(*opened.table.notes, *(f"predictions: {note}" for note in notes)),
    )


def _valued(asked: Interactions, name: str) -> Interactions:
    """The events with an item and a value. Raises CallError where there is none."""
    if asked.value is not None:
        asked = asked.only(~np.isnan(asked.value) & (asked.item != PAD))
    if asked.value is None or not len(asked):
        raise CallError(
            f"{name} needs values such as ratings, and the test part has none.",
            "Name their column with --rating, or ask for metrics of lists, such as ndcg@10.",
        )
    return asked


def _matched(table: pl.DataFrame, asked: Interactions) -> Float64[np.ndarray, " N"]:
    """The prediction of each event. InputError where one has none."""
    user, item = asked.users.numbers(table["user_id"]), asked.items.numbers(table["item_id"])
    known = (user >= 0) & (item != PAD)
    keys, wanted = (user * asked.n_items + item)[known], _pairs(asked)
    order = np.argsort(keys)
    found = np.isin(wanted, keys)
    if not found.all():
        raise InputError(
            f"{int((~found).sum())} of {len(wanted)} events of the test part have no prediction.",
            "Predict every one of them; leaving out the hard ones would look like skill.",
        )
    place = np.searchsorted(keys[order], wanted)
    predicted: Float64[np.ndarray, " N"] = table["prediction"].to_numpy()[known][order][place]
    return predicted


def _pairs(events: Interactions) -> Int64[np.ndarray, " N"]:
    keys: Int64[np.ndarray, " N"] = events.user.astype(np.int64) * events.n_items + events.item
    return keys
