"""Several models on one split, measured alike; a model that fails is skipped and says why."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import polars as pl

from honeyguide.data.features import Features
from honeyguide.data.interactions import Interactions
from honeyguide.data.leaks import refuse_target_in_features
from honeyguide.data.opening import Inputs, open_data
from honeyguide.data.sets import DataSet
from honeyguide.data.split import Split, inner_split, prepare, split
from honeyguide.data.training import TrainingData
from honeyguide.data.vocab import Vocab
from honeyguide.errors import CallError, HoneyguideError
from honeyguide.evaluate.evaluator import Evaluation, evaluate
from honeyguide.evaluate.metrics import metric
from honeyguide.experiment.machine import machine, peak_memory_mb, reset_peak_memory
from honeyguide.experiment.results import Difference, chosen, differences, document, verdict
from honeyguide.experiment.run import Run
from honeyguide.models.spec import LearnedSpec, Model, Schema, Spec
from honeyguide.rank.rankers import Exhaustive
from honeyguide.train.progress import Quiet, Reporter
from honeyguide.train.trainer import Fitted, Training, build, fit


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One model and seed: what it scored, or why it was skipped."""

    model: str
    seed: int
    spec: Spec
    evaluation: Evaluation | None
    fitted: Fitted | None
    peak_memory_mb: float
    skipped: str | None
    query: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """All results of a run. users: names of the users that the evaluations number."""

    run: Run
    users: Vocab
    about: dict[str, Any]
    machine: dict[str, Any]
    results: list[Result]
    differences: list[Difference]

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
    fields = dict(changes)
    if models is not None:
        fields["models"] = tuple(models)
    if isinstance(data, str | Path):
        fields["data"] = str(data)
    run = (run or Run()).but(**fields)
    specs = run.specs()
    deepest = max(metric(name).k for name in run.metrics)
    metric(run.training.metric)
    opened, parts = open_split(data if data is not None else run.data, run.inputs)
    catalogue = parts.train.n_items - 1
    if deepest > catalogue:
        raise CallError(
            f"A metric looks at {deepest} items, but training knows only {catalogue}.",
            f"Ask for at most @{catalogue}.",
        )
    results = []
    for spec in specs:
        for seed in run.seeds:
            reporter = watch(spec, seed) if watch else Quiet()
            results.append(_measure(spec, seed, run, opened, parts, reporter))
            if on_result:
                on_result(results[-1])
    found = {(r.model, r.seed): r.evaluation for r in results if r.evaluation}
    return Comparison(
        run=run,
        users=parts.test.history.users,
        about=_about(opened, parts),
        machine=machine(),
        results=results,
        differences=differences(found, run.metrics[0]),
    )


def open_split(data: Any, inputs: Inputs) -> tuple[DataSet, Split]:
    """The data and its parts, by the protocol of the set or of the inputs.

    Raises LeakError, also for a column of items or users that names the answer.
    """
    opened = open_data(data, inputs)
    guess = () if opened.split_note is None else (opened.split_note,)
    table = replace(opened.table, notes=(*opened.table.notes, *guess))
    table = prepare(table, opened.protocol)
    parts = split(Interactions.of(table), opened.protocol, allow_repeats=inputs.allow_repeats)
    truth = parts.test.truth
    refuse_target_in_features(
        truth,
        items=None if table.items is None else Features.of(truth.items, table.items, "item_id"),
        users=None if table.users is None else Features.of(truth.users, table.users, "user_id"),
    )
    return replace(opened, table=table), parts


def _measure(
    spec: Spec, seed: int, run: Run, opened: DataSet, parts: Split, reporter: Reporter
) -> Result:
    reset_peak_memory()
    try:
        model, fitted = train_on(spec, parts, opened, run.training.but(seed=seed), reporter)
        told = evaluate(
            Exhaustive(model), parts.test, rule=spec.rule, past=spec.past, metrics=run.metrics
        )
    except (HoneyguideError, MemoryError, RuntimeError) as error:
        # what numpy and torch raise for a lack of memory or a singular matrix; a slip of ours, such
        # as a TypeError, is not hidden
        why = error.wrong if isinstance(error, HoneyguideError) else _first_line(error)
        return Result(spec.name, seed, spec, None, None, peak_memory_mb(), why, None)
    query = max(told.answered_by, key=lambda name: told.answered_by[name])
    return Result(spec.name, seed, spec, told, fitted, peak_memory_mb(), None, query)


def train_on(
    spec: Spec,
    parts: Split,
    opened: DataSet,
    training: Training,
    reporter: Reporter,
    folder: Path | None = None,
    resume: bool = False,
) -> tuple[Model, Fitted]:
    """Train on the training part; epochs are chosen on validation and never on test.

    Where a ready-made split brings no validation, a tenth of training is held out to choose the
    epochs, and the model is then trained anew on all of it.
    """
    started = perf_counter()
    if parts.valid is None and isinstance(spec, LearnedSpec):
        inner = inner_split(parts.train, opened.protocol)
        _, chosen = _fit(spec, inner.train, inner.test, training, reporter, None, False)
        assert chosen.best_epoch is not None
        spec = spec.but(epochs=chosen.best_epoch + 1)
    model, fitted = _fit(spec, parts.train, parts.valid, training, reporter, folder, resume)
    return model, replace(fitted, seconds=perf_counter() - started)


def _fit(
    spec: Spec,
    train: Interactions,
    valid: Any,
    training: Training,
    reporter: Reporter,
    folder: Path | None,
    resume: bool,
) -> tuple[Model, Fitted]:
    model = build(spec, Schema(users=train.n_users, items=train.n_items), training.seed)
    fitted = fit(
        model,
        TrainingData(train),
        valid=valid if isinstance(spec, LearnedSpec) else None,
        training=training,
        reporter=reporter,
        folder=folder,
        resume=resume,
    )
    return model, fitted


def _about(opened: DataSet, parts: Split) -> dict[str, Any]:
    return {
        "name": opened.name,
        "protocol": opened.protocol.model_dump(mode="json"),
        "notes": [*opened.table.notes, *parts.notes],
        "users": int((parts.train.lengths > 0).sum()),
        "items": parts.train.n_items - 1,
        "train_events": len(parts.train),
        "test_users": len(parts.test.users),
        "test_pairs": len(parts.test.truth),
        "test_users_without_history": parts.test.without_history,
        "test_pairs_of_unknown_items": parts.test.unknown_items,
        "test_pairs_already_seen": parts.test.repeats,
    }


def _first_line(error: Exception) -> str:
    said = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def per_user_frame(evaluation: Evaluation, users: pl.Series) -> pl.DataFrame:
    """user_id and the value of each metric."""
    return pl.DataFrame({"user_id": users, **evaluation.per_user})
