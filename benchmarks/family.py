"""Every model through `compare`, on MovieLens-1M and on Gowalla, by defaults, one seed.

    python family.py movielens-1m
    python family.py gowalla

Whatever has epochs stops after a few (EPOCHS): this tells that all models run, with what seconds
and memory, beside each other on one split, and not what they reach; that is told by final.py, with
settings found on validation. Nothing is chosen by what stands here. LEFT_OUT: perceptrons and
convolutions over each pair of 29,858 users and 40,981 items, which would take longer than all
others together.
"""

import argparse
from typing import Any

import honeyguide as hg
from _common import record
from honeyguide.models.table import MODELS

EPOCHS = {"movielens-1m": 3, "gowalla": 1}
LEFT_OUT = {"movielens-1m": [], "gowalla": ["neumf", "convncf"]}
METRICS = {
    "movielens-1m": ("ndcg@10", "hit_rate@10", "coverage@10"),
    "gowalla": ("ndcg@20", "recall@20", "coverage@20"),
}


def main() -> None:
    """One data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", choices=EPOCHS)
    data = parser.parse_args().data
    models = [name for name in MODELS if name not in LEFT_OUT[data]]
    capped = [name for name in models if "epochs" in MODELS[name].model_fields]
    found = hg.compare(
        data,
        models,
        metrics=METRICS[data],
        settings={name: {"epochs": EPOCHS[data]} for name in capped},
        on_result=told,
    )
    document = found.document()
    document.pop("machine")
    record(
        f"family_{data.replace('-', '_')}",
        {"epochs": EPOCHS[data], "left_out": LEFT_OUT[data], **document},
    )


def told(result: Any) -> None:
    """A line for each model, so that a long run can be watched."""
    seconds = None if result.fitted is None else round(result.fitted.seconds, 1)
    print(result.model, seconds, result.skipped or "", flush=True)


if __name__ == "__main__":
    main()
