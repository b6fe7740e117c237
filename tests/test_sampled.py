"""Metrics among sampled negatives: their names say so, and the order they give may be wrong."""

import numpy as np
import pytest
import torch

from honeyguide.data.interactions import Interactions
from honeyguide.data.protocol import Protocol
from honeyguide.data.shop import simulate
from honeyguide.data.split import Split, split
from honeyguide.errors import CallError
from honeyguide.evaluate.evaluator import evaluate
from honeyguide.evaluate.sampled import evaluate_sampled
from honeyguide.models.ease import EASE
from honeyguide.models.spec import Dense, Schema, Spec, never_pad
from honeyguide.rank.rankers import Exhaustive
from matrices import fitted
from tables import refused


@pytest.fixture(scope="module")
def parts() -> Split:
    log = Interactions.of(simulate(20_000, users=200, items=400, seed=1).table)
    return split(log, Protocol(split="time"))


def sampled(ranker, parts, **options):
    return evaluate_sampled(ranker, parts.test, rule=EASE().rule, past=None, **options)


def test_the_name_says_how_many_were_drawn_and_plain_evaluation_never_does(parts):
    ranker = Exhaustive(fitted(EASE(), parts.train))
    told = sampled(ranker, parts, negatives=50)
    assert set(told.per_user) == {"sampled50_ndcg@10", "sampled50_hit_rate@10"}
    popular = sampled(ranker, parts, negatives=50, sampling="popularity")
    assert set(popular.per_user) == {
        "sampled50-popularity_ndcg@10",
        "sampled50-popularity_hit_rate@10",
    }
    whole = evaluate(ranker, parts.test, rule=EASE().rule, past=None, metrics=["ndcg@10"])
    assert set(whole.per_user) == {"ndcg@10"}
    assert told["sampled50_ndcg@10"] > whole["ndcg@10"] + 0.1, "fewer rivals, better numbers"


def test_drawn_by_seed_and_user_alone(parts):
    ranker = Exhaustive(fitted(EASE(), parts.train))
    one, again = sampled(ranker, parts, negatives=20), sampled(ranker, parts, negatives=20)
    other = sampled(ranker, parts, negatives=20, seed=1)
    name = "sampled20_ndcg@10"
    np.testing.assert_array_equal(one.per_user[name], again.per_user[name])
    assert not np.array_equal(one.per_user[name], other.per_user[name])


class At(Spec):
    """Knows the truth and puts it at a place of its own for each user."""

    name = "at"
    often: int
    """Place of the true items of even users."""
    seldom: int
    """Place for odd users."""

    def build(self, schema: Schema) -> "AtModel":
        return AtModel(self, schema)


class AtModel(Dense):
    truth: torch.Tensor

    def score(self, query):
        scores = -torch.arange(self.schema.items, dtype=torch.float32).expand(len(query), -1)
        scores = scores.clone()
        places = torch.where(query.user % 2 == 0, self.spec.often, self.spec.seldom)
        scores.scatter_(1, self.truth[query.user][:, None], -(places.float()[:, None] + 0.5))
        return never_pad(scores)


def test_it_may_put_two_rankers_in_the_wrong_order():
    # Krichene and Rendle 2020: one ranker is first for some and far behind for others, one is
    # always near; nDCG@10 prefers the former, and among 20 drawn items the latter looks better
    users, items = 400, 1_001
    draw = np.random.default_rng(0)
    truth = torch.from_numpy(draw.integers(500, items, users))
    history = made(np.ones(users, np.int32), users, items)
    asked = holdout_of(history, made(truth.numpy().astype(np.int32), users, items))
    told = {}
    for name, spec in {"sharp": At(often=3, seldom=400), "near": At(often=30, seldom=30)}.items():
        model = spec.build(Schema(users=users, items=items)).eval()
        model.truth = truth
        ranker = Exhaustive(model)
        whole = evaluate(ranker, asked, rule=EASE().rule, past=None, metrics=["ndcg@10"])
        few = evaluate_sampled(ranker, asked, rule=EASE().rule, past=None, negatives=20)
        told[name] = (whole["ndcg@10"], few["sampled20_ndcg@10"])
    assert told["sharp"][0] > told["near"][0]
    assert told["sharp"][1] < told["near"][1]


def made(item: np.ndarray, users: int, items: int) -> Interactions:
    import polars as pl

    from honeyguide.data.vocab import Vocab

    return Interactions(
        users=Vocab(pl.Series(range(users)), 0),
        items=Vocab(pl.Series(range(items - 1)), 1),
        offsets=np.arange(users + 1),
        user=np.arange(users, dtype=np.int32),
        item=item,
        kind=np.full(users, 8, dtype=np.int8),
        order="column",
    )


def holdout_of(history: Interactions, after: Interactions):
    from honeyguide.data.split import holdout

    return holdout(history, after, None)


def test_what_cannot_be_drawn(parts):
    ranker = Exhaustive(fitted(EASE(), parts.train))
    refused(CallError, lambda: sampled(ranker, parts, negatives=0), "0 negatives")
    refused(CallError, lambda: sampled(ranker, parts, negatives=100_000), "100000 negatives")
