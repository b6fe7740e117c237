"""Sequence models beside RecBole 1.2.1 on MovieLens-1M: epochs, and time to its first epoch's nDCG.

    python recbole_sequences.py PYTHON_OF_RECBOLE [--whole] [MODEL-HISTORY ...]
    python recbole_sequences.py - MODEL-HISTORY ...

The environment of RecBole is that of recbole_speed.py. Both read the same events in the same order,
leave the last two of each user out and train by the full softmax; RecBole makes a sample of each
prefix, we train all positions of a window at once and cover every target as well. The seconds of
its epoch follow from BATCHES batches. --whole: it trains a whole epoch, which takes up to an hour,
and ours is trained, with a learning rate of QUALITY, until our nDCG@10 of the validation events of
all users is as high. "-": RecBole's numbers are those of its last run, ours are measured anew.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from _common import RESULTS, record
from honeyguide.data.interactions import Interactions
from honeyguide.data.opening import Inputs
from honeyguide.data.split import Split
from honeyguide.experiment.splitting import open_split
from honeyguide.models.gru4rec import GRU4Rec
from honeyguide.models.sasrec import SASRec
from honeyguide.models.sequence import SequenceSpec
from recbole_speed import trained, until

PEER = Path(__file__).parent / "peers" / "recbole_sequences.py"
BATCHES = 15
MEASURED = 3  # epochs of ours, after one to warm up
SAME: dict[str, SequenceSpec] = {
    "SASRec": SASRec(width=64, layers=2, heads=1),
    "GRU4Rec": GRU4Rec(width=64, inner=128, layers=1),
}
QUALITY = 3e-3
ALL = ("SASRec-50", "GRU4Rec-50", "SASRec-200", "GRU4Rec-200")


def main() -> None:
    """All, or those that are named; the others stay."""
    peer, *named = [word for word in sys.argv[1:] if word != "--whole"]
    batches = 0 if "--whole" in sys.argv else BATCHES
    _, parts = open_split("movielens-1m", Inputs())
    path = RESULTS / "recbole_sequences.json"
    told: dict[str, Any] = json.loads(path.read_text())["models"] if path.exists() else {}
    with TemporaryDirectory() as folder:
        write(Path(folder) / "data", parts)
        for label in named or ALL:
            before = told.get(label, {})
            theirs = earlier(before) if peer == "-" else run(label, batches, peer, folder)
            told[label] = before | beside(label, theirs, parts)
            print(label, json.dumps(told[label]), flush=True)
            record("recbole_sequences", {"models": told})


def write(folder: Path, parts: Split) -> None:
    """All events, with their place in the order of their user as time."""
    folder.mkdir()
    assert parts.valid is not None
    logs: list[Interactions] = [parts.train, parts.valid.truth, parts.test.truth]
    user, item = (np.concatenate([getattr(log, name) for log in logs]) for name in ("user", "item"))
    part = np.repeat(np.arange(len(logs)), [len(log) for log in logs])
    order = np.lexsort((np.arange(len(user)), part, user))
    rows = zip(user[order].tolist(), item[order].tolist(), range(len(user)), strict=True)
    lines = "\n".join(f"{who}\t{what}\t{when}" for who, what, when in rows)
    head = "user_id:token\titem_id:token\ttimestamp:float\n"
    (folder / "data.inter").write_text(head + lines + "\n")


def run(label: str, batches: int, peer: str, folder: str) -> dict[str, Any]:
    """RecBole."""
    name, history = label.split("-")
    out = Path(folder) / f"{label}.json"
    command = [peer, str(PEER), folder, name, history, str(batches), str(out)]
    subprocess.run(command, check=True, cwd=folder)  # RecBole leaves logs where it runs
    return {**json.loads(out.read_text()), "batches": batches or "all"}


def earlier(told: dict[str, Any]) -> dict[str, Any]:
    """What RecBole's last run told, from what was written of it."""
    seconds = told["epoch_seconds"]["recbole"]
    found = {
        "epoch_seconds": seconds,
        "targets": told["targets_per_second"]["recbole"] * seconds,
        "batches": told["recbole_batches"],
    }
    goal = told.get("to_quality")
    return found if goal is None else {**found, "ndcg@10": goal["ndcg@10"]}


def beside(label: str, theirs: dict[str, Any], parts: Split) -> dict[str, Any]:
    """One model at one history in both."""
    name, history = label.split("-")
    spec = SAME[name].but(history=int(history), patience=99)
    same = trained(spec.but(epochs=1 + MEASURED), parts.train, None)
    ours = float(np.median([line["seconds"] for line in same.journal[1:]]))
    rate = float(np.median([line["targets_per_second"] for line in same.journal[1:]]))
    peers = theirs["epoch_seconds"]
    found: dict[str, Any] = {
        "settings": spec.model_dump(mode="json", exclude_defaults=True),
        "epoch_seconds": {"recbole": peers, "honeyguide": ours, "ratio": ours / peers},
        "targets_per_second": {"recbole": theirs["targets"] / peers, "honeyguide": rate},
        "recbole_batches": theirs["batches"],
    }
    if "ndcg@10" in theirs:
        assert parts.valid is not None
        goal = {1: theirs["ndcg@10"]}
        asked = spec.but(epochs=100, learning_rate=QUALITY)
        reached, best = until(asked, parts.train, parts.valid, goal, peers)
        spent = reached[1]
        found["to_quality"] = {
            "ndcg@10": goal[1],
            "settings": asked.model_dump(mode="json", exclude_defaults=True),
            "honeyguide_seconds": spent,
            "ratio": None if spent is None else spent / peers,
            "our_best_seen": best,
        }
    return found


if __name__ == "__main__":
    main()
