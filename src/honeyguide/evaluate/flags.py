"""What is odd about lists, counted by user. No error, but a mean over many of them says little.

constant  several items are listed and all their scores are equal
tied      the deepest cut falls between equal scores, so item numbers decided who is in
short     fewer items than the deepest cut asks for
"""

from honeyguide.data.vocab import PAD
from honeyguide.rank.rankers import all_equal
from honeyguide.types import NEVER, Ranking

FLAGS = {  # what is said of such a list
    "constant": "all scores of the list are equal",
    "tied": "the cut falls between equal scores",
    "short": "the list is shorter than asked",
}


def flags(ranking: Ranking, depth: int) -> dict[str, int]:
    """How many of these lists are odd. ranking: one item deeper than `depth`, the deepest cut."""
    last, next_one = ranking.scores[:, depth - 1], ranking.scores[:, depth]
    found = (
        all_equal(ranking),
        (last == next_one) & (next_one != NEVER),
        ranking.items[:, depth - 1] == PAD,
    )
    return {name: int(rows.sum()) for name, rows in zip(FLAGS, found, strict=True)}
