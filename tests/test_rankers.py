"""Rankers: what may be in a list, what may not, and who answers when there is nothing to say."""

import numpy as np
import pytest
import torch

from honeyguide.data.query import Query
from honeyguide.models.spec import Dense, Schema, Spec, never_pad
from honeyguide.rank.rankers import Exhaustive, Fallback
from honeyguide.types import NEVER, Ranker

ITEMS = 9


class Given(Spec):
    name = "given"

    def build(self, schema):
        return GivenModel(self, schema, torch.zeros(1, schema.items))


class GivenModel(Dense):
    """Says what it was told to; row b answers query b."""

    def __init__(self, spec, schema, table):
        super().__init__(spec, schema)
        self.table, self.asked = table, 0

    def score(self, query):
        self.asked += 1
        return never_pad(self.table[: len(query)].clone())


def given(table) -> GivenModel:
    spec = Given()
    table = torch.as_tensor(table, dtype=torch.float32)
    return GivenModel(spec, Schema(users=0, items=table.shape[1]), table)


def asked(lengths: list[int]) -> Query:
    length = torch.tensor(lengths)
    item = (torch.arange(max(1, *lengths)) < length[:, None]).long()
    unknown = torch.full_like(length, -1)
    return Query(item, item * 8, length, unknown, torch.zeros_like(length))


@pytest.fixture
def table() -> torch.Tensor:
    """Four rows with ties in them."""
    draw = np.random.default_rng(0)
    return torch.from_numpy(draw.integers(0, 4, (4, ITEMS)).astype(np.float32))


def whole_list(table: torch.Tensor, row: int) -> list[int]:
    return sorted(range(1, ITEMS), key=lambda i: (-float(table[row, i]), i))


def test_they_are_rankers():
    model = Exhaustive(given(torch.zeros(1, ITEMS)))
    assert isinstance(model, Ranker)
    assert isinstance(Fallback(model, model, ITEMS), Ranker)


def test_the_whole_list(table):
    ranked = Exhaustive(given(table)).rank(asked([1] * 4), ITEMS + 2)
    for row in range(4):
        wanted = whole_list(table, row)
        assert ranked.items[row].tolist() == [*wanted, 0, 0, 0]
        assert ranked.scores[row, :8].tolist() == [float(table[row, i]) for i in wanted]
        assert ranked.scores[row, 8:].tolist() == [NEVER] * 3
    assert ranked.fallback is None


SHARED = torch.tensor([7, 2, 0, 5, 2, 1])
OWN = torch.tensor([[3, 8, 1], [8, 0, 0], [0, 0, 0], [4, 4, 4]])
ALLOW = torch.tensor([True, False, True, True, False, True, True, False, True])
EXCLUDE = torch.tensor([[2, 5, 0], [8, 8, 8], [0, 0, 0], [4, 3, 1]])


@pytest.mark.parametrize("candidates", [None, SHARED, OWN])
@pytest.mark.parametrize("allow", [None, ALLOW])
@pytest.mark.parametrize("exclude", [None, EXCLUDE])
def test_candidates_allow_and_exclude_restrict_the_whole_list(table, candidates, allow, exclude):
    model = given(table)
    ranked = Exhaustive(model).rank(
        asked([1] * 4), 4, candidates=candidates, allow=allow, exclude=exclude
    )
    for row in range(4):
        kept = whole_list(table, row)
        if candidates is not None:
            named = candidates if candidates.ndim == 1 else candidates[row]
            kept = [i for i in kept if i in named.tolist()]
        if allow is not None:
            kept = [i for i in kept if allow[i]]
        if exclude is not None:
            kept = [i for i in kept if i not in exclude[row].tolist()]
        kept = kept[:4]
        short = 4 - len(kept)
        assert ranked.items[row].tolist() == kept + [0] * short
        assert ranked.scores[row].tolist() == [float(table[row, i]) for i in kept] + [NEVER] * short
    assert torch.equal(model.table, table), "the model's own scores were written into"


def test_no_candidates_give_an_empty_list(table):
    none = torch.zeros(0, dtype=torch.int64)
    ranked = Exhaustive(given(table)).rank(asked([1] * 4), 3, candidates=none)
    assert ranked.items.tolist() == [[0] * 3] * 4
    assert ranked.scores.tolist() == [[NEVER] * 3] * 4


