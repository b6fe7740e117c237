"""Six models on MovieLens-1M under one budget of 30 minutes, and random search with the same.

    python tuning.py [tpe] [random]

Each search can be interrupted and goes on where it stopped. What was found is kept as runs in
benchmarks/recipes; `honeyguide compare --config FILE` repeats one.
"""

import sys
from pathlib import Path
from typing import Any

import honeyguide as hg
from _common import record
from honeyguide.experiment.tuning import tuned_run
from honeyguide.experiment.writing import write_toml

MODELS = ("popular", "item-knn", "ease", "ials", "mf", "sasrec")
METRICS = ("ndcg@10", "hit_rate@10", "recall@20", "mrr@10", "coverage@10")
BUDGET, SEED = 1_800.0, 0
SEARCHES = {  # pruning belongs to the search; plain random search has none
    "tpe": hg.Search(budget=BUDGET, trials=1_000, seed=SEED),
    "random": hg.Search(budget=BUDGET, trials=1_000, seed=SEED, sampler="random", prune=False),
}
WORK = Path(__file__).parents[1] / "runs"
RECIPES = Path(__file__).parent / "recipes" / "movielens-1m"


def run_search(name: str) -> None:
    """One search and its reading of test."""
    folder = WORK / f"tuning-{name}"
    run = hg.Run(data="movielens-1m", models=MODELS, metrics=METRICS, examples=0)
    found = hg.tune(
        run=run,
        search_by=SEARCHES[name],
        folder=folder,
        resume=folder.exists(),
        on_trial=lambda t: print(
            t.model, t.number, t.state, t.value, f"{t.seconds:.1f}", flush=True
        ),
    )
    told = found.document()
    assert found.tuning is not None
    record(
        f"tuning_{name}",
        {
            "search": SEARCHES[name].model_dump(mode="json"),
            "data": told["data"],
            "verdict": told["verdict"],
            "models": [
                told_of(tuned, result)
                for tuned, result in zip(found.tuning["models"], told["results"], strict=True)
            ],
            "tests": told["tests"],
        },
    )
    RECIPES.mkdir(parents=True, exist_ok=True)
    write_toml(tuned_run(found.run, found), RECIPES / f"{name}.toml")


def told_of(tuned: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a model's trials and of the reading of test."""
    trials = tuned["trials"]
    return {
        **{key: tuned[key] for key in ("model", "default", "best", "number", "settings")},
        "seconds": tuned["seconds"],
        "default_was_cut": trials[0]["state"] == "cut",
        "trials": len(trials),
        "states": {
            state: sum(one["state"] == state for one in trials)
            for state in sorted({one["state"] for one in trials})
        },
        "values": [one["value"] for one in trials],
        "test": result["metrics"],
        "skipped": result["skipped"],
    }


def main(asked: list[str]) -> None:
    """The searches asked for, one after the other."""
    for name in asked or list(SEARCHES):
        run_search(name)


if __name__ == "__main__":
    main(sys.argv[1:])
