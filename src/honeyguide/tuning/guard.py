"""Who ends a training early: the clock, or curves of earlier trials that were far ahead by now."""

from collections.abc import Sequence
from time import monotonic
from typing import Any, ClassVar

import numpy as np

from honeyguide.tuning.trials import State, Trial


class Guard:
    """Told of each epoch; says True where the training should end there.

    A curve is behind when its best so far is below the median of the earlier trials' at the same
    epoch (Golovin et al. 2017, "Google Vizier", section 3.2.2). Of fewer than ENOUGH trials the
    median says little; then it must be below FAR of the best of them.
    """

    LEAST: ClassVar[int] = 3  # epochs before a curve is judged
    ENOUGH: ClassVar[int] = 4
    FAR: ClassVar[float] = 0.8

    def __init__(self, metric: str, end: float, earlier: Sequence[Trial]) -> None:
        """end: on the monotonic clock. earlier: trials to keep up with; none = no pruning."""
        self.metric, self.end = metric, end
        self.bests = [trial.bests(metric) for trial in earlier if trial.curve]
        self.curve: list[dict[str, Any]] = []
        self.state: State = "done"

    def __call__(self, line: dict[str, Any]) -> bool:
        self.curve.append({key: line[key] for key in ("epoch", "loss", "valid", "seconds")})
        if self._out_of_time(line):
            self.state = "cut"
        elif self._behind():
            self.state = "stopped"
        return self.state != "done"

    def _out_of_time(self, line: dict[str, Any]) -> bool:
        """Whether another epoch like this one would end too late."""
        needed: float = line["seconds"] + line["valid_seconds"]
        return monotonic() + needed > self.end

    def _behind(self) -> bool:
        epoch = len(self.curve) - 1
        then = [bests[epoch] for bests in self.bests if len(bests) > epoch]
        if len(self.curve) < self.LEAST or not then:
            return False
        now = max(line["valid"][self.metric] for line in self.curve)
        asked = self.FAR * max(then) if len(then) < self.ENOUGH else float(np.median(then))
        behind: bool = now < asked
        return behind
