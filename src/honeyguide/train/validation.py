"""Who is asked while training."""

from dataclasses import replace

import numpy as np

from honeyguide.data.interactions import Interactions
from honeyguide.data.query import fingerprints
from honeyguide.data.split import Holdout
from honeyguide.errors import InputError

VALIDATION_USERS = 10_000  # drawn once per run; the standard error of nDCG is then below .004


def sampled(valid: Holdout, seed: int) -> Holdout:
    """The validation that training looks at: all users, or so many of them, drawn once."""
    if not len(valid.users):
        raise InputError(
            "No user of the validation part has both a history and something to find.",
            "Give more data, or choose another --split.",
        )
    if len(valid.users) <= VALIDATION_USERS:
        return valid
    drawn = np.random.default_rng(seed).choice(valid.users, VALIDATION_USERS, replace=False)
    return replace(valid, users=np.sort(drawn))


def same_histories(valid: Holdout, trained: Interactions) -> bool:
    """Whether everyone is asked with the very events that are learned from."""
    if valid.history.n_users != trained.n_users:
        return False
    asked, known = (fingerprints(events)[valid.users] for events in (valid.history, trained))
    return bool((asked == known).all())
