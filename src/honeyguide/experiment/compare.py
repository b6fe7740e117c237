"""Several models on one split, measured alike; a model that fails is skipped and says why."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from honeyguide.data.sets import DataSet
from honeyguide.data.split import Split
from honeyguide.data.summary import summarise
from honeyguide.data.vocab import Vocab
from honeyguide.errors import CallError
from honeyguide.evaluate.evaluator import Evaluation
from honeyguide.evaluate.metrics import metric
from honeyguide.evaluate.statistics import Difference
from honeyguide.experiment.document import document
from honeyguide.experiment.examples import Examples
from honeyguide.experiment.folds import pooled
from honeyguide.experiment.machine import machine
from honeyguide.experiment.measuring import Result, measure
from honeyguide.experiment.results import chosen, differences, verdict
from honeyguide.experiment.run import Run, asked_for
from honeyguide.experiment.splitting import every_cut, open_log
from honeyguide.models.spec import Spec
from honeyguide.train.progress import Quiet, Reporter


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """All results of a run. users: names of the users that the evaluations number. health: what
    stands in the table (data.summary). tuning: how the settings were found, None where they were
    given. examples: some users with their lists (experiment.examples)."""

    run: Run
    users: Vocab
    about: dict[str, Any]
    machine: dict[str, Any]
    results: list[Result]
    differences: list[Difference]
    health: dict[str, Any] = field(default_factory=dict)
    tuning: dict[str, Any] | None = None
    examples: list[dict[str, Any]] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether no model could be measured."""
        return all(result.skipped for result in self.results)

    @property
    def chosen(self) -> str | None:
        """The model to choose here; None where nothing could be measured."""
        return chosen(self)

    @property
    def verdict(self) -> str:
        """Which model to choose here, and why, in words."""
        return verdict(self)

    def document(self, per_user: str | None = None) -> dict[str, Any]:
        """The result file as plain values; per_user names the folder of per-user values."""
        return document(self, per_user)


Watch = Callable[[Spec, int], Reporter]


def compare(
    data: Any = None,
    models: list[str] | None = None,
    *,
    run: Run | None = None,
    watch: Watch | None = None,
    on_result: Callable[[Result], None] | None = None,
    **changes: Any,
) -> Comparison:
    """Train and measure several models on one split.

    data: a data set's name, a file or a frame. run or changes: see Run (metrics, seeds, settings,
    inputs, training). watch: a progress reporter for each model and seed. on_result: told of each
    result as it comes. Raises CallError, InputError, LeakError; a model that fails is skipped.
    """
    run = asked_for(run, data, models, changes)
    opened = open_log(data if data is not None else run.data, run.inputs)
    results, examples, first = [], Examples(run.examples), None
    for fold, parts in every_cut(opened, run.inputs):
        refuse_deeper(run, parts)
        first = first or parts
        examples.open(opened, parts)
        for spec in run.specs():
            for seed in run.seeds:
                reporter = watch(spec, seed) if watch else Quiet()
                found = measure(spec, seed, run, opened, parts, reporter, examples.add)
                results.append(replace(found, fold=fold))
                if on_result:
                    on_result(results[-1])
    assert first is not None
    return compared(run, opened, first, results, examples.told)


def compared(
    run: Run,
    opened: DataSet,
    parts: Split,
    results: list[Result],
    examples: list[dict[str, Any]],
    tuning: dict[str, Any] | None = None,
) -> Comparison:
    """What results on the same data say together. parts: of the first fold, if there are some."""
    return Comparison(
        run=run,
        users=parts.test.history.users,
        about=_about(opened, parts),
        machine=machine(),
        results=results,
        differences=differences(pooled(results), run.metrics[0]),
        health=summarise(opened.table),
        tuning=tuning,
        examples=examples,
    )


def refuse_deeper(run: Run, parts: Split) -> None:
    """CallError where a metric looks deeper than the catalogue."""
    deepest = max(metric(name).k for name in run.metrics)
    catalogue = parts.train.n_items - 1
    if deepest > catalogue:
        raise CallError(
            f"A metric looks at {deepest} items, but training knows only {catalogue}.",
            f"Ask for at most @{catalogue}.",
        )


def _about(opened: DataSet, parts: Split) -> dict[str, Any]:
    return {
        "name": opened.name,
        "protocol": opened.protocol.model_dump(mode="json"),
        "notes": [*opened.table.notes, *parts.notes],
        "users": int((parts.train.lengths > 0).sum()),
        "items": parts.train.n_items - 1,
        "train_events": len(parts.train),
        "test_users": len(parts.test.users),
        "test_pairs": int(np.isin(parts.test.truth.user, parts.test.users).sum()),
        "test_users_without_history": parts.test.without_history,
        "test_pairs_of_unknown_items": parts.test.unknown_items,
        "test_pairs_already_seen": parts.test.repeats,
    }


def per_user_frame(evaluation: Evaluation, users: pl.Series) -> pl.DataFrame:
    """user_id and the value of each metric."""
    return pl.DataFrame({"user_id": users, **evaluation.per_user})
