"""Settings for a data set from a short list of candidates, by validation only; writes recipes.

    python benchmarks/search.py gowalla chebycf

Candidates stand in CANDIDATES below, by data set and recipe. A ready-made split without validation
is searched on a seeded tenth of its training part, Gowalla on pairs that lie together (see
_together.py), where the best epoch becomes the last one; test is never opened. Every trial is
kept in benchmarks/results/search/<data>/<recipe>.json; a trial that is there is not run again. Of a
sequence model there is one candidate, the same for each data set but for its dropout (and, of a
recipe that says so, its width or its similarity); it is written down without a trial. So is the one
candidate of a recipe that ends in "tenth", whose epochs no trial caps: final.py chooses them on a
random tenth of Gowalla's training part.
"""

import argparse
import json
from itertools import product
from time import perf_counter
from typing import Any

import _recipes
from _asked import ASKED, ERRORS
from _common import RESULTS
from _together import held_together
from honeyguide.data.split import Holdout, inner_split
from honeyguide.data.training import TrainingData
from honeyguide.evaluate.evaluator import evaluate
from honeyguide.evaluate.ratings import predict
from honeyguide.experiment.machine import machine
from honeyguide.models.bert4rec import BERT4Rec
from honeyguide.models.bsarec import BSARec
from honeyguide.models.chebycf import ChebyCF
from honeyguide.models.convncf import ConvNCF
from honeyguide.models.cp import CP
from honeyguide.models.dmf import DMF
from honeyguide.models.ease import EASE
from honeyguide.models.fmlp_rec import FMLPRec
from honeyguide.models.gru4rec import GRU4Rec
from honeyguide.models.hstu import HSTU
from honeyguide.models.ials import IALS
from honeyguide.models.item_knn import ItemKNN
from honeyguide.models.lightgcn import LightGCN
from honeyguide.models.lrurec import LRURec
from honeyguide.models.markov import Markov
from honeyguide.models.mf import MF
from honeyguide.models.mult_vae import MultVAE
from honeyguide.models.neumf import NeuMF
from honeyguide.models.nextitnet import NextItNet
from honeyguide.models.popular import Popular
from honeyguide.models.sasrec import SASRec
from honeyguide.models.session_knn import SessionKNN
from honeyguide.models.sparse_fc import SparseFC
from honeyguide.models.spec import LearnedSpec, Schema, Spec
from honeyguide.models.spectral_mf import SpectralMF
from honeyguide.models.xsimgcl import XSimGCL
from honeyguide.rank.rankers import Exhaustive
from honeyguide.train.trainer import Training, build, fit
from honeyguide.train.validation import sampled


def grid(spec: Spec, **choices: list[Any]) -> list[Spec]:
    """The spec with every combination of these values."""
    names = list(choices)
    return [spec.but(**dict(zip(names, v, strict=True))) for v in product(*choices.values())]


WIDE = ChebyCF(rank=1024, user_power=0.3, ideal=0.4)
BPR = MF(loss="bpr", negatives=1, batch=2048, learning_rate=5e-3, epochs=150)
# large batches with several negatives, and the mean of the weights, from the leading directions
LARGE: dict[str, Any] = {"batch": 8192, "average": 0.99, "start": "spectral", "patience": 6}
MANY = MF(loss="bpr", negatives=16, learning_rate=5e-3, l2=1e-3)
GRAPH = LightGCN(loss="bpr", negatives=4, learning_rate=0.015)
SHORT: dict[str, Any] = {"epochs": 60, "patience": 5}
TIMED = CP(start="spectral", **SHORT)
HOT: dict[str, Any] = {"similarity": "cosine", "epochs": 120, "patience": 5}
LONG: dict[str, Any] = {"epochs": 150, "patience": 6, "average": 0.99}  # of sequence models
COMMON: dict[str, Any] = {"width": 128, "dropout": 0.4, **LONG}
WIDE_ANGLE: dict[str, Any] = {"similarity": "cosine", "width": 128, "dropout": 0.5, **LONG}


