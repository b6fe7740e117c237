"""Are the reasons the model's? Take them away, or give them alone, and see what the item does.

MovieLens-1M, the first recommendation of 400 users who ask with all they did before test. The order
of the explanation against three others: random, most popular, nearest. Area under
1 / log2(1 + rank) over the first ten steps: of deletion less is better, of insertion more.
"""

from typing import Any

import numpy as np
import torch

import honeyguide as hg
from _common import record
from honeyguide.data.interactions import Interactions
from honeyguide.data.query import query
from honeyguide.data.training import TrainingData
from honeyguide.evaluate.evaluator import padded_items
from honeyguide.evaluate.statistics import apart, paired, randomised
from honeyguide.experiment.splitting import open_split
from honeyguide.explain.effects import effects
from honeyguide.explain.fidelity import curve
from honeyguide.explain.nearest import likeness, takers
from honeyguide.models.spec import Model, Schema, Spec
from honeyguide.rank.rankers import Exhaustive
from honeyguide.train.trainer import Training, build, fit

USERS, STEPS = 400, 10
# SASRec is trained for few epochs: what is asked is whether it is explained, not how good it is
SPECS: list[Spec] = [hg.EASE(), hg.MF(), hg.SASRec(history=50, epochs=8)]


def orders(
    model: Model, log: Interactions, people: np.ndarray
) -> tuple[np.ndarray, dict[str, Any]]:
    """The targets, and by name the orders of the histories, PAD behind."""
    spec, draw = model.spec, np.random.default_rng(0)
    past = log.of_users(people).counting(spec.rule)
    known = log.of_users(people).seen()
    known_takers = takers(log, spec.rule)
    popular = np.bincount(log.item, minlength=log.n_items)
    asked = query(past, np.arange(len(people)), history=spec.past, known=False)
    exclude = padded_items(known, np.arange(len(people)))
    targets = Exhaustive(model).rank(asked, 1, exclude=exclude).items[:, 0].numpy()
    told: dict[str, list[np.ndarray]] = {
        "explained": [],
        "random": [],
        "popular": [],
        "nearest": [],
    }
    for row, target in enumerate(targets):
        person = np.array([row])
        seen = np.unique(known.of_users(person).item).astype(np.int64)
        found = effects(model, past.of_users(person), np.array([target]), seen)
        items = found.items
        like = likeness(model, lambda: known_takers, np.array([target]), items)[0]
        told["explained"].append(items[np.argsort(-found.lead_loss[0], kind="stable")])
        told["random"].append(draw.permutation(items))
        told["popular"].append(items[np.argsort(-popular[items], kind="stable")])
        told["nearest"].append(items[np.argsort(-like, kind="stable")])
    padded = {}
    for name, rows in told.items():
        padded[name] = np.zeros((len(rows), STEPS), np.int64)
        for row, items in enumerate(rows):
            padded[name][row, : len(items[:STEPS])] = items[:STEPS]
    return targets, {"past": past, **padded}


def main() -> None:
    """All models."""
    _, parts = open_split("movielens-1m", hg.Inputs())
    log = parts.test.history
    people = np.random.default_rng(0).choice(parts.test.users, USERS, replace=False)
    told: dict[str, Any] = {}
    for spec in SPECS:
        schema = Schema(users=parts.train.n_users, items=parts.train.n_items)
        model = build(spec, schema, seed=0)
        fit(model, TrainingData(parts.train), valid=parts.valid, training=Training())
        model.eval().requires_grad_(False)
        with torch.inference_mode():
            targets, found = orders(model, log, people)
        past = found.pop("past")
        told[spec.name] = {}
        for way in ("deletion", "insertion"):
            area = {
                name: curve(model, past, targets, order, way=way, steps=STEPS).area
                for name, order in found.items()
            }
            both = ~np.isnan(np.stack(list(area.values()))).any(0)
            rows: dict[str, Any] = {"users": int(both.sum())}
            for name, values in area.items():
                rows[name] = {"area": float(values[both].mean())}
                if name == "explained":
                    continue
                sign = 1 if way == "deletion" else -1
                test = paired(sign * values[both], sign * area["explained"][both])
                assert test is not None
                flips = apart(values[both], area["explained"][both])[:, None]
                rows[name] |= {
                    "better_by": test.mean,
                    "low": test.low,
                    "high": test.high,
                    "p_t": test.p_t,
                    "p_randomisation": randomised(flips)[0],
                }
            told[spec.name][way] = rows
    record("explain_fidelity", {"users": USERS, "steps": STEPS, "models": told})


if __name__ == "__main__":
    main()
