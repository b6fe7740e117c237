"""Which items of a history are most like an item: evidence beside the effects, for any model.

Special: this is likeness, not cause. It is always there, also where no effect can be measured.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch.nn.functional import normalize

from honeyguide.data.interactions import Interactions
from honeyguide.data.rule import Rule
from honeyguide.evaluate.overlap import Sets
from honeyguide.models.spec import Model, Vectors


def likeness(
    model: Model,
    known: Callable[[], Sets],
    targets: Int64[np.ndarray, " T"],
    items: Int64[np.ndarray, " L"],
) -> Float32[np.ndarray, "T L"]:
    """The cosine of item vectors, or, for a model that has none, of the users who took them.

    known: gives `takers` of the log; not called for a model with vectors.
    """
    if isinstance(model, Vectors):
        with torch.inference_mode():
            vectors = model.kept_vectors()
            one, other = (normalize(vectors[torch.from_numpy(n)]) for n in (targets, items))
            return (one @ other.T).numpy()
    pairs = np.repeat(targets, len(items)), np.tile(items, len(targets))
    return known().cosines(*pairs).reshape(len(targets), len(items)).astype(np.float32)


def takers(log: Interactions, rule: Rule) -> Sets:
    """By item of a log: who took it. 8 bytes for each user and item that count; worth keeping."""
    return Sets.of(log.pairs(rule).T.tocsr())
