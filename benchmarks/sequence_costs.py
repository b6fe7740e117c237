"""What sequence models cost: one more event of a history, the memory of a large step, an epoch.

    python sequence_costs.py
    python sequence_costs.py epoch

Update: the events of USERS MovieLens-1M users, one after the other, each its user's state advanced
by one (default settings: history 200, of bsarec 50), re-readings of half a window
included. Goal: p99 at most 2 ms. Memory: two steps at history 200, batch 512 and 100,000 items, the
full softmax, each model in a process of its own. Goal: under 4,000 MB. Weights do not matter for
either and are untrained. Epoch: of SASRec on MovieLens-1M with all cores, the defaults; wants a
machine that does nothing else, so it is measured on its own. Goal: 12 s with AMX.
"""

import json
import subprocess
import sys
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl
import torch

from _common import record
from honeyguide.data.interactions import Interactions
from honeyguide.data.opening import Inputs
from honeyguide.data.table import Table
from honeyguide.data.training import TrainingData
from honeyguide.experiment.machine import peak_memory_mb, reset_peak_memory
from honeyguide.experiment.splitting import open_log, open_split
from honeyguide.models.bsarec import BSARec
from honeyguide.models.fmlp_rec import FMLPRec
from honeyguide.models.gru4rec import GRU4Rec
from honeyguide.models.hstu import HSTU
from honeyguide.models.lrurec import LRURec
from honeyguide.models.nextitnet import NextItNet
from honeyguide.models.sasrec import SASRec
from honeyguide.models.sequence import Event, SequenceModel, SequenceSpec
from honeyguide.models.spec import Schema
from honeyguide.train.trainer import build, fit

SPECS: dict[str, SequenceSpec] = {
    spec.name: spec
    for spec in (SASRec(), BSARec(), LRURec(), NextItNet(), GRU4Rec(), HSTU(), FMLPRec())
}
USERS, WARM = 150, 300
ITEMS, BATCH, HISTORY, STEPS = 100_000, 512, 200, 2
EPOCHS = 5  # after one to warm up


def main() -> None:
    """The first two, for all models; with a name: the memory of one, for its own process."""
    if sys.argv[1:] == ["epoch"]:
        record("sequence_epoch", epoch(SPECS["sasrec"]))
        return
    if len(sys.argv) > 1:
        print(json.dumps(memory(SPECS[sys.argv[1]])))
        return
    events = Interactions.of(open_log("movielens-1m", Inputs()).table)
    told = {}
    for name, spec in SPECS.items():
        own = subprocess.run(
            [sys.executable, __file__, name], check=True, capture_output=True, text=True
        )
        told[name] = {"update": update(spec, events), **json.loads(own.stdout)}
        print(name, told[name], flush=True)
    record("sequence_costs", {"users": USERS, "items": ITEMS, "batch": BATCH, "models": told})


def update(spec: SequenceSpec, events: Interactions) -> dict[str, float]:
    """Milliseconds of an event."""
    model: Any = build(spec, Schema(users=events.n_users, items=events.n_items), 0).eval()
    assert isinstance(model, SequenceModel)
    times = []
    for user in range(USERS):
        state = model.start([])
        for item in events.item[events.offsets[user] : events.offsets[user + 1]].tolist():
            started = perf_counter()
            state = model.advance(state, Event(item))
            times.append(1e3 * (perf_counter() - started))
    p50, p99 = np.percentile(times[WARM:], [50, 99])
    return {"events": len(times), "p50_ms": p50, "p99_ms": p99, "max_ms": max(times[WARM:])}


def epoch(spec: SequenceSpec) -> dict[str, Any]:
    """Seconds, without validation."""
    _, parts = open_split("movielens-1m", Inputs())
    train = parts.train
    model = build(spec.but(epochs=1 + EPOCHS), Schema(users=train.n_users, items=train.n_items), 0)
    fitted = fit(model, TrainingData(train))
    seconds = [line["seconds"] for line in fitted.journal[1:]]
    print(seconds, flush=True)
    return {
        "model": spec.name,
        "history": spec.history,
        "seconds": float(np.median(seconds)),
        "all_seconds": seconds,
        "targets_per_second": float(
            np.median([line["targets_per_second"] for line in fitted.journal[1:]])
        ),
    }


def memory(spec: SequenceSpec) -> dict[str, float]:
    """Of two steps."""
    draw = np.random.default_rng(0)
    users = BATCH * STEPS
    table = pl.DataFrame(
        {
            "user_id": np.repeat(np.arange(users), HISTORY + 1),
            "item_id": draw.permutation(np.arange(users * (HISTORY + 1)) % ITEMS),
            "order": np.tile(np.arange(HISTORY + 1), users),
        }
    )
    log = Interactions.of(Table(table.with_columns(kind=pl.lit("view"))))
    del table
    reset_peak_memory()
    model = build(
        spec.but(history=HISTORY, batch=BATCH, epochs=1), Schema(users=users, items=log.n_items), 0
    )
    fitted = fit(model, TrainingData(log))
    return {
        "items": log.n_items - 1,
        "step_seconds": fitted.seconds / STEPS,
        "peak_memory_mb": peak_memory_mb(),
        "threads": torch.get_num_threads(),
    }


if __name__ == "__main__":
    main()
