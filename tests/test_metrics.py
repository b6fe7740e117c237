"""Metrics equal their plain re-telling, and a few values known by hand."""

import ast
import sys
from math import log2
from pathlib import Path

import numpy as np
import pytest

from honeyguide.errors import CallError, UnknownName
from honeyguide.evaluate.beyond import OF_LISTS, OVERALL
from honeyguide.evaluate.metrics import AUC, PER_USER, Metric, metric
from honeyguide.evaluate.predicted import POINTWISE
from oracles import beyond, pointwise
from oracles import metrics as oracle
from tables import refused

ITEMS = 30


def case(draw: np.random.Generator) -> tuple[list[int], set[int]]:
    """A list of 0 to 12 distinct items and a truth of 1 to 15, some of it beyond the catalogue."""
    ranked = draw.permutation(ITEMS)[: draw.integers(0, 13)].tolist()
    taken = set(draw.choice(ITEMS + 5, draw.integers(1, 16), replace=False).tolist())
    return ranked, taken


@pytest.fixture(scope="module")
def cases() -> list[tuple[list[int], set[int]]]:
    draw = np.random.default_rng(0)
    fixed = [([], {1}), ([2], {1}), ([1], {1}), (list(range(12)), set(range(15)))]
    return fixed + [case(draw) for _ in range(1_000)]


def hits_of(cases: list[tuple[list[int], set[int]]], width: int) -> np.ndarray:
    hits = np.zeros((len(cases), width), dtype=bool)
    for row, (ranked, taken) in enumerate(cases):
        for place, item in enumerate(ranked[:width]):
            hits[row, place] = item in taken
    return hits


@pytest.mark.parametrize("width", [12, 20])
@pytest.mark.parametrize("k", [1, 2, 5, 12, 20])
@pytest.mark.parametrize("name", PER_USER)
def test_equals_the_oracle(cases, name, k, width):
    # Lists are cut deeper than k, and k may lie beyond all lists.
    sizes = np.array([len(taken) for _, taken in cases], dtype=np.int64)
    values = PER_USER[name](hits_of(cases, width), sizes, k)
    wanted = [oracle.PER_USER[name](ranked, taken, k) for ranked, taken in cases]
    assert values.shape == (len(cases),)
    np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-9)


def test_every_metric_has_an_oracle():
    assert set(oracle.PER_USER) == set(PER_USER)
    assert set(beyond.OF_LISTS) == set(OF_LISTS)
    assert set(beyond.OVERALL) == set(OVERALL)
    assert set(pointwise.POINTWISE) == set(POINTWISE)
    assert callable(oracle.auc)


def test_oracles_rest_on_the_standard_library_alone():
    """And so on nothing that the package might have changed."""
    sources = sorted(Path(oracle.__file__).parent.glob("*.py"))
    assert len(sources) >= 4
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, source.name
                names = [node.module or ""]
            assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names, source.name


def test_values_known_by_hand():
    hits = np.array([[True, False, True, False]])
    two = np.array([2])
    assert PER_USER["ndcg"](hits, two, 4) == pytest.approx((1 + 1 / log2(4)) / (1 + 1 / log2(3)))
    assert PER_USER["map"](hits, two, 4) == pytest.approx((1 + 2 / 3) / 2)
    assert PER_USER["f1"](hits, two, 4) == pytest.approx(2 * 0.5 * 1 / 1.5)
    assert PER_USER["mrr"](hits[:, 1:], two, 3) == pytest.approx(0.5)


def test_a_perfect_list_is_worth_one_wherever_it_can_be():
    hits, sizes = np.ones((1, 5), bool), np.array([9])
    perfect = {name: float(PER_USER[name](hits, sizes, 5)[0]) for name in PER_USER}
    assert perfect.pop("recall") == pytest.approx(5 / 9)
    assert perfect.pop("f1") == pytest.approx(10 / 14)
    assert set(perfect.values()) == {1.0}


def test_names():
    assert metric("ndcg@10") == Metric("ndcg", 10)
    assert str(metric("coverage@3")) == "coverage@3"
    assert metric("auc") == AUC
    assert str(AUC) == "auc"
    with pytest.raises(UnknownName, match="ndcg@k") as caught:
        metric("ndgc@10")
    assert all(f"{name}@k" in caught.value.do for name in (*PER_USER, *OF_LISTS, *OVERALL))
    assert caught.value.do.endswith(", auc.")


@pytest.mark.parametrize("text", ["ndcg", "ndcg@", "ndcg@0", "ndcg@-1", "ndcg@ten", "ndcg@1.5"])
def test_a_cut_off_is_asked_for(text):
    refused(CallError, lambda: metric(text), "has no cut-off", "ndcg@10")


def test_auc_has_none():
    refused(CallError, lambda: metric("auc@10"), "'auc@10': auc has no cut-off", "Write auc.")


@pytest.mark.parametrize("name", ["rmse", "mae", "accuracy", "log_loss", "ece", "rmse@10"])
def test_what_measures_predictions_is_told_from_what_measures_lists(name):
    refused(CallError, lambda: metric(name), name.split("@")[0], "docs/lists.md")
