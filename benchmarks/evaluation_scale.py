"""Evaluating 100,000 users over all of 100,000 items: seconds, and memory above the model.

Random vectors of width 64 and random histories of 50 events; to rank by them is as much work as by
good ones. Seen items are left out, metrics and memory are the defaults. The peak is that of the
whole process above what it held before: model, log and libraries. An argument asks fewer users.
"""

import sys
from dataclasses import replace

import numpy as np
import polars as pl
import torch

from _common import record
from honeyguide.data.interactions import Interactions
from honeyguide.data.kinds import KINDS
from honeyguide.data.split import Holdout
from honeyguide.data.training import TrainingData
from honeyguide.data.vocab import Vocab
from honeyguide.evaluate.evaluator import DEFAULT_METRICS, Evaluation, evaluate
from honeyguide.experiment.machine import peak_memory_mb, reset_peak_memory
from honeyguide.models.mf import MF
from honeyguide.models.spec import Schema
from honeyguide.rank.rankers import Exhaustive

USERS = ITEMS = 100_000
WIDTH = 64
TAKEN, HELD_OUT = 50, 5


def events(users: int, each: int, seed: int) -> Interactions:
    """`each` views by every user, of items drawn alike."""
    drawn = np.random.default_rng(seed).integers(1, ITEMS + 1, users * each)
    return Interactions(
        users=Vocab(pl.Series(range(users)), 0),
        items=Vocab(pl.Series(range(ITEMS)), 1),
        offsets=np.arange(0, users * each + 1, each, dtype=np.int64),
        user=np.repeat(np.arange(users, dtype=np.int32), each),
        item=drawn.astype(np.int32),
        kind=np.full(users * each, KINDS["view"].number, dtype=np.int8),
        order="column",
    )


def main(users: int) -> None:
    """One run after a small one that compiles the kernels."""
    history = events(users, TAKEN, 0)
    asked = Holdout(history, events(users, HELD_OUT, 1), np.arange(users), None, 0, 0, 0)
    torch.manual_seed(0)
    model = MF(width=WIDTH).build(Schema(users=users, items=ITEMS + 1))
    model.settle(TrainingData(history))
    ranker = Exhaustive(model.eval().requires_grad_(False))

    def run(part: Holdout, metrics: tuple[str, ...]) -> Evaluation:
        return evaluate(ranker, part, rule=model.spec.rule, past=None, metrics=metrics)

    told = {}
    for name, metrics in (("default", DEFAULT_METRICS), ("with auc", (*DEFAULT_METRICS, "auc"))):
        run(replace(asked, users=asked.users[:64]), metrics)
        reset_peak_memory()
        before = peak_memory_mb()
        found = run(asked, metrics)
        told[name] = {"seconds": found.seconds, "peak_mb_above": peak_memory_mb() - before}
        assert found.answered_by == {"trained-row": users}
    name = "evaluation_scale" if users == USERS else "evaluation_scale_try"
    record(name, {"users": users, "items": ITEMS, "width": WIDTH, **told})


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else USERS)
