"""Wall time until iALS and MF reach the nDCG@10 of implicit 0.7.3 (compiled), in one run.

    python implicit_speed.py [movielens-1m] [gowalla]

implicit trains with its own defaults (ALS: 15 iterations, BPR: 100) at widths 64 and 256; what it
reaches on the validation users (Gowalla: a seeded tenth of training pairs held out) is the goal.
Ours is trained with one alternation or epoch, two, and so on until the goal is reached; the time is
that of training alone on both sides, with what comes before the first epoch (spectral vectors). MF
trains on the full softmax.
"""

import json
import sys
from time import perf_counter
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from implicit.cpu.als import AlternatingLeastSquares  # type: ignore[import-untyped]
from implicit.cpu.bpr import BayesianPersonalizedRanking  # type: ignore[import-untyped]
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from _common import record
from honeyguide.data.interactions import Interactions
from honeyguide.data.opening import Inputs
from honeyguide.data.split import Holdout, inner_split
from honeyguide.data.training import TrainingData
from honeyguide.evaluate.evaluator import evaluate
from honeyguide.experiment.splitting import open_split
from honeyguide.models.ials import IALS
from honeyguide.models.mf import MF
from honeyguide.models.spec import Model, Schema
from honeyguide.rank.rankers import Exhaustive
from honeyguide.train.trainer import Training, build, fit
from honeyguide.train.validation import sampled

WIDTHS = (64, 256)
MOST = {"ials": 16, "mf": 30}  # alternations, epochs
OURS = {
    "movielens-1m": {
        "ials": IALS(alpha=1.0, l2=0.001),
        "mf": MF(batch=256, learning_rate=0.02),
    },
    "gowalla": {
        "ials": IALS(alpha=0.03, l2=0.003),
        "mf": MF(start="spectral", learning_rate=0.02),
    },
}


def main() -> None:
    """All data sets, or those named."""
    told: dict[str, Any] = {}
    for name in sys.argv[1:] or list(OURS):
        train, valid = parts(name)
        told[name] = {}
        for width in WIDTHS:
            for ours, peer in (
                ("ials", AlternatingLeastSquares(factors=width, random_state=0)),
                ("mf", BayesianPersonalizedRanking(factors=width, random_state=0)),
            ):
                told[name][f"{ours}-{width}"] = beside(name, ours, width, peer, train, valid)
                print(name, ours, width, json.dumps(told[name][f"{ours}-{width}"]), flush=True)
        record("implicit_speed", {"data": told})


def parts(name: str) -> tuple[Interactions, Holdout]:
    """Training events, and the validation users that both are asked for."""
    opened, split = open_split(name, Inputs())
    if split.valid is not None:
        return split.train, sampled(split.valid, 0)
    inner = inner_split(split.train, opened.protocol)
    return inner.train, sampled(inner.test, 0)


def beside(
    name: str, ours: str, width: int, peer: Any, train: Interactions, valid: Holdout
) -> dict[str, Any]:
    """The goal and what it takes."""
    schema = Schema(users=train.n_users, items=train.n_items)
    matrix = sp.csr_matrix(train.pairs(MF().rule))
    started = perf_counter()
    with threadpool_limits(1, "blas"):  # as implicit itself advises
        peer.fit(matrix, show_progress=False)
    theirs = perf_counter() - started
    users, items = np.asarray(peer.user_factors), np.asarray(peer.item_factors)
    holder = MF(width=users.shape[1]).build(schema)
    with torch.no_grad():
        holder.user.weight.copy_(torch.from_numpy(users))
        holder.items.weight.copy_(torch.from_numpy(items))
    holder.refresh(TrainingData(train))
    goal = ndcg(holder, valid)
    spec = OURS[name][ours].but(width=width)
    tried: list[dict[str, float]] = []
    if ours == "mf":
        learn(spec.but(epochs=MOST["mf"], patience=99), schema, train, valid, goal, tried)
    else:
        for epochs in range(1, MOST["ials"] + 1):
            model = build(spec.but(epochs=epochs), schema, 0)
            fitted = fit(model, TrainingData(train))
            tried.append({"ndcg@10": ndcg(model, valid), "seconds": fitted.seconds})
            if tried[-1]["ndcg@10"] >= goal:
                break
    last = tried[-1]
    reached = last["ndcg@10"] >= goal
    return {
        "implicit": {"ndcg@10": goal, "seconds": theirs},
        "honeyguide": {**last, "epochs": len(tried)},
        "settings": spec.model_dump(mode="json", exclude_defaults=True),
        "ratio": last["seconds"] / theirs if reached else None,
    }


def learn(
    spec: Any, schema: Schema, train: Interactions, valid: Holdout, goal: float, tried: list[Any]
) -> None:
    """Epochs until the goal is reached."""
    asking, started = 0.0, perf_counter()

    def watch(line: dict[str, Any]) -> bool:
        nonlocal asking
        asking += line["valid_seconds"]
        spent = perf_counter() - started - asking
        tried.append({"ndcg@10": line["valid"]["ndcg@10"], "seconds": spent})
        return bool(tried[-1]["ndcg@10"] >= goal)

    model = build(spec, schema, 0)
    fit(model, TrainingData(train), valid=valid, training=Training(), on_epoch=watch)


@torch.inference_mode()
def ndcg(model: Model, valid: Holdout) -> float:
    """Of all validation users."""
    rule = model.spec.rule
    ranker = Exhaustive(model.eval().requires_grad_(False))
    return evaluate(ranker, valid, rule=rule, past=None, metrics=["ndcg@10"])["ndcg@10"]


if __name__ == "__main__":
    main()
