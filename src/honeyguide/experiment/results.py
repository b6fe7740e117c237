"""What a comparison says: differences with their tests, the model to choose, a verdict in words."""

from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from honeyguide.evaluate.evaluator import Evaluation
from honeyguide.evaluate.statistics import Difference, every_pair, trainings

if TYPE_CHECKING:
    from honeyguide.experiment.compare import Comparison


def differences(found: Mapping[tuple[str, int], Evaluation], name: str) -> list[Difference]:
    """All pairs of models on the users that all of them were asked for, seeds averaged; those of
    the best model come first."""
    told = {run: each for run, each in found.items() if name in each.per_user}
    if not told:
        return []
    users = reduce(np.intersect1d, (each.users for each in told.values()))
    by_model: dict[str, list[np.ndarray]] = {}
    for (model, _), each in told.items():
        values = each.per_user[name][np.isin(each.users, users)]
        by_model.setdefault(model, []).append(values)
    means = {model: np.mean(values, axis=0) for model, values in by_model.items()}
    luck = {model: trainings(np.stack(values)) for model, values in by_model.items()}
    return every_pair(means, luck, name)


def of_the_best(pairs: list[Difference]) -> list[Difference]:
    """The best model against each other one."""
    return [pair for pair in pairs if pair.a == pairs[0].a]


def chosen(comparison: "Comparison") -> str | None:
    """The best model, or the quickest to train of those that cannot be told apart from it."""
    told = [r for r in comparison.results if r.evaluation]
    if not comparison.differences:
        return told[0].model if told else None
    tied = [d.b for d in of_the_best(comparison.differences) if not d.clear]
    seconds = _seconds(comparison)
    return min([comparison.differences[0].a, *tied], key=lambda model: seconds[model])


def _seconds(comparison: "Comparison") -> dict[str, float]:
    """By model: mean seconds of fitting, over seeds."""
    fitted = [(r.model, r.fitted.seconds) for r in comparison.results if r.fitted]
    return {model: float(np.mean([s for m, s in fitted if m == model])) for model, _ in fitted}


def verdict(comparison: "Comparison") -> str:
    """Which model to choose here, and why."""
    told = [r for r in comparison.results if r.evaluation]
    if not told:
        return "No model could be measured: " + "; ".join(
            f"{r.model}: {r.skipped}" for r in comparison.results
        )
    name = comparison.run.metrics[0]
    if len({r.model for r in told}) == 1:
        mean = np.mean([r.evaluation[name] for r in told if r.evaluation])
        return f"{told[0].model} has {name} {mean:.4f}; nothing to compare it with."
    if not comparison.differences:
        if all(r.evaluation and name in r.evaluation.per_user for r in told):
            return (
                f"Only one user was asked, so {name} has no interval and no model can be called "
                "better."
            )
        return f"{name} has no value per user, so no model can be called better."
    ahead = of_the_best(comparison.differences)
    best = ahead[0].a
    tied = [d.b for d in ahead if not d.clear]
    seconds = _seconds(comparison)
    if not tied:
        second = min(ahead, key=lambda d: d.mean)
        return (
            f"Choose {best}: its {name} is {second.mean:.4f} above {second.b}'s, the next best "
            f"(95 % interval {second.low:.4f} to {second.high:.4f}, paired over users; corrected "
            f"for all pairs, p {'<' if second.p_holm < 0.001 else '='} "
            f"{max(second.p_holm, 0.001):.3f})."
        )
    quickest = comparison.chosen
    assert quickest is not None
    others = ", ".join(model for model in [best, *tied] if model != quickest)
    return (
        f"No clear winner: {best} leads in {name}, but {' and '.join(tied)} cannot be told apart "
        f"from it (paired over users, corrected for all pairs). Choose {quickest}, which trains in "
        f"{seconds[quickest]:.1f} s, unless you have a reason for {others}."
    )
