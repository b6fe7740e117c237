"""The child of test_evaluate: evaluates in the memory it is told and prints how its peak grew.

Arguments: the kind of model, users, items, bytes of memory. Prints the growth in bytes.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch

from honeyguide.data.interactions import Interactions
from honeyguide.data.split import Holdout
from honeyguide.data.vocab import Vocab
from honeyguide.evaluate.evaluator import evaluate
from honeyguide.models.mf import MF
from honeyguide.models.sasrec import SASRec
from honeyguide.models.spec import Dense, Schema, Spec, never_pad
from honeyguide.rank.rankers import Exhaustive


class Drawn(Spec):
    """Scores by chance, over a softmax: with it, two tables of scores stand side by side."""

    name = "drawn"

    def build(self, schema):
        return DrawnModel(self, schema)


class DrawnModel(Dense):
    def score(self, query):
        return never_pad(torch.rand(len(query), self.schema.items).softmax(1))


SPECS = {
    "drawn": Drawn(),
    "mf": MF(width=16),
    "sasrec": SASRec(width=32, layers=1, history=100),
}


def events(users: int, items: int, each: int, seed: int) -> Interactions:
    """`each` events by every user."""
    draw = np.random.default_rng(seed)
    item = draw.integers(1, items + 1, users * each).astype(np.int32)
    return Interactions(
        users=Vocab(pl.Series(range(users)), 0),
        items=Vocab(pl.Series(range(items)), 1),
        offsets=np.arange(0, users * each + 1, each, dtype=np.int64),
        user=np.repeat(np.arange(users, dtype=np.int32), each),
        item=item,
        kind=np.full(users * each, 8, dtype=np.int8),
        order="column",
    )


def holdout(users: int, items: int, each: int) -> Holdout:
    history, truth = events(users, items, each, 0), events(users, items, 3, 1)
    return Holdout(history, truth, np.arange(users), None, 0, 0, 0)


def resident(which: str) -> int:
    """Bytes of memory: VmRSS, now; VmHWM, the most since it was last forgotten.

    (ru_maxrss is no good: it begins with what the parent had.)
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(which))


def main(kind: str, users: int, items: int, memory: int) -> None:
    torch.set_num_threads(1)
    spec = SPECS[kind]
    model = spec.build(Schema(users=users, items=items + 1)).eval()
    asked = holdout(users, items, 100 if kind == "sasrec" else 30)

    def run(part: Holdout) -> None:
        evaluate(
            Exhaustive(model), part, rule=spec.rule, past=spec.past, memory=memory, metrics=METRICS
        )

    run(replace(asked, users=asked.users[:64]))  # compiles kernels, loads pages of libraries
    Path("/proc/self/clear_refs").write_text("5")  # forgets the most so far
    before = resident("VmRSS")
    run(asked)
    print(json.dumps({"growth": resident("VmHWM") - before}))


METRICS = ("ndcg@10", "recall@20", "coverage@10")

if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
