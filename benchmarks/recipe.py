"""One recipe for sets of which nothing is known: two trials of FMLP-Rec, of which validation picks.

    python recipe.py movielens-1m amazon-beauty

What `honeyguide tune DATA --models fmlp-rec --trials 2 --budget 4h` does, kept: the default, then
what did well on sparse data with short histories. A search that was interrupted goes on with its
second trial.
"""

import argparse
from typing import Any

import honeyguide as hg
from _asked import ASKED
from _common import record
from tuning import WORK, told_of

SEARCH = hg.Search(trials=2, budget=4 * 3600.0)
IN_ORDER = [name for name, one in ASKED.items() if one.ordered]


def main() -> None:
    """The sets that are named, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="+", choices=IN_ORDER)
    for name in parser.parse_args().data:
        asked, folder = ASKED[name], WORK / f"recipe-{name}"
        run = hg.Run(
            data=asked.data,
            inputs=asked.inputs(0),
            models=("fmlp-rec",),
            metrics=asked.metrics,
            examples=0,
        )
        found = hg.tune(
            run=run, search_by=SEARCH, folder=folder, resume=folder.exists(), on_trial=told
        )
        assert found.tuning is not None
        document = found.document()
        (result,), (tuned,) = document["results"], found.tuning["models"]
        chosen = {"data": document["data"], **told_of(tuned, result)}
        record(f"recipe_{name.replace('-', '_')}", chosen)
        print(name, chosen["settings"], chosen["test"], flush=True)


def told(trial: Any) -> None:
    """A line for each, so that a long run can be watched."""
    print(trial.number, trial.value, f"{trial.seconds:.0f}", flush=True)


if __name__ == "__main__":
    main()
