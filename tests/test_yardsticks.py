"""Numbers known beforehand: if these are wrong, no other number may be believed."""

import numpy as np
import torch

from honeyguide.data.interactions import Interactions
from honeyguide.data.opening import Inputs
from honeyguide.data.protocol import Protocol
from honeyguide.data.shop import simulate
from honeyguide.data.split import split
from honeyguide.data.training import TrainingData
from honeyguide.evaluate.evaluator import evaluate
from honeyguide.experiment.splitting import open_split
from honeyguide.models.ease import EASE
from honeyguide.models.popular import Popular
from honeyguide.models.spec import Schema
from honeyguide.rank.rankers import Exhaustive
from honeyguide.rank.topk import top_k


def measured(spec, parts, metrics):
    train = parts.train
    model = spec.build(Schema(users=train.n_users, items=train.n_items))
    model.solve(TrainingData(train), seed=0)
    return evaluate(Exhaustive(model), parts.test, rule=spec.rule, past=spec.past, metrics=metrics)


def test_popular_on_gowalla(data_folder):
    _, parts = open_split("gowalla", Inputs())
    told = measured(Popular(), parts, ["recall@20", "ndcg@20"])
    assert round(told["recall@20"], 4) == 0.0416
    assert round(told["ndcg@20"], 4) == 0.0317


def test_popular_and_ease_on_movielens_1m(data_folder):
    _, parts = open_split("movielens-1m", Inputs())
    popular = measured(Popular(), parts, ["hit_rate@10", "ndcg@10"])
    assert round(popular["hit_rate@10"], 3) == 0.035
    assert abs(popular["ndcg@10"] - 0.0175) < 0.0005
    ease = measured(EASE(), parts, ["hit_rate@10", "ndcg@10"])
    assert abs(ease["hit_rate@10"] - 0.097) < 0.006  # one standard error
    assert abs(ease["ndcg@10"] - 0.048) < 0.003


def test_the_shops_own_truth_beats_ease_and_ease_beats_popular():
    shop = simulate(20_000, seed=1)
    parts = split(Interactions.of(shop.table), Protocol(split="time"))
    popular = measured(Popular(), parts, ["ndcg@10"])["ndcg@10"]
    ease = measured(EASE(), parts, ["ndcg@10"])["ndcg@10"]

    class Oracle:
        def rank(self, query, k, *, exclude, **ignored):
            names = parts.train.users.of(query.user.numpy()).to_list()
            liked = torch.from_numpy(shop.preference(names, now=float(query.now[0])))
            numbers = parts.train.items.numbers(shop.table.items["item_id"])
            scores = torch.full((len(query), parts.train.n_items), -np.inf)
            scores[:, numbers] = liked
            scores[:, 0] = -np.inf
            return top_k(scores.scatter(1, exclude, -np.inf), k)

    oracle = evaluate(Oracle(), parts.test, rule=Popular().rule, past=None, metrics=["ndcg@10"])
    assert popular < ease < oracle["ndcg@10"]
