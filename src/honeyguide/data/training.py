"""All that a model may learn from."""

from dataclasses import dataclass

from honeyguide.data.features import Features
from honeyguide.data.interactions import Interactions


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """Interactions, and features of items and users where there are any."""

    interactions: Interactions
    items: Features | None = None
    users: Features | None = None
