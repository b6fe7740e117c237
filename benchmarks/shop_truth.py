"""The simulated shop knows what its users like, so the order of models there is known beforehand.

Mean nDCG@10 must be popular < each learned model < oracle. On a log whose users are shuffled
nothing is left to learn, and every model must fall to popular within its interval.
"""

import sys
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from _common import record
from honeyguide.data.interactions import Interactions
from honeyguide.data.protocol import Protocol
from honeyguide.data.query import Query
from honeyguide.data.shop import Shop, shuffle_users, simulate
from honeyguide.data.split import Split, split
from honeyguide.data.table import Table
from honeyguide.data.training import TrainingData
from honeyguide.evaluate.evaluator import Evaluation, evaluate
from honeyguide.evaluate.statistics import summary
from honeyguide.models.popular import Popular
from honeyguide.models.spec import Dense, Schema, Spec, never_pad
from honeyguide.models.table import MODELS
from honeyguide.rank.rankers import Exhaustive
from honeyguide.train.trainer import Training, build, fit

METRIC = "ndcg@10"


class Oracle(Dense):
    """Scores every item by the shop's own truth at the moment of the question."""

    def __init__(self, shop: Shop, train: Interactions, now: float) -> None:
        super().__init__(Popular(), Schema(users=train.n_users, items=train.n_items))
        self.shop, self.now, self.users = shop, now, train.users
        assert shop.table.items is not None
        self.numbers = torch.from_numpy(train.items.numbers(shop.table.items["item_id"]))

    def score(self, query: Query) -> Float32[Tensor, "B I"]:
        names = self.users.of(query.user.numpy()).to_list()
        liked = torch.from_numpy(self.shop.preference(names, now=self.now))
        scores = torch.full((len(query), self.schema.items), float("-inf"))
        scores[:, self.numbers] = liked  # items that training never saw all land on PAD
        return never_pad(scores)


def parts_of(table: Table) -> Split:
    """Split by time."""
    return split(Interactions.of(table), Protocol(split="time"))


def trained(spec: Spec, parts: Split, seed: int) -> Evaluation:
    """Train with validation, ask once."""
    train = parts.train
    model = build(spec, Schema(users=train.n_users, items=train.n_items), seed)
    fit(model, TrainingData(train), valid=parts.valid, training=Training(seed=seed))
    return evaluate(Exhaustive(model), parts.test, rule=spec.rule, past=spec.past, metrics=[METRIC])


def main() -> None:
    """Shops, in order and shuffled: three, or as many as the first argument says."""
    rows: list[dict[str, Any]] = []
    for seed in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
        shop = simulate(100_000, seed=seed)
        for shuffled in (False, True):
            parts = parts_of(shuffle_users(shop.table, seed) if shuffled else shop.table)
            found = {name: trained(spec(), parts, seed) for name, spec in MODELS.items()}
            if not shuffled:
                assert parts.test.now is not None
                oracle = Oracle(shop, parts.train, float(parts.test.now[0]))
                found["oracle"] = evaluate(
                    Exhaustive(oracle),
                    parts.test,
                    rule=Popular().rule,
                    past=None,
                    metrics=[METRIC],
                )
            popular = found["popular"].per_user[METRIC]
            for name, told in found.items():
                values = told.per_user[METRIC]
                own, above = summary(values), summary(values - popular)
                rows.append(
                    {
                        "seed": seed,
                        "shuffled": shuffled,
                        "model": name,
                        "mean": own.mean,
                        "low": own.low,
                        "high": own.high,
                        "above_popular": above.mean,
                        "above_low": above.low,
                        "above_high": above.high,
                    }
                )
                print(
                    seed, shuffled, name, np.round([own.mean, above.low or 0, above.high or 0], 4)
                )
    learned = [r for r in rows if r["model"] not in ("popular", "oracle")]
    oracles = {r["seed"]: r["mean"] for r in rows if r["model"] == "oracle"}
    record(
        "shop_truth",
        {
            "metric": METRIC,
            "popular_below_every_learned": all(
                r["above_popular"] > 0 for r in learned if not r["shuffled"]
            ),
            "every_learned_below_oracle": all(
                r["mean"] < oracles[r["seed"]] for r in learned if not r["shuffled"]
            ),
            "shuffled_none_clearly_above_popular": all(
                r["above_low"] <= 0 for r in learned if r["shuffled"]
            ),
            "shuffled_interval_holds_popular": {
                f"{r['model']}-{r['seed']}": r["above_low"] <= 0 <= r["above_high"]
                for r in learned
                if r["shuffled"]
            },
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
