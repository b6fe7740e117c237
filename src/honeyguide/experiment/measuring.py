"""One model trained and measured on one split. Training is never handed the test part."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from honeyguide.data.features import Features
from honeyguide.data.interactions import Interactions
from honeyguide.data.sets import DataSet
from honeyguide.data.split import Split, inner_split
from honeyguide.data.training import TrainingData
from honeyguide.errors import HoneyguideError
from honeyguide.evaluate.evaluator import Evaluation, evaluate
from honeyguide.evaluate.slices import Slice, slices
from honeyguide.experiment.machine import peak_memory_mb, reset_peak_memory
from honeyguide.experiment.run import Run
from honeyguide.models.spec import LearnedSpec, Model, Schema, Spec
from honeyguide.rank.rankers import Exhaustive
from honeyguide.train.progress import Reporter
from honeyguide.train.tracking import tracked, tracker_named
from honeyguide.train.trainer import Fitted, OnEpoch, Training, build, fit


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One model, seed and fold (None unless the split has several): what it scored, or why it was
    skipped."""

    model: str
    seed: int
    spec: Spec
    evaluation: Evaluation | None
    fitted: Fitted | None
    peak_memory_mb: float
    skipped: str | None
    query: str | None
    fold: int | None = None
    slices: tuple[Slice, ...] = ()


OnModel = Callable[[Spec, Model], None]


def measure(
    spec: Spec,
    seed: int,
    run: Run,
    opened: DataSet,
    parts: Split,
    reporter: Reporter,
    on_model: OnModel | None = None,
) -> Result:
    """Train on the training part, ask the test part once.

    on_model: shown the trained model before it is let go.
    """
    reset_peak_memory()
    trackers = [tracker_named(text) for text in run.track]
    summary: dict[str, float] = {}
    try:
        config = spec.model_dump(mode="json")
        with tracked(trackers, f"{spec.name}-{seed}", config, summary) as on_epoch:
            training = run.training.but(seed=seed)
            model, fitted = train_on(spec, parts, opened, training, reporter, on_epoch=on_epoch)
            result = measured(spec, seed, model, fitted, run, opened, parts)
            assert result.evaluation is not None
            told = result.evaluation.summaries()
            summary |= {"fit_seconds": fitted.seconds, **{k: v.mean for k, v in told.items()}}
        if on_model is not None:
            on_model(spec, model)
    except (HoneyguideError, MemoryError, RuntimeError) as error:
        # what numpy and torch raise for a lack of memory or a singular matrix; a slip of ours, such
        # as a TypeError, is not hidden
        why = error.wrong if isinstance(error, HoneyguideError) else _first_line(error)
        return Result(spec.name, seed, spec, None, None, peak_memory_mb(), why, None)
    return result


def measured(
    spec: Spec, seed: int, model: Model, fitted: Fitted, run: Run, opened: DataSet, parts: Split
) -> Result:
    """The test reading of a trained model."""
    items, users = _features(opened, parts)
    told = evaluate(
        Exhaustive(model),
        parts.test,
        rule=spec.rule,
        past=spec.past,
        metrics=run.metrics,
        items=items,
    )
    query = max(told.answered_by, key=lambda name: told.answered_by[name])
    return Result(
        model=spec.name,
        seed=seed,
        spec=spec,
        evaluation=told,
        fitted=fitted,
        peak_memory_mb=peak_memory_mb(),
        skipped=None,
        query=query,
        slices=slices(told, parts.test, users=users),
    )


def train_on(
    spec: Spec,
    parts: Split,
    opened: DataSet,
    training: Training,
    reporter: Reporter,
    folder: Path | None = None,
    resume: bool = False,
    on_epoch: OnEpoch | None = None,
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
    model, fitted = _fit(
        spec, parts.train, parts.valid, training, reporter, folder, resume, on_epoch
    )
    return model, replace(fitted, seconds=perf_counter() - started)


def _fit(
    spec: Spec,
    train: Interactions,
    valid: Any,
    training: Training,
    reporter: Reporter,
    folder: Path | None,
    resume: bool,
    on_epoch: OnEpoch | None = None,
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
        on_epoch=on_epoch,
    )
    return model, fitted


def _features(opened: DataSet, parts: Split) -> tuple[Features | None, Features | None]:
    """What is known of the items of the training catalogue and of the users."""
    table, history = opened.table, parts.test.history
    return (
        None if table.items is None else Features.of(history.items, table.items, "item_id"),
        None if table.users is None else Features.of(history.users, table.users, "user_id"),
    )


def _first_line(error: Exception) -> str:
    said = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
