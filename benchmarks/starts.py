"""Factorisations of Gowalla that start from noise and from spectral vectors, epoch by epoch.

    python benchmarks/starts.py

nDCG@20 on the validation that search.py uses (pairs of the training part that lie together).
"""

from typing import Any

from _asked import ASKED
from _common import record
from _together import held_together
from honeyguide.data.training import TrainingData
from honeyguide.models.mf import MF
from honeyguide.models.spec import Schema
from honeyguide.train.trainer import Training, build, fit
from honeyguide.train.validation import sampled

EPOCHS = 5
SPECS: dict[str, MF] = {
    "mf, bpr": MF(loss="bpr", negatives=1, batch=2048, learning_rate=2e-3, l2=1e-3),
    "mf, softmax": MF(similarity="cosine", temperature=0.1, width=128),
}


def main() -> None:
    """Each model from both starts."""
    _, parts = ASKED["gowalla"].open()
    valid = held_together(parts.train)
    train, asked = valid.history, sampled(valid, 0)
    told: dict[str, dict[str, Any]] = {}
    for name, spec in SPECS.items():
        for start in ("random", "spectral"):
            chosen = spec.but(start=start, epochs=EPOCHS, patience=EPOCHS)
            model = build(chosen, Schema(users=train.n_users, items=train.n_items), 0)
            fitted = fit(
                model, TrainingData(train), valid=asked, training=Training(metric="ndcg@20")
            )
            told.setdefault(name, {})[start] = {
                "ndcg@20": [line["valid"]["ndcg@20"] for line in fitted.journal],
                "epoch_seconds": fitted.epoch_seconds,
            }
            print(name, start, told[name][start], flush=True)
            record("starts", {"epochs": EPOCHS, "models": told})


if __name__ == "__main__":
    main()