def in_order(dropout: float) -> dict[str, list[Spec]]:
    """What reads order, and yardsticks that do not, for sets whose last events are left out."""
    wet: dict[str, Any] = {"dropout": dropout, **LONG}
    return {
        "popular": [Popular()],
        "item-knn": grid(ItemKNN(k=500), alpha=[0.5, 0.7], weigh_users=[False, True]),
        "ease": grid(EASE(), l2=[50.0, 200.0, 500.0]),
        "ials": grid(IALS(epochs=16), width=[64, 256], alpha=[0.1, 0.4], l2=[0.0004, 0.002]),
        "markov": grid(Markov(), reach=[1, 2, 5]),
        "session-knn": grid(SessionKNN(), k=[100, 500], history=[5, 20]),
        "gru4rec": [GRU4Rec(**wet)],
        "nextitnet": [NextItNet(**wet)],
        "sasrec": [SASRec(**wet)],
        "bsarec": [BSARec(**wet)],
        "lrurec": [LRURec(**wet)],
        "hstu-cosine": [HSTU(similarity="cosine", **wet)],
        "fmlp-rec": [FMLPRec(history=50, **wet)],
        "fmlp-rec-long": [FMLPRec(**wet)],
        "bert4rec": [BERT4Rec(**wet)],
        "sasrec-cosine": [SASRec(similarity="cosine", **wet)],
        "bsarec-cosine": [BSARec(similarity="cosine", **wet)],
        "lrurec-cosine": [LRURec(similarity="cosine", **wet)],
        # the same settings for all sets
        "bsarec-cosine-wide": [BSARec(**WIDE_ANGLE)],
        "fmlp-rec-projection": [FMLPRec(similarity="projection", width=128, dropout=0.5, **LONG)],
        "fmlp-rec-projection-common": [FMLPRec(similarity="projection", **COMMON)],
        "fmlp-rec-cosine-common": [FMLPRec(similarity="cosine", **COMMON)],
        "fmlp-rec-cosine-wide": [FMLPRec(history=50, **WIDE_ANGLE)],
        "lrurec-cosine-wide": [LRURec(**WIDE_ANGLE)],
    }


# for sets on which nothing is chosen for a sequence model
UNTRIED = in_order(0.2) | {
    "sasrec-wet": [SASRec(dropout=0.5, **LONG)],
    "gru4rec-wet": [GRU4Rec(dropout=0.5, **LONG)],
}


