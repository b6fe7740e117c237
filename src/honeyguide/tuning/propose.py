"""What to try next: the default first, then what Optuna's samplers propose from earlier trials.

Each proposal depends on the seed, the number of the trial and the trials before it alone, so a
search that was interrupted proposes what an uninterrupted one would have.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState, create_trial

from honeyguide.config import Choice, Space
from honeyguide.data.sample import step_seed
from honeyguide.tuning.trials import Trial

Sampler = Literal["tpe", "random"]

STARTUP = 8  # random trials before the sampler believes what it has seen
_STATES = {
    "done": TrialState.COMPLETE,
    "stopped": TrialState.COMPLETE,  # its best so far is worth more than "unknown"
    "cut": TrialState.COMPLETE,
    "failed": TrialState.FAIL,
}


def propose(
    spaces: Mapping[str, Space],
    whole: frozenset[str],
    earlier: Sequence[Trial],
    sampler: Sampler,
    seed: int,
) -> dict[str, Any]:
    """Settings for the next trial. whole: the settings that are whole numbers."""
    number = len(earlier)
    asked = {name: _distribution(space, name in whole) for name, space in spaces.items()}
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(
            direction="maximize", sampler=_sampler(sampler, step_seed(seed, number, 0) % 2**32)
        )
        for trial in earlier:
            study.add_trial(
                create_trial(
                    params=trial.settings,
                    distributions=asked,
                    state=_STATES[trial.state],
                    value=trial.value if trial.state != "failed" else None,
                )
            )
        return dict(study.ask(asked).params)
    finally:
        optuna.logging.set_verbosity(before)


def _sampler(name: Sampler, seed: int) -> BaseSampler:
    if name == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, n_startup_trials=STARTUP, multivariate=True)


def _distribution(space: Space, whole: bool) -> BaseDistribution:
    if isinstance(space, Choice):
        return CategoricalDistribution(space.values)
    if whole:
        return IntDistribution(int(space.low), int(space.high), log=space.log)
    return FloatDistribution(space.low, space.high, log=space.log)
