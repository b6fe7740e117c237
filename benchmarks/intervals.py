"""Do intervals cover what they promise, and do equal models stay without a winner?

1,000 simulations of each case: nDCG@10 of one held-out item per user (mostly 0). Equal models share
half of their users' values, as two trained models would.
"""

from typing import Any

import numpy as np

from _common import record
from honeyguide.evaluate.statistics import ONE_TRAINING, every_pair, summaries, trainings

RUNS = 1_000
COVERAGE = [(n, hits) for n in (100, 300, 1_000, 6_000) for hits in (0.03, 0.1, 0.3)]
EQUAL = [(100, 2, 1), (300, 2, 1), (1_000, 2, 1), (100, 6, 1), (300, 2, 3)]  # users, models, seeds
SEED_LUCK = 0.02  # standard deviation over seeds of the share of hits
TRUE_GAIN = float(np.mean(1 / np.log2(np.arange(1, 11) + 1)))


def ndcg(draw: np.random.Generator, users: int, hits: float) -> np.ndarray:
    """A value per user: 0, or 1 / log2(rank + 1) at a rank from 1 to 10."""
    gain = 1 / np.log2(draw.integers(1, 11, users) + 1)
    return np.where(draw.random(users) < hits, gain, 0.0)


def coverage(users: int, hits: float) -> float:
    """Share of 95 % intervals that hold the true mean."""
    draw = np.random.default_rng(users)
    told = summaries({str(run): ndcg(draw, users, hits) for run in range(RUNS)})
    true = hits * TRUE_GAIN
    held = [t.low <= true <= t.high for t in told.values() if t.low is not None and t.high]
    return sum(held) / RUNS


def winners(users: int, models: int, seeds: int) -> float:
    """Share of runs in which one of equal models is clearly better than all others."""
    draw = np.random.default_rng((users, models, seeds))
    won = 0
    for _ in range(RUNS):
        base = ndcg(draw, users, 0.2)
        means, luck = {}, {}
        for model in map(str, range(models)):
            trained = []
            for _ in range(seeds):
                hits = 0.2 + (draw.normal(0, SEED_LUCK) if seeds > 1 else 0.0)
                trained.append(np.where(draw.random(users) < 0.5, base, ndcg(draw, users, hits)))
            means[model] = np.mean(trained, axis=0)
            luck[model] = trainings(np.stack(trained)) if seeds > 1 else ONE_TRAINING
        pairs = every_pair(means, luck, "ndcg@10")
        won += all(p.clear for p in pairs if p.a == pairs[0].a)
    return won / RUNS


def main() -> None:
    """All cases."""
    covered: list[dict[str, Any]] = [
        {"users": n, "hits": hits, "covered": coverage(n, hits)} for n, hits in COVERAGE
    ]
    equal: list[dict[str, Any]] = [
        {"users": n, "models": m, "seeds": s, "winner_named": winners(n, m, s)} for n, m, s in EQUAL
    ]
    record("intervals", {"runs": RUNS, "coverage": covered, "equal_models": equal})


if __name__ == "__main__":
    main()
