"""What recipes are searched and read for: a data set, its split, and what counts."""

from collections.abc import Callable
from dataclasses import dataclass

from honeyguide.data.opening import Inputs
from honeyguide.data.sets import DataSet
from honeyguide.data.split import Split
from honeyguide.experiment.splitting import open_split

ERRORS = ("rmse", "mae")  # of predicted ratings; less is better
LISTS, NEXT = ("ndcg@10", "recall@10"), ("ndcg@10", "hit_rate@10")


def as_published(seed: int) -> Inputs:
    """The set's own protocol, where a seed is that of training alone."""
    return Inputs()


def eight_to_one_to_one(seed: int) -> Inputs:
    """A random split for each seed: the random parts of the published tables are not known."""
    return Inputs(split="random", min_rating=3.0, split_seed=seed, k_core=0)


def last_left_out(seed: int) -> Inputs:
    """The last event of each user."""
    return Inputs(split="leave-last-out", k_core=5)


@dataclass(frozen=True, slots=True)
class Asked:
    """metrics: the first one decides. ordered: whether what comes next is asked for."""

    data: str
    metrics: tuple[str, ...]
    inputs: Callable[[int], Inputs] = as_published
    ordered: bool = False

    def open(self, seed: int = 0) -> tuple[DataSet, Split]:
        """The data and its split."""
        return open_split(self.data, self.inputs(seed))


ASKED = {
    "gowalla": Asked("gowalla", ("ndcg@20", "recall@20")),
    "movielens-1m-811": Asked("movielens-1m", LISTS, eight_to_one_to_one),
    # for models of time: the times of the MovieLens-1M at hand are estimates
    "movielens-100k-811": Asked("movielens-100k", LISTS, eight_to_one_to_one),
    "movielens-100k-u1": Asked("movielens-100k-u1", ERRORS),
    "movielens-1m": Asked("movielens-1m", NEXT, ordered=True),
    "amazon-beauty": Asked("amazon-beauty", NEXT, ordered=True),
    # on which no setting was chosen
    "movielens-100k": Asked("movielens-100k", NEXT, last_left_out, ordered=True),
    "movielens-latest-small": Asked("movielens-latest-small", NEXT, last_left_out, ordered=True),
}
