"""Friendships in the simulated shop: people befriend those whose taste is near theirs.

Each person opens a number of friendships (heavy-tailed, as in real networks) and gives each to the
one, of a few people met at random, whose taste is nearest by the cosine.
"""

import numpy as np

from honeyguide.data.shop_truth import Floats, Ints

MET = 8  # people met before a friendship is given
TAIL, MOST = 2.5, 200  # shape of the number of friendships that one opens, and its bound
BLOCK = 1 << 18  # friendships drawn at once


def draw_friendships(taste: Floats, mean: float, generator: np.random.Generator) -> Ints:
    """Pairs (F, 2) of people, the lower number first, each pair once, in ascending order.

    taste (U, W). mean: how many friends a person has on average, before double ones are dropped.
    """
    people = len(taste)
    near = taste / np.maximum(np.linalg.norm(taste, axis=1, keepdims=True), 1e-9)
    wish = np.minimum(1 + generator.pareto(TAIL, people), MOST)
    opened = generator.poisson(wish * (mean / 2 / wish.mean()))
    one = np.repeat(np.arange(people), opened)
    keys = []
    for start in range(0, len(one), BLOCK):
        mine = one[start : start + BLOCK]
        met = generator.integers(0, people, (len(mine), MET))
        likeness = np.einsum("nw,nmw->nm", near[mine], near[met])
        friend = met[np.arange(len(mine)), likeness.argmax(axis=1)]
        low, high = np.minimum(mine, friend), np.maximum(mine, friend)
        keys.append((low * people + high)[low != high])
    pairs = np.unique(np.concatenate(keys)) if keys else np.zeros(0, np.int64)
    return np.stack([pairs // people, pairs % people], axis=1).astype(np.intp)
