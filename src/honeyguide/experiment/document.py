"""A comparison as plain values: what a result file holds and a report reads."""

from dataclasses import asdict
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from honeyguide.experiment.measuring import Result

if TYPE_CHECKING:
    from honeyguide.experiment.compare import Comparison

FORMAT = 2
FILES = ("items", "users", "train", "valid", "test")  # fields of Inputs that name files


def document(comparison: "Comparison", per_user: str | None) -> dict[str, Any]:
    """per_user: the folder that holds the values by user, named relative to the document."""
    return {
        "format": FORMAT,
        "machine": comparison.machine,
        "data": comparison.about,
        "health": comparison.health,
        "run": _without_paths(comparison.run.model_dump(mode="json")),
        "results": [_result(result, per_user) for result in comparison.results],
        "aggregate": _aggregate(comparison),
        "tests": [asdict(d) | {"clear": d.clear} for d in comparison.differences],
        "verdict": comparison.verdict,
        "tuning": comparison.tuning,
        "examples": comparison.examples,
    }


def file_of(result: Result) -> str:
    """The name of its file of values by user."""
    fold = "" if result.fold is None else f"-fold{result.fold}"
    return f"{result.model}-{result.seed}{fold}.parquet"


def _result(result: Result, per_user: str | None) -> dict[str, Any]:
    told, fitted = result.evaluation, result.fitted
    return {
        "model": result.model,
        "seed": result.seed,
        "fold": result.fold,
        "query": result.query,
        "metrics": {k: asdict(v) for k, v in told.summaries().items()} if told else {},
        "seconds": {
            "fit": fitted.seconds if fitted else None,
            "evaluate": told.seconds if told else None,
            "epoch": fitted.epoch_seconds if fitted else None,
        },
        "epochs": fitted.epochs if fitted else None,
        "best_epoch": fitted.best_epoch if fitted else None,
        "curve": [
            {key: line[key] for key in ("epoch", "loss", "valid", "seconds")}
            for line in (fitted.journal if fitted else ())
        ],
        "flags": told.flags if told else {},
        "slices": [asdict(one) for one in result.slices],
        "peak_memory_mb": round(result.peak_memory_mb, 1),
        "config": result.spec.model_dump(mode="json"),
        "skipped": result.skipped,
        "per_user": f"{per_user}/{file_of(result)}" if per_user and told else None,
    }


def _without_paths(run: dict[str, Any]) -> dict[str, Any]:
    """A run whose files are named without the folders that are this machine's."""
    inputs = run["inputs"]
    files = {k: PurePath(v).name for k in FILES if (v := inputs[k]) is not None}
    data = None if run["data"] is None else PurePath(run["data"]).name
    track = [text.partition(":")[0] for text in run["track"]]
    return {**run, "data": data, "inputs": {**inputs, **files}, "track": track}


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
