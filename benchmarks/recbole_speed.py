"""Epochs and time to quality beside RecBole 1.2.1, on MovieLens-1M, in one run.

    python recbole_speed.py PYTHON_OF_RECBOLE [MODEL ...]

RecBole wants an environment of its own (torch 2.13.0, recbole 1.2.1, numpy<2, scipy==1.10.1,
setuptools<70). The last event of each user by order is left out, the one before it is asked for of
a fixed tenth of the users, and the rest is learned from. Both train the same model, width,
positives per step and negatives; RecBole's batch counts rows, so that 2,048 rows with 4 negatives
hold 409 positives. Time to quality: seconds of training, without validation, until our validation
nDCG@10 has reached what RecBole's has after 5 and after 20 epochs; ours trains with the settings in
OURS. NeuMF and LightGCN are trained for 5 epochs only, which take RecBole long enough.
"""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from _common import RESULTS, record
from honeyguide.data.interactions import Interactions
from honeyguide.data.opening import Inputs
from honeyguide.data.split import Holdout
from honeyguide.data.training import TrainingData
from honeyguide.experiment.splitting import open_split
from honeyguide.models.lightgcn import LightGCN
from honeyguide.models.mf import MF
from honeyguide.models.mult_vae import MultVAE
from honeyguide.models.neumf import NeuMF
from honeyguide.models.spec import LearnedSpec, Schema
from honeyguide.train.trainer import Fitted, Training, build, fit

PEER = Path(__file__).parent / "peers" / "recbole_epochs.py"
EPOCHS = {"BPR": 20, "MultiVAE": 20, "NeuMF": 5, "LightGCN": 5}
SAME: dict[str, LearnedSpec] = {  # what RecBole trains
    "BPR": MF(loss="bpr", negatives=1, batch=2048, learning_rate=1e-3, l2=0.0),
    "NeuMF": NeuMF(batch=409, dropout=0.1),
    "LightGCN": LightGCN(loss="bpr", negatives=1, batch=2048, learning_rate=1e-3, l2=1e-5),
    "MultiVAE": MultVAE(width=128, batch=2048),
}
OURS: dict[str, LearnedSpec] = {  # what we would train
    "BPR": MF(learning_rate=2e-2),  # the full softmax
    "NeuMF": NeuMF(learning_rate=8e-3, batch=2048, average=0.995),
    "LightGCN": LightGCN(similarity="cosine", temperature=0.15, batch=256, learning_rate=2e-2),
    "MultiVAE": MultVAE(width=128, batch=512, learning_rate=5e-3),
}
MEASURED = 3  # epochs of ours, after one to warm up


def main() -> None:
    """All models, or those that are named."""
    peer, *named = sys.argv[1:]
    train, valid = data()
    told: dict[str, Any] = {}
    if named:  # the others stay
        told = json.loads((RESULTS / "recbole_speed.json").read_text())["models"]
    with TemporaryDirectory() as folder:
        write(Path(folder) / "data", train, valid)
        for name in named or EPOCHS:
            told[name] = beside(name, peer, folder, train, valid)
            print(name, json.dumps(told[name]), flush=True)
            record("recbole_speed", {"data": about(train, valid), "models": told})


def data() -> tuple[Interactions, Holdout]:
    """Training events, and a fixed tenth of the users with the event that comes next."""
    _, parts = open_split("movielens-1m", Inputs())
    assert parts.valid is not None
    draw = np.random.default_rng(0)
    users = draw.choice(parts.valid.users, len(parts.valid.users) // 10, replace=False)
    return parts.train, replace(parts.valid, users=np.sort(users))


def about(train: Interactions, valid: Holdout) -> dict[str, int]:
    """Sizes."""
    return {"train": len(train), "asked": len(valid.users), "items": train.n_items - 1}


def write(folder: Path, train: Interactions, valid: Holdout) -> None:
    """The same parts as RecBole's atomic files. It wants a test part: the validation again."""
    folder.mkdir()
    asked = np.isin(valid.truth.user, valid.users)
    known = valid.truth.item < train.n_items
    for name, events in (
        ("train", train),
        ("valid", valid.truth.only(asked & known)),
        ("test", valid.truth.only(asked & known)),
    ):
        pairs = np.stack([events.user, events.item], axis=1)
        lines = "\n".join(f"{user}\t{item}" for user, item in pairs.tolist())
        (folder / f"data.{name}.inter").write_text(f"user_id:token\titem_id:token\n{lines}\n")


def beside(name: str, peer: str, folder: str, train: Interactions, valid: Holdout) -> Any:
    """One model in both."""
    out = Path(folder) / f"{name}.json"
    command = [peer, str(PEER), folder, name, str(EPOCHS[name]), str(out)]
    subprocess.run(command, check=True, cwd=folder)  # RecBole leaves logs where it runs
    theirs = json.loads(out.read_text())
    same = trained(SAME[name].but(epochs=1 + MEASURED, patience=99), train, None)
    ours = float(np.median([line["seconds"] for line in same.journal[1:]]))
    peers = float(np.median(theirs["epochs"][1:]))
    goals = {int(epoch): value for epoch, value in theirs["ndcg@10"].items()}
    asked = OURS[name].but(epochs=100, patience=99)
    reached, best = until(asked, train, valid, goals, sum(theirs["epochs"]))
    return {
        "epoch_seconds": {"recbole": peers, "honeyguide": ours, "ratio": ours / peers},
        "targets_per_second": {"recbole": len(train) / peers, "honeyguide": len(train) / ours},
        "settings": {
            "same": SAME[name].model_dump(mode="json", exclude_defaults=True),
            "ours": OURS[name].model_dump(mode="json", exclude_defaults=True),
        },
        "to_quality": [
            {
                "recbole_epochs": epoch,
                "ndcg@10": goal,
                "recbole_seconds": sum(theirs["epochs"][:epoch]),
                "honeyguide_seconds": reached[epoch],
                "ratio": None
                if reached[epoch] is None
                else reached[epoch] / sum(theirs["epochs"][:epoch]),
            }
            for epoch, goal in goals.items()
        ],
        "our_best_seen": best,
    }


def trained(spec: LearnedSpec, train: Interactions, valid: Holdout | None) -> Fitted:
    """All epochs of the spec."""
    model = build(spec, Schema(users=train.n_users, items=train.n_items), 0)
    return fit(model, TrainingData(train), valid=valid, training=Training())


def until(
    spec: LearnedSpec, train: Interactions, valid: Holdout, goals: dict[int, float], most: float
) -> tuple[dict[int, float | None], float]:
    """By goal, the seconds of training until it was reached, None where `most` seconds were not
    enough; and the best value seen until then."""
    spent, best = 0.0, 0.0
    reached: dict[int, float | None] = dict.fromkeys(goals)

    def watch(line: dict[str, Any]) -> bool:
        nonlocal spent, best
        spent += line["seconds"]
        best = max(best, line["valid"]["ndcg@10"])
        for epoch, goal in goals.items():
            if reached[epoch] is None and best >= goal:
                reached[epoch] = spent
        return spent > most or all(value is not None for value in reached.values())

    model = build(spec, Schema(users=train.n_users, items=train.n_items), 0)
    fit(model, TrainingData(train), valid=valid, training=Training(), on_epoch=watch)
    return reached, best


if __name__ == "__main__":
    main()
