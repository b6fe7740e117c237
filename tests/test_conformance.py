"""The files that other libraries can run are what the oracles say, and what we compute."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest
import torch

from given import given
from honeyguide.data.interactions import Interactions
from honeyguide.data.rule import Rule
from honeyguide.data.split import Holdout
from honeyguide.data.table import Table
from honeyguide.data.vocab import Vocab
from honeyguide.evaluate.evaluator import evaluate
from honeyguide.evaluate.predicted import POINTWISE, measured
from honeyguide.types import Ranking
from worlds import features_of, history_of

FOLDER = Path(__file__).parents[1] / "conformance"
CASES = json.loads((FOLDER / "cases.json").read_text())
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
CLOSE = 1e-9


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_files_are_what_the_script_makes(make):
    assert make.cases() == CASES
    again = make.expected(CASES)
    assert [w["overall"].keys() for w in again["worlds"]] == [
        w["overall"].keys() for w in EXPECTED["worlds"]
    ]
    for new, old in zip(again["worlds"], EXPECTED["worlds"], strict=True):
        assert new["per_user"].keys() == old["per_user"].keys()
        assert new["overall"] == pytest.approx(old["overall"], abs=1e-12)
        for name, values in new["per_user"].items():
            assert values == pytest.approx(old["per_user"][name], abs=1e-12)
    for new, old in zip(again["predictions"], EXPECTED["predictions"], strict=True):
        assert new == pytest.approx(old, abs=1e-12)


def test_they_are_small_and_hold_the_hard_cases():
    assert sum(path.stat().st_size for path in FOLDER.glob("*.json")) < 1_000_000
    users = [user for world in CASES["worlds"] for user in world["users"]]
    known = len(CASES["worlds"][0]["items"])
    assert min(len(user["list"]) for user in users) == 0
    assert any(0 < len(user["list"]) < 5 for user in users)
    assert any(item > known for user in users for item in user["taken"])
    assert all(len(set(user["scores"])) < known for user in users), "no ties"
    for name in EXPECTED["worlds"][0]["per_user"]:
        values = {value for world in EXPECTED["worlds"] for value in world["per_user"][name]}
        # one item has no pair
        assert len(values) >= (1 if name.endswith("diversity@1") else 2), name
    assert len({v for world in EXPECTED["worlds"] for v in world["per_user"]["auc"]}) > 50


class Kept:
    """A Ranker that gives the lists of the file."""

    def __init__(self, lists):
        self.lists = lists

    def rank(self, query, k, **options):
        items = torch.zeros((len(query), k), dtype=torch.int64)
        scores = torch.full((len(query), k), -torch.inf)
        for row, user in enumerate(query.user.tolist()):
            few = self.lists[user][:k]
            items[row, : len(few)] = torch.tensor(few, dtype=torch.int64)
            scores[row, : len(few)] = -torch.arange(len(few), dtype=torch.float32)
        return Ranking(items, scores)


@pytest.mark.parametrize("number", range(len(CASES["worlds"])))
def test_our_metrics_of_lists_give_what_is_expected(make, number):
    told, wanted = CASES["worlds"][number], EXPECTED["worlds"][number]
    world, users = make.world_of(told), told["users"]
    history = history_of(world)
    truth = [(user, item) for user, one in enumerate(users) for item in one["taken"]]
    frame = pl.DataFrame(truth, schema=["user_id", "item_id"], orient="row")
    everything = Vocab.of_items(range(1, len(world.catalogue) + 4))
    taken = Interactions.of(
        Table(frame.with_columns(kind=pl.lit("view"))), history.users, everything
    )
    holdout = Holdout(history, taken, np.arange(len(users)), None, 0, 0, 0)
    named = [name for name in (*wanted["per_user"], *wanted["overall"]) if name != "auc"]

    def ask(ranker, metrics):
        return evaluate(
            ranker, holdout, rule=Rule(), past=1, metrics=metrics, items=features_of(world)
        )

    got = ask(Kept([user["list"] for user in users]), named)
    assert got.overall == pytest.approx(wanted["overall"], abs=CLOSE)
    got.per_user["auc"] = ask(given([[0, *one["scores"]] for one in users]), ["auc"]).per_user[
        "auc"
    ]
    assert got.per_user.keys() == wanted["per_user"].keys()
    for name, values in wanted["per_user"].items():
        np.testing.assert_allclose(got.per_user[name], values, rtol=0, atol=CLOSE, err_msg=name)


def test_our_metrics_of_predictions_give_what_is_expected():
    for told, wanted in zip(CASES["predictions"], EXPECTED["predictions"], strict=True):
        true, said = np.array(told["true"], float), np.array(told["said"], float)
        got = {name: measured(name, true, said).value for name in POINTWISE}
        assert got == pytest.approx(wanted, abs=CLOSE)


def test_scores_of_the_file_give_its_lists():
    """So that a library that ranks for itself can be run as well: equal scores by item number."""
    for world in CASES["worlds"]:
        for user in world["users"]:
            scores, seen = user["scores"], set(user["history"])
            ranked = [i for i in range(1, len(scores) + 1) if i not in seen]
            ranked.sort(key=lambda i: (-scores[i - 1], i))
            assert user["list"] == ranked[: len(user["list"])]
