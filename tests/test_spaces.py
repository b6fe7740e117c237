"""Where tuning looks: the default lies in it, every point is valid, the past alone decides."""

from dataclasses import replace

import numpy as np
import pytest

from honeyguide.config import Choice, Range
from honeyguide.data.interactions import Interactions
from honeyguide.data.shop import simulate
from honeyguide.models.mf import MF
from honeyguide.models.popular import Popular
from honeyguide.models.sasrec import SASRec
from honeyguide.models.table import MODELS
from honeyguide.tuning import Trial
from honeyguide.tuning.propose import propose

LOG = Interactions.of(simulate(4_000, users=100, items=70, seed=1).table)


@pytest.mark.parametrize("name", MODELS)
def test_the_default_lies_inside_its_space_and_every_point_is_valid(name):
    spec = MODELS[name]()
    spaces, standing = spec.searched(LOG), spec.standing()
    for field, space in spaces.items():
        assert standing[field] in space
    whole = frozenset(n for n in spaces if type(spec).model_fields[n].annotation is int)
    for number in range(30):
        drawn = propose(spaces, whole, [], "random", number)
        assert set(drawn) == set(spaces)
        spec.but(**drawn)
    for row in spec.proven:
        assert all(value in spaces[field] for field, value in row.items())
        assert spec.but(**row) != spec


def test_a_range_and_a_choice_know_what_lies_in_them():
    assert 1 in Range(1, 2)
    assert 2 in Range(1, 2)
    assert 2.1 not in Range(1, 2)
    assert None in Choice((None, 3))
    assert 4 not in Choice((None, 3))


def test_a_space_follows_what_is_fixed_and_what_the_log_holds():
    assert SASRec(heads=4).searched(LOG)["width"].values == (32, 64, 128)
    assert SASRec(width=6, heads=1).searched(LOG)["heads"].values == (1, 2)
    assert "temperature" not in MF(loss="bpr").searched(LOG)
    assert MF(loss="bpr").searched(LOG)["l2"].low <= MF(loss="bpr").ridge
    assert Popular().searched(replace(LOG, time=None)) == {}
    assert Popular.spaces()["half_life"].values[0] is None
    assert "similarity" in SASRec().searched(LOG)
    assert not {"similarity", "temperature"} <= set(SASRec(similarity="cosine").searched(LOG))


def test_proposals_depend_on_seed_number_and_earlier_trials_alone():
    spaces = {"l2": Range(1, 1_000, log=True)}
    earlier = [Trial("ease", n, {"l2": 2.0**n}, "done", 0.1 * n, 1.0) for n in range(10)]
    one = propose(spaces, frozenset(), earlier, "tpe", 3)
    assert one == propose(spaces, frozenset(), earlier, "tpe", 3)
    assert one != propose(spaces, frozenset(), earlier, "tpe", 4)
    assert one != propose(spaces, frozenset(), earlier[:9], "tpe", 3)
    # the values rise with l2, and the sampler has seen that
    drawn = [propose(spaces, frozenset(), earlier, "tpe", seed)["l2"] for seed in range(20)]
    random = [propose(spaces, frozenset(), earlier, "random", seed)["l2"] for seed in range(20)]
    assert np.median(drawn) > 2 * np.median(random)
