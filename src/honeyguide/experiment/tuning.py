"""Tuning as one call: search on validation, then one reading of test for each model."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from honeyguide.data.sets import DataSet
from honeyguide.data.split import Split, inner_split
from honeyguide.errors import CallError
from honeyguide.experiment.compare import Comparison, compared, refuse_deeper
from honeyguide.experiment.examples import Examples
from honeyguide.experiment.machine import peak_memory_mb, reset_peak_memory
from honeyguide.experiment.measuring import Result, measured, train_on
from honeyguide.experiment.run import Run, asked_for
from honeyguide.experiment.splitting import cut, open_log
from honeyguide.models.spec import Spec
from honeyguide.train.progress import Quiet, Reporter
from honeyguide.tuning import Found, Learning, Search, Trial, search


def tune(
    data: Any = None,
    models: list[str] | None = None,
    *,
    run: Run | None = None,
    search_by: Search | None = None,
    folder: Path | None = None,
    resume: bool = False,
    watch: Callable[[Spec, int], Reporter] | None = None,
    on_trial: Callable[[Trial], None] | None = None,
    **changes: Any,
) -> Comparison:
    """Look for better settings of several models under one time budget, then measure the best.

    data, run, changes: as for compare; settings that are given there are not searched, and of the
    seeds the first one trains. search_by: budget, sampler and so on (hg.Search). folder: where
    trials and weights are kept; resume: go on with those of an interrupted search. Nothing but the
    final reading sees the test part. The document of what comes back holds the trials under
    `tuning`. Raises CallError, InputError, LeakError, TrainingError.
    """
    run = asked_for(run, data, models, changes)
    specs, how = run.specs(), search_by or Search()
    opened = open_log(data if data is not None else run.data, run.inputs)
    if opened.protocol.split == "k-fold" and run.inputs.fold is None:
        raise CallError(
            "Folds are for measuring; settings are looked for on one split.",
            "Name one with --fold, or choose another --split.",
        )
    parts = cut(opened, run.inputs)
    refuse_deeper(run, parts)
    found = search(
        specs,
        _learning(opened, parts),
        how,
        run.training.but(seed=run.seeds[0]),
        fixed={name: frozenset(own) for name, own in run.settings.items()},
        folder=folder,
        resume=resume,
        watch=watch,
        on_trial=on_trial,
    )
    examples = Examples(run.examples)
    examples.open(opened, parts)
    results = [_measured(one, run, opened, parts, examples) for one in found]
    return compared(run, opened, parts, results, examples.told, _told(found, how, run))


def tuned_run(run: Run, comparison: Comparison) -> dict[str, Any]:
    """The fields of a run that compares the models with the settings that were found."""
    settings: dict[str, dict[str, Any]] = {}
    for result in comparison.results:
        default = type(result.spec)()
        differing = {
            name: value
            for name, value in result.spec.model_dump(mode="json").items()
            if value != getattr(default, name)
        }
        if differing:
            settings[result.model] = differing
    fields = run.model_dump(mode="json", exclude_defaults=True, exclude={"settings", "training"})
    return {**fields, "models": list(run.models), "settings": settings}


def _learning(opened: DataSet, parts: Split) -> Learning:
    if parts.valid is not None:
        return Learning(parts.train, parts.valid)
    inner = inner_split(parts.train, opened.protocol)
    return Learning(inner.train, inner.test)


def _measured(found: Found, run: Run, opened: DataSet, parts: Split, examples: Examples) -> Result:
    """The one reading of test; where a tenth of training was held out, after learning all of it."""
    seed, best = run.seeds[0], found.best
    if best is None or found.model is None or found.fitted is None:
        why = next((t.reason for t in found.trials if t.reason), None) or "no time was left for it"
        return Result(found.spec.name, seed, found.spec, None, None, peak_memory_mb(), why, None)
    reset_peak_memory()
    model, fitted = found.model, found.fitted
    if parts.valid is None:
        model, fitted = train_on(found.spec, parts, opened, run.training.but(seed=seed), Quiet())
    result = measured(found.spec, seed, model, fitted, run, opened, parts)
    examples.add(found.spec, model)
    return result


def _told(found: Sequence[Found], how: Search, run: Run) -> dict[str, Any]:
    """The search as plain values."""
    return {
        **how.model_dump(mode="json"),
        "metric": run.training.metric,
        "models": [
            {
                "model": one.spec.name,
                "default": one.trials[0].value if one.trials else None,
                "best": one.best.value if one.best else None,
                "number": one.best.number if one.best else None,
                "settings": one.best.settings if one.best else {},
                "seconds": sum(trial.seconds for trial in one.trials),
                "trials": [asdict(trial) for trial in one.trials],
            }
            for one in found
        ],
    }