CANDIDATES: dict[str, dict[str, list[Spec]]] = {
    "movielens-1m": {**in_order(0.2), "sasrec-dry": [SASRec(dropout=0.1, **LONG)]},
    "amazon-beauty": {
        **in_order(0.5),
        "bsarec-wide": [BSARec(dropout=0.5, width=128, **LONG)],
        "bsarec-wider": [BSARec(dropout=0.5, width=192, **LONG)],
        "bsarec-decay": grid(BSARec(dropout=0.5, **LONG), weight_decay=[0.3, 1.0]),
    },
    "movielens-100k": UNTRIED,
    "movielens-latest-small": UNTRIED,
    "gowalla": {
        "chebycf-paper": [ChebyCF()],
        "chebycf": [
            *grid(WIDE, beta=[0.4, 0.45, 0.5]),
            *grid(WIDE, beta=[0.45], user_power=[0.2, 0.4]),
            *grid(WIDE, beta=[0.45], flatness=[1.0, 1.2]),
            *grid(WIDE, beta=[0.45], rank=[512]),
            *grid(WIDE, beta=[0.45], rank=[128, 256, 512], flatness=[1.0]),
            *grid(WIDE, beta=[0.5], rank=[256], flatness=[1.0], user_power=[0.2, 0.3]),
            *grid(WIDE, beta=[0.45], rank=[256], flatness=[1.0], ideal=[0.7, 1.0]),
        ],
        "ease": grid(EASE(), l2=[20.0, 80.0]),
        "ials": grid(IALS(width=256, epochs=12), alpha=[0.01, 0.03, 0.1], l2=[0.003, 0.01]),
        "item-knn": grid(
            ItemKNN(k=1000), alpha=[0.4, 0.5], weigh_users=[False, True], shrink=[0.0, 20.0]
        ),
        "mf-bpr": [
            *grid(BPR.but(batch=4096, learning_rate=1e-2), l2=[3e-4, 1e-3]),
            *grid(BPR.but(learning_rate=2e-3, start="spectral", patience=5), l2=[1e-3, 3e-3, 1e-2]),
        ],
        "mf-bpr-tenth": [MANY.but(**LARGE)],
        "mf-bpr-many-tenth": [MANY.but(negatives=64, **LARGE)],
        "mf-bpr-fast-tenth": [MANY.but(negatives=64, learning_rate=0.015, **LARGE)],
        "mf-softmax": grid(
            MF(**HOT, start="spectral").but(epochs=25), temperature=[0.1], width=[64]
        ),
        "lightgcn": [
            *grid(LightGCN(**HOT, learning_rate=0.03), temperature=[0.15], layers=[3]),
            *grid(
                LightGCN(**HOT, batch=512, start="spectral").but(epochs=20, patience=4),
                temperature=[0.1],
                learning_rate=[0.02],
                layers=[3],
            ),
        ],
        "lightgcn-dot": [
            *grid(LightGCN(start="spectral", epochs=40, patience=3), l2=[0.1, 0.4], layers=[3]),
            *grid(LightGCN(start="spectral", epochs=40, patience=3), l2=[0.1], layers=[2]),
        ],
        "lightgcn-bpr": [GRAPH.but(**LARGE).but(epochs=60, patience=4)],
        "lightgcn-bpr-tenth": [GRAPH.but(**LARGE)],
        "lightgcn-bpr-many-tenth": [GRAPH.but(negatives=64, **LARGE)],
        "mult-vae-tenth": [
            MultVAE(batch=512, dropout=0.7, warmup=500, average=0.99, epochs=60, patience=4)
        ],
        "xsimgcl": grid(
            XSimGCL(loss="softmax", **HOT, learning_rate=0.03, batch=1024), temperature=[0.15]
        ),
        "spectral-mf": grid(
            SpectralMF(rank=512, user_power=0.3, ideal=0.4, beta=0.45, epochs=20, patience=4),
            width=[128, 256],
        ),
    },
    "movielens-100k-811": {
        "cp": [
            *grid(TIMED, context=["hour", "hour-of-week"], l2=[0.3, 1.0]),
            *grid(TIMED, context=["weekday"], l2=[0.1, 0.3]),
        ],
        # what cp is without a context
        "mf-dot": [
            *grid(MF(start="spectral", learning_rate=3e-3, **SHORT), l2=[0.3, 1.0]),
            *grid(MF(start="spectral", **SHORT), l2=[0.1, 0.3]),
        ],
    },
    "movielens-100k-u1": {
        "sparse-fc": [
            *grid(SparseFC(), l2=[20.0, 40.0, 60.0]),
            *grid(SparseFC(), epochs=[150, 300]),
            *grid(SparseFC(), users_share=[0.15, 0.35]),
        ],
        "sparse-fc-items": grid(SparseFC(users_share=0.0), l2=[20.0, 40.0], epochs=[150, 200]),
    },
    "movielens-1m-811": {
        "chebycf-paper": [ChebyCF()],
        "chebycf": [
            *grid(
                ChebyCF(user_power=0.3, k=4000),
                rank=[64, 256],
                beta=[0.2, 0.35, 0.5],
                ideal=[0.0, 0.2],
            ),
            *grid(ChebyCF(k=4000), rank=[128, 256], beta=[0.1, 0.2], ideal=[0.5, 1.0]),
            *grid(ChebyCF(k=4000, user_power=0.3, rank=128), beta=[0.1], ideal=[0.5, 1.0]),
        ],
        "ease": grid(EASE(), l2=[100.0, 200.0, 400.0, 800.0, 1600.0]),
        "ials": grid(
            IALS(epochs=16), width=[64, 128], alpha=[0.1, 0.3, 0.6], l2=[0.001, 0.003, 0.01]
        ),
        "item-knn": grid(
            ItemKNN(k=1000), alpha=[0.4, 0.5, 0.7], weigh_users=[False, True], shrink=[0.0, 50.0]
        ),
        "mf-bpr": grid(BPR.but(start="spectral", patience=5), l2=[1e-3, 3e-3]),
        "mf-softmax": grid(MF(**HOT, start="spectral", batch=256), temperature=[0.2, 0.3]),
        "lightgcn": grid(
            LightGCN(**HOT, learning_rate=0.01, batch=256, layers=2), temperature=[0.15, 0.2, 0.25]
        ),
        "xsimgcl": grid(
            XSimGCL(loss="softmax", **HOT, learning_rate=0.01, batch=256),
            temperature=[0.2],
            contrast=[0.05, 0.2],
        ),
        "xsimgcl-bpr": [XSimGCL(epochs=80)],
        "spectral-mf": grid(
            SpectralMF(rank=256, ideal=1.0, beta=0.1, k=4000, width=64, epochs=40, patience=4),
            temperature=[0.2],
            share=[0.5, 0.7],
        ),
        "dmf": grid(DMF(epochs=60, patience=5), temperature=[0.15, 0.25]),
        "neumf": grid(
            NeuMF(epochs=12, patience=3, learning_rate=3e-3), average=[0.998], dropout=[0.1]
        ),
        "convncf": grid(
            ConvNCF(channels=8, epochs=4, patience=1, average=0.998),
            learning_rate=[5e-4],
            l2=[1e-2],
        ),
        "mult-vae": grid(MultVAE(epochs=150, batch=256), beta=[0.2, 0.5]),
    },
}


