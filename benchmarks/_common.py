"""What every benchmark shares: where results go, and what they ran on.

A result is one JSON file under benchmarks/results, written by the script of the same name. Times
are only compared inside one file, as ratios: absolute ones vary between machines.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from honeyguide.experiment.machine import machine

RESULTS = Path(__file__).parent / "results"


def record(name: str, payload: dict[str, Any]) -> None:
    """Write a result and show it."""
    told = {"date": datetime.now(UTC).date().isoformat(), "machine": machine(), **payload}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(payload, indent=1))


def seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Median wall time of `work` after one call to warm up."""
    work()
    times = []
    for _ in range(repeats):
        started = perf_counter()
        work()
        times.append(perf_counter() - started)
    return median(times)
