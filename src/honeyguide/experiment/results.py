"""What a comparison says: differences with intervals, a document, a verdict in words."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from honeyguide.evaluate.evaluator import Evaluation
from honeyguide.evaluate.statistics import Difference, every_pair, trainings

if TYPE_CHECKING:
    from honeyguide.experiment.compare import Comparison

FORMAT = 2
FILES = ("items", "users", "train", "valid", "test")  # fields of Inputs that name files


def differences(found: Mapping[tuple[str, int], Evaluation], name: str) -> list[Difference]:
    """All pairs of models, paired by user, seeds averaged; those of the best model come first."""
    by_model: dict[str, list[np.ndarray]] = {}
    for (model, _), evaluation in found.items():
        if name in evaluation.per_user:
            by_model.setdefault(model, []).append(evaluation.per_user[name])
    means = {model: np.mean(values, axis=0) for model, values in by_model.items()}
    luck = {m: trainings([float(v.mean()) for v in values]) for m, values in by_model.items()}
    pairs = every_pair(means, luck, name)
    if not pairs:
        return []
    best = max(means, key=lambda model: float(means[model].mean()))
    return sorted(pairs, key=lambda pair: pair.best != best)


def of_the_best(pairs: list[Difference]) -> list[Difference]:
    """The best model against each other one."""
    return [pair for pair in pairs if pair.best == pairs[0].best]


def document(comparison: "Comparison", per_user: str | None) -> dict[str, Any]:
    """The result file: machine, data, results, aggregate, tests."""
    results = []
    for result in comparison.results:
        told, fitted = result.evaluation, result.fitted
        results.append(
            {
                "model": result.model,
                "seed": result.seed,
                "query": result.query,
                "metrics": {k: asdict(v) for k, v in told.summaries().items()} if told else {},
                "seconds": {
                    "fit": fitted.seconds if fitted else None,
                    "evaluate": told.seconds if told else None,
                    "epoch": fitted.epoch_seconds if fitted else None,
                },
                "epochs": fitted.epochs if fitted else None,
                "best_epoch": fitted.best_epoch if fitted else None,
                "peak_memory_mb": round(result.peak_memory_mb, 1),
                "config": result.spec.model_dump(mode="json"),
                "skipped": result.skipped,
                "per_user": per_user
                and told
                and f"{per_user}/{result.model}-{result.seed}.parquet",
            }
        )
    return {
        "format": FORMAT,
        "machine": comparison.machine,
        "data": comparison.about,
        "run": _without_paths(comparison.run.model_dump(mode="json")),
        "results": results,
        "aggregate": _aggregate(comparison),
        "tests": [asdict(d) | {"clear": d.clear} for d in comparison.differences],
        "verdict": comparison.verdict,
    }


def _without_paths(run: dict[str, Any]) -> dict[str, Any]:
    """A run whose files are named without the folders that are this machine's."""
    inputs = run["inputs"]
    files = {k: PurePath(v).name for k in FILES if (v := inputs[k]) is not None}
    data = None if run["data"] is None else PurePath(run["data"]).name
    return {**run, "data": data, "inputs": {**inputs, **files}}


def _aggregate(comparison: "Comparison") -> list[dict[str, Any]]:
    """By model: mean and standard deviation over seeds."""
    rows = []
    for model in dict.fromkeys(result.model for result in comparison.results):
        told = [r.evaluation for r in comparison.results if r.model == model and r.evaluation]
        if not told:
            continue
        values = {name: [e[name] for e in told] for name in told[0].summaries()}
        rows.append(
            {
                "model": model,
                "seeds": len(told),
                "metrics": {
                    name: {"mean": float(np.mean(v)), "sd": float(np.std(v, ddof=1))}
                    if len(v) > 1
                    else {"mean": v[0], "sd": None}
                    for name, v in values.items()
                },
            }
        )
    return rows


def chosen(comparison: "Comparison") -> str | None:
    """The best model, or the quickest to train of those that cannot be told apart from it."""
    told = [r for r in comparison.results if r.evaluation]
    if not comparison.differences:
        return told[0].model if told else None
    tied = [d.other for d in of_the_best(comparison.differences) if not d.clear]
    seconds = _seconds(comparison)
    return min([comparison.differences[0].best, *tied], key=lambda model: seconds[model])


def _seconds(comparison: "Comparison") -> dict[str, float]:
    """By model: mean seconds of fitting, over seeds."""
    fitted = [(r.model, r.fitted.seconds) for r in comparison.results if r.fitted]
    return {model: float(np.mean([s for m, s in fitted if m == model])) for model, _ in fitted}


def verdict(comparison: "Comparison") -> str:
    """Which model to choose here, and why."""
    told = [r for r in comparison.results if r.evaluation]
    if not told:
        return "No model could be measured: " + "; ".join(
            f"{r.model}: {r.skipped}" for r in comparison.results
        )
    name = comparison.run.metrics[0]
    if len({r.model for r in told}) == 1:
        mean = np.mean([r.evaluation[name] for r in told if r.evaluation])
        return f"{told[0].model} has {name} {mean:.4f}; nothing to compare it with."
    if not comparison.differences:
        if all(r.evaluation and name in r.evaluation.per_user for r in told):
            return (
                f"Only one user was asked, so {name} has no interval and no model can be called "
                "better."
            )
        return f"{name} has no value per user, so no model can be called better."
    ahead = of_the_best(comparison.differences)
    best = ahead[0].best
    tied = [d.other for d in ahead if not d.clear]
    seconds = _seconds(comparison)
    if not tied:
        second = min(ahead, key=lambda d: d.mean)
        return (
            f"Choose {best}: its {name} is {second.mean:.4f} above {second.other}'s, the next best "
            f"(95 % interval {second.low:.4f} to {second.high:.4f}, paired over users; corrected "
            f"for all pairs, p {'<' if second.p_holm < 0.001 else '='} "
            f"{max(second.p_holm, 0.001):.3f})."
        )
    quickest = comparison.chosen
    assert quickest is not None
    others = ", ".join(model for model in [best, *tied] if model != quickest)
    return (
        f"No clear winner: {best} leads in {name}, but {' and '.join(tied)} cannot be told apart "
        f"from it (paired over users, corrected for all pairs). Choose {quickest}, which trains in "
        f"{seconds[quickest]:.1f} s, unless you have a reason for {others}."
    )