def trial(spec: Spec, train: Any, valid: Holdout, metrics: tuple[str, ...]) -> dict[str, Any]:
    """One fit and its validation."""
    started = perf_counter()
    model = build(spec, Schema(users=train.n_users, items=train.n_items), 0)
    learned = isinstance(spec, LearnedSpec)
    fitted = fit(
        model,
        TrainingData(train),
        valid=valid if learned else None,
        training=Training(metric=metrics[0]) if learned else None,
    )
    if metrics[0] in ERRORS:
        rated = predict(model, valid)
        told = {name: rated.summary(name).mean for name in metrics}
    else:
        asked = evaluate(Exhaustive(model), valid, rule=spec.rule, past=spec.past, metrics=metrics)
        told = {name: asked[name] for name in metrics}
    return {
        "settings": spec.model_dump(mode="json", exclude_defaults=True),
        "valid": told,
        "best_epoch": fitted.best_epoch,
        "seconds": perf_counter() - started,
    }


def main() -> None:
    """Every candidate that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", choices=CANDIDATES)
    parser.add_argument("recipes", nargs="+")
    asked = parser.parse_args()
    wanted = ASKED[asked.data]
    opened, parts = wanted.open()
    train, valid = parts.train, parts.valid
    if asked.data == "gowalla":
        valid = held_together(parts.train)
        train = valid.history
    elif valid is None:
        inner = inner_split(parts.train, opened.protocol)
        train, valid = inner.train, inner.test
    valid = sampled(valid, 0)
    metric = wanted.metrics[0]
    for recipe in asked.recipes:
        candidates = CANDIDATES[asked.data][recipe]
        if (wanted.ordered or recipe.endswith("tenth")) and len(candidates) == 1:
            how = {"by": "benchmarks/search.py", "trials": 0}
            _recipes.save(asked.data, recipe, candidates[0], how)
            continue
        path = RESULTS / "search" / asked.data / f"{recipe}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        trials = json.loads(path.read_text())["trials"] if path.exists() else []
        done = {json.dumps(t["settings"], sort_keys=True) for t in trials}
        for spec in candidates:
            settings = spec.model_dump(mode="json", exclude_defaults=True)
            if json.dumps(settings, sort_keys=True) in done:
                continue
            found = trial(spec, train, valid, wanted.metrics)
            print(recipe, found, flush=True)
            trials.append(found)
            told = {"machine": machine(), "metric": metric, "trials": trials}
            path.write_text(json.dumps(told, indent=1) + "\n")
        better = min if metric in ERRORS else max
        best = better(trials, key=lambda t: float(t["valid"][metric]))
        spec = type(candidates[0])(**best["settings"])
        if asked.data == "gowalla" and isinstance(spec, LearnedSpec):
            # final.py looks at a random tenth, which would train for longer
            spec = spec.but(epochs=best["best_epoch"] + 1)
        how = {
            "by": "benchmarks/search.py",
            "metric": metric,
            "valid": round(best["valid"][metric], 5),
            "trials": len(trials),
            "seconds": round(sum(t["seconds"] for t in trials)),
        }
        _recipes.save(asked.data, recipe, spec, how)


if __name__ == "__main__":
    main()
