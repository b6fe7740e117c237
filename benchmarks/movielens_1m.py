"""The six first models on MovieLens-1M, leave-last-out by order, whole catalogue ranked.

What `honeyguide compare movielens-1m --models popular,item-knn,ease,ials,mf,sasrec` prints, kept.
Epochs are chosen on validation; test is asked once with training and validation as history.
"""

import sys

import honeyguide as hg
from _common import RESULTS, record

MODELS = ["popular", "item-knn", "ease", "ials", "mf", "sasrec"]
METRICS = ("ndcg@10", "hit_rate@10", "recall@20", "mrr@10", "coverage@10")


def main() -> None:
    """All models, or those named on the command line, each into its own file."""
    for name in sys.argv[1:] or MODELS:
        done = RESULTS / "movielens_1m" / f"{name}-0.json"
        if done.exists():
            print(f"{done.name} is there")
            continue
        found = hg.compare("movielens-1m", [name], metrics=METRICS)
        document = found.document()
        document.pop("machine")
        record(f"movielens_1m/{name}-0", document)


if __name__ == "__main__":
    main()