def test_excluding_by_pad_only_changes_nothing(table):
    plain = Exhaustive(given(table)).rank(asked([1] * 4), 4)
    nothing = torch.zeros((4, 2), dtype=torch.int64)
    assert torch.equal(
        Exhaustive(given(table)).rank(asked([1] * 4), 4, exclude=nothing).items, plain.items
    )


# --- fallback

FLAT = [0.0] + [2.0] * 8
SAID = [0.0, 1, 2, 3, 4, 5, 6, 7, 8]
POPULAR = [0.0, 8, 7, 6, 5, 4, 3, 2, 1]


def with_fallback(*rows: list[float]) -> tuple[Fallback, GivenModel]:
    first, second = given(list(rows)), given([POPULAR] * len(rows))
    return Fallback(Exhaustive(first), Exhaustive(second), ITEMS), first


@pytest.mark.parametrize("k", [1, 2, 5])
def test_an_empty_history_and_equal_scores_fall_back_and_say_so(k):
    ranker, _ = with_fallback(SAID, SAID, FLAT)
    ranked = ranker.rank(asked([1, 0, 1]), k)
    assert ranked.fallback is not None
    assert ranked.fallback.tolist() == [False, True, True]
    assert ranked.items.shape == ranked.scores.shape == (3, k)
    assert ranked.items[0].tolist() == [8, 7, 6, 5, 4][:k]
    assert ranked.scores[0].tolist() == [8.0, 7.0, 6.0, 5.0, 4.0][:k]
    assert ranked.items[1].tolist() == ranked.items[2].tolist() == [1, 2, 3, 4, 5][:k]
    assert ranked.scores[1].tolist() == [8.0, 7.0, 6.0, 5.0, 4.0][:k]


@pytest.mark.parametrize("k", [1, 2, 5])
def test_an_answer_that_stands_has_no_flags(k):
    ranker, _ = with_fallback(SAID, SAID)
    ranked = ranker.rank(asked([1, 3]), k)
    assert ranked.fallback is None
    assert ranked.items.tolist() == [[8, 7, 6, 5, 4][:k]] * 2


@pytest.mark.parametrize("k", [1, 3])
def test_equal_scores_at_the_top_only_are_an_answer(k):
    half = [0.0, 1, 1, 1, 1, 5, 5, 5, 5]
    ranker, _ = with_fallback(half)
    ranked = ranker.rank(asked([1]), k)
    assert ranked.fallback is None
    assert ranked.items.tolist() == [[5, 6, 7][:k]]


def test_the_whole_list_is_only_asked_for_where_the_top_is_flat():
    ranker, first = with_fallback(SAID)
    ranker.rank(asked([1]), 3)
    assert first.asked == 1


def test_no_answer_at_all_falls_back():
    ranker, _ = with_fallback([0.0] + [NEVER] * 8, SAID)
    ranked = ranker.rank(asked([1, 1]), 2)
    assert ranked.fallback is not None
    assert ranked.fallback.tolist() == [True, False]
    assert ranked.items.tolist() == [[1, 2], [8, 7]]


def test_the_fallback_is_asked_the_same_question():
    ranker, _ = with_fallback(FLAT, SAID)
    ranked = ranker.rank(
        asked([1, 1]), 3, candidates=torch.tensor([2, 3, 4, 5]), exclude=torch.tensor([[2], [5]])
    )
    assert ranked.items.tolist() == [[3, 4, 5], [4, 3, 2]]
    assert ranked.fallback is not None
    assert ranked.fallback.tolist() == [True, False]


@pytest.mark.parametrize("length", [0, 1])
def test_where_nothing_may_be_listed_nothing_fell_back(length):
    ranker, _ = with_fallback(SAID, SAID)
    none = torch.zeros(ITEMS, dtype=torch.bool)
    ranked = ranker.rank(asked([length, 1]), 3, allow=none)
    assert ranked.fallback is None
    assert not ranked.items.any()
    both = ranker.rank(asked([0, 0]), 3, exclude=torch.tensor([list(range(1, 9)), [1] * 8]))
    assert both.fallback is not None
    assert both.fallback.tolist() == [False, True]


def test_one_candidate_is_an_answer():
    ranker, _ = with_fallback(FLAT)
    ranked = ranker.rank(asked([1]), 3, candidates=torch.tensor([4]))
    assert ranked.items.tolist() == [[4, 0, 0]]
    assert ranked.fallback is None
