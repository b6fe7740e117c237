"""The six first models on MovieLens-1M, leave-last-out by order, whole catalogue ranked.

What `honeyguide compare movielens-1m --models popular,item-knn,ease,ials,mf,sasrec` prints, kept.
Epochs are chosen on validation; test is asked once with training and validation as history.
"""

import honeyguide as hg
from _common import record

MODELS = ["popular", "item-knn", "ease", "ials", "mf", "sasrec"]
METRICS = ("ndcg@10", "hit_rate@10", "recall@20", "mrr@10", "coverage@10")


def main() -> None:
    """All models, one seed, defaults."""
    found = hg.compare("movielens-1m", MODELS, metrics=METRICS)
    document = found.document()
    document.pop("machine")
    record("movielens_1m", document)


if __name__ == "__main__":
    main()
