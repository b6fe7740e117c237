"""ranx gives the same values where it defines a metric as we do, and others where it does not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from oracles import metrics as oracle

CASES, ITEMS = 400, 30
CUTS = (1, 5, 20)
SAME = ("recall", "precision", "f1", "hit_rate", "ndcg", "mrr")
NAMES = tuple(f"{name}@{k}" for name in (*SAME, "map") for k in CUTS)


@pytest.fixture(scope="module")
def cases() -> tuple[list[list[int]], list[set[int]]]:
    draw = np.random.default_rng(0)
    lists = [draw.permutation(ITEMS)[: draw.integers(0, 26)].tolist() for _ in range(CASES)]
    taken = [
        set(draw.choice(ITEMS + 5, draw.integers(1, 16), replace=False).tolist())
        for _ in range(CASES)
    ]
    lists[0] = []
    return lists, taken


@pytest.fixture(scope="module")
def theirs(cases) -> dict[str, list[float]]:
    lists, taken = cases
    asked = {
        # ranx sorts users by name
        "lists": {f"{u:03}": [str(i) for i in ranked] for u, ranked in enumerate(lists)},
        "taken": {f"{u:03}": [str(i) for i in each] for u, each in enumerate(taken)},
        "metrics": NAMES,
    }
    child = subprocess.run(
        [sys.executable, Path(__file__).with_name("ranx_child.py")],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )
    assert child.returncode == 0, child.stderr
    found: dict[str, list[float]] = json.loads(child.stdout)
    return found


@pytest.mark.parametrize("k", CUTS)
@pytest.mark.parametrize("name", SAME)
def test_the_same_definition_gives_the_same_values(cases, theirs, name, k):
    ours = [oracle.PER_USER[name](r, t, k) for r, t in zip(*cases, strict=True)]
    np.testing.assert_allclose(theirs[f"{name}@{k}"], ours, rtol=0, atol=1e-9)


@pytest.mark.parametrize("k", CUTS)
def test_map_is_divided_by_all_that_was_taken_there(cases, theirs, k):
    """By |T|, where ours is divided by min(k, |T|)."""
    ours = [
        oracle.PER_USER["map"](r, t, k) * min(k, len(t)) / len(t)
        for r, t in zip(*cases, strict=True)
    ]
    np.testing.assert_allclose(theirs[f"map@{k}"], ours, rtol=0, atol=1e-9)
