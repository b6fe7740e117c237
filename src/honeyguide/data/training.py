"""All that a model may learn from."""

from dataclasses import dataclass

from honeyguide.data.features import Features
from honeyguide.data.interactions import Interactions


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """Interactions, and features of items and users where there are any, by the same numbers."""

    interactions: Interactions
    items: Features | None = None
    users: Features | None = None

    def __post_init__(self) -> None:
        for features, vocab in (
            (self.items, self.interactions.items),
            (self.users, self.interactions.users),
        ):
            assert (
                features is None
                or features.vocab is vocab
                or (features.vocab.names.equals(vocab.names))
            ), "features and interactions number differently"
