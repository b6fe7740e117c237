"""One event of every tenth user, held out of a log that is otherwise learned whole."""

import numpy as np
import pytest

from honeyguide.data.interactions import Interactions
from honeyguide.data.shop import simulate
from honeyguide.data.validation import SHARE, sampled_holdout
from logs import log, names, views


def events_of(log: Interactions) -> list:
    return sorted(zip(*(log.frame()[c] for c in ("user_id", "item_id", "kind")), strict=True))


def test_what_is_held_out_is_the_last_event_that_counts_and_is_not_learned():
    whole = Interactions.of(simulate(4_000, users=120, seed=2).table)
    learned, held = sampled_holdout(whole, seed=1)
    assert held is not None
    assert held.history is learned
    able = len(np.flatnonzero(np.diff(whole.counting(held_rule()).offsets) >= 3))
    counted = whole.counting(held_rule())
    chosen = np.flatnonzero(counted.lengths > learned.counting(held_rule()).lengths)
    assert len(counted) - len(learned.counting(held_rule())) == len(chosen) == able // SHARE
    assert 0 < len(held.users) <= len(chosen)
    assert len(held.truth) == len(held.users)
    for user, item in zip(held.truth.user, held.truth.item, strict=True):
        assert counted.item[counted.offsets[user + 1] - 1] == item
    # what follows it goes with it, and nothing else goes
    for user in range(whole.n_users):
        mine, left = whole.of_users(np.array([user])), learned.of_users(np.array([user]))
        speaks = np.flatnonzero(held_rule().mask()[mine.kind])
        kept = speaks[-1] if user in chosen else len(mine)
        assert left.item.tolist() == mine.item[:kept].tolist()
    assert learned.users is whole.users
    assert learned.items is whole.items


def held_rule():
    from honeyguide.data.rule import EVENTS_FOR

    return EVENTS_FOR


def test_the_draw_follows_the_seed():
    whole = Interactions.of(simulate(4_000, users=120, seed=2).table)
    one, same, other = (sampled_holdout(whole, seed)[0] for seed in (1, 1, 2))
    assert events_of(one) == events_of(same)
    assert events_of(one) != events_of(other)


def test_without_an_order_a_random_event_goes():
    rows = views(*(f"{user}{item}" for user in "abcdefghij" for item in "uvwxyz"))
    taken = set()
    for seed in range(12):
        whole = log(rows, ordered=False)
        learned, held = sampled_holdout(whole, seed)
        assert len(learned) == len(whole) - 1
        assert held is not None
        taken |= {item for _, item in names(held.truth)}
    assert len(taken) > 2


@pytest.mark.parametrize("rows", [("ax", "ay", "bx", "by"), ("ax",)])
def test_nobody_has_enough(rows):
    whole = log(views(*rows))
    assert sampled_holdout(whole, 0) == (whole, None)


def test_an_event_that_repeats_what_is_known_is_no_question():
    whole = log(views("ax", "ay", "ax"))
    learned, held = sampled_holdout(whole, 0)
    assert held is None
    assert len(learned) in (2, 3)
