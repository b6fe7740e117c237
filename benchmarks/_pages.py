"""What the pages of results share: where files stand, and how values are written."""

import json
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def read(name: str) -> dict[str, Any] | None:
    """A result file, None where the benchmark has not been run."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def published_cells() -> dict[str, Any]:
    """Published numbers by data set, with what is said of each set."""
    return tomllib.loads((ROOT / "benchmarks" / "published.toml").read_text())


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def short(value: float) -> str:
    """Four digits, without the zero before the point."""
    return f"{value:.4f}".lstrip("0")


def interval(value: dict[str, float | None]) -> str:
    """.0970 (.0895-.1045)"""
    mean, low, high = (value[name] for name in ("mean", "low", "high"))
    assert mean is not None
    if low is None or high is None:
        return short(mean)
    return f"{short(mean)} ({short(low)}–{short(high)})"


COSTS = ["answers rest on", "fit s", "evaluate s", "peak MB"]


def costs(row: dict[str, Any]) -> list[str]:
    """What `compare` tells of a model beside its metrics, for columns named COSTS."""
    fit, evaluate = (f"{row['seconds'][name]:.1f}" for name in ("fit", "evaluate"))
    return [row["query"], fit, evaluate, f"{row['peak_memory_mb']:.0f}"]
