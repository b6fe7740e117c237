"""The contracts can fail: a small model that keeps them all, and for each one a way to break it."""

from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from checkerboard import checkerboard, taken
from contracts import CONTRACTS
from declared import Declared
from honeyguide.models.spec import Dense, Solved, Spec, never_pad


class CoOccurrence(Spec):
    """Items that are taken together."""

    name: ClassVar[str] = "co-occurrence"

    fault: str = ""
    """What to do wrong."""

    def build(self, schema):
        return CoOccurrenceModel(self, schema)


class ClaimsCausal(CoOccurrence):
    """Says that states stand at every place."""

    causal: ClassVar[bool] = True


class ClaimsOrder(CoOccurrence):
    """Says that it needs an order."""

    needs: ClassVar[frozenset[str]] = frozenset({"order"})


class Undescribed(CoOccurrence):
    depth: int = 3


class CoOccurrenceModel(Dense, Solved):
    weight: torch.Tensor
    states: Any
    query_vectors: Any

    def __init__(self, spec, schema):
        super().__init__(spec, schema)
        self.fault = spec.fault
        self.hidden = 0.0
        self.register_buffer("weight", torch.zeros(schema.items, schema.items))
        self.kept = torch.zeros(60, schema.items)
        self.fresh = True
        if spec.fault == "states":
            self.states = lambda query: query.item[:, :, None].float()
        if spec.fault == "last state":
            self.states = lambda query: query.item.sum(1).expand(9, -1).T[:, :, None].float()
            self.query_vectors = lambda query: query.item.sum(1)[:, None].float()

    def solve(self, data, seed):
        matrix = data.interactions.pairs(self.spec.rule)
        self.weight.copy_(torch.from_numpy((matrix.T @ matrix).toarray()))
        self.weight.fill_diagonal_(0)
        self.hidden = 1.0
        if self.fault == "impersonal":
            self.weight.copy_(self.weight.sum(0).expand_as(self.weight))
        if self.fault == "seed":
            self.weight += torch.from_numpy(np.random.default_rng().random(self.weight.shape))

    def score(self, query):
        scores = query.pairs(self.spec.rule).times(self.weight)
        if self.fault == "nan":
            scores[1, 5] = torch.nan
        if self.fault == "untaken":
            scores[:, (self.weight == 0).all(0)] = -torch.inf
        if self.fault == "empty":
            scores[query.length == 0] = torch.nan
        if self.fault == "batch":
            scores = scores - scores.mean(0)
        if self.fault == "padding":
            scores = scores / query.item.shape[1]
        if self.fault == "stranger":
            scores[query.user < 0] = self.weight.sum(0)
        if self.fault == "long":
            scores = scores / (query.item.shape[1] < 100)
        if self.fault == "last":
            scores += self.weight[query.item[:, 0]]
        if self.fault == "hidden":
            scores = scores * self.hidden
        if self.fault == "writes":
            self.weight[1] += 1.0
        if self.fault == "view":
            scores = self.kept[: len(query)].copy_(scores) if self.fresh else self.kept
            self.fresh = False
        return scores if self.fault == "pad" else never_pad(scores)

    def score_few(self, query, items):
        few = super().score_few(query, items)
        return few + items % 3 if self.fault == "few" else few


BROKEN = {
    "impersonal": ("learns_a_checkerboard", CoOccurrence),
    "nan": ("scores_are_finite", CoOccurrence),
    "pad": ("pad_stays_empty", CoOccurrence),
    "untaken": ("an_item_nobody_took_is_scored", CoOccurrence),
    "empty": ("empty_history_is_answered", CoOccurrence),
    "long": ("any_history_is_answered", CoOccurrence),
    "batch": ("a_batch_equals_one_by_one", CoOccurrence),
    "padding": ("padding_changes_nothing", CoOccurrence),
    "stranger": ("unseen_user_is_served", CoOccurrence),
    "writes": ("asking_changes_nothing", CoOccurrence),
    "view": ("asking_changes_nothing", CoOccurrence),
    "few": ("score_few_equals_score", CoOccurrence),
    "last": ("needs_are_as_declared", CoOccurrence),
    "seed": ("same_seed_same_scores", CoOccurrence),
    "hidden": ("bundle_round_trip", CoOccurrence),
    "states": ("causality_is_as_declared", CoOccurrence),
    "last state": ("causality_is_as_declared", ClaimsCausal),
    "no states": ("causality_is_as_declared", ClaimsCausal),
    "no order": ("needs_are_as_declared", ClaimsOrder),
    "no words": ("every_setting_is_described", Undescribed),
}


@pytest.mark.parametrize("contract", CONTRACTS)
def test_an_honest_model_keeps_it(contract):
    CONTRACTS[contract](Declared(CoOccurrence()))


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_model_is_caught(fault):
    contract, spec = BROKEN[fault]
    with pytest.raises(AssertionError):
        CONTRACTS[contract](Declared(spec(fault=fault)))


def test_scores_that_differ_between_few_and_all_change_the_order_of_candidates():
    with pytest.raises(AssertionError):
        CONTRACTS["candidates_rank_like_the_whole_list"](Declared(CoOccurrence(fault="few")))


def test_a_personal_model_may_not_be_declared_impersonal():
    with pytest.raises(AssertionError, match="declared impersonal"):
        CONTRACTS["learns_a_checkerboard"](Declared(CoOccurrence(), personal=False))


def test_the_checkerboard_has_no_event_outside_a_block():
    log = checkerboard()
    assert set(taken(0)) <= set(range(1, 11))
    assert set(taken(59)) <= set(range(11, 21))
    blocks = (log.item > 10).astype(int)
    assert (blocks == (log.user >= 30)).all()
    assert log.n_items == 22
    assert 21 not in log.item
