"""The tables of sequence models: quality by recipe, beside RecBole, costs, news hour by hour."""

from statistics import fmean
from typing import Any

import numpy as np

import _collaborative as collaborative
import _recipes
from _pages import interval, published_cells, read, short, table

TITLES = {
    "movielens-1m": "MovieLens-1M, what comes next",
    "amazon-beauty": "Amazon Beauty, what comes next",
}
UNTRIED = {
    "movielens-100k": "MovieLens-100K, what comes next",
    "movielens-latest-small": "MovieLens Latest small, what comes next",
}


def tables() -> str:
    """All of them."""
    parts = [collaborative.recipes(data, title) for data, title in (TITLES | UNTRIED).items()]
    parts += [one_recipe(), beside(), epoch(), costs(), news()]
    return "\n".join(part for part in parts if part)


def headline() -> str:
    """What comes next, in short: the best recipe of each set and the highest published numbers."""
    published = published_cells()
    rows = []
    for data, title in TITLES.items():
        told = [one for one in collaborative.finals(data) if one["metrics"]]
        models = {one["recipe"]: one["model"] for one in told}
        # of a model the recipe with the most seeds (the best of few is luck), then by validation
        rising = sorted(models, key=lambda name: _standing(told, name))
        names = {models[name]: name for name in rising}.values()
        means = {name: fmean(_ndcg(one) for one in told if one["recipe"] == name) for name in names}
        cells = published[data]["cells"]
        for name in sorted(means, key=lambda name: -means[name])[:3]:
            mine = [one for one in told if one["recipe"] == name]
            values = [
                collaborative.spread([one["metrics"][metric] for one in mine])
                for metric in ("hit_rate@10", "ndcg@10")
            ]
            cell = collaborative.cell(cells, mine[0])
            label = _recipes.labelled(data, name)
            rows.append([title.split(",")[0], label, *values, str(len(mine)), cell])
    if not rows:
        return ""
    return (
        "What comes next (the last event of each user, the whole catalogue ranked), one recipe for "
        "both sets but for dropout and what stands in brackets:\n\n"
        + table(["data", "model", "HR@10", "nDCG@10", "seeds", "published"], rows)
    )


def _standing(told: list[dict[str, Any]], recipe: str) -> tuple[int, float]:
    valid = [one["best_valid"] or 0.0 for one in told if one["recipe"] == recipe]
    return len(valid), fmean(valid)


def _ndcg(one: dict[str, Any]) -> float:
    return float(one["metrics"]["ndcg@10"]["mean"])


def one_recipe() -> str:
    """What two trials of one model come to, set by set."""
    published = published_cells()
    rows = []
    for data, title in (TITLES | UNTRIED).items():
        told = read(f"recipe_{data.replace('-', '_')}")
        if told is None:
            continue
        default, other = told["values"]
        cells = published[data]["cells"].values()
        best = max((cell["values"] for cell in cells), key=lambda values: values[1], default=None)
        rows.append(
            [
                title.split(",")[0],
                short(default),
                short(other),
                "the second" if told["number"] else "the default",
                *(interval(told["test"][metric]) for metric in ("hit_rate@10", "ndcg@10")),
                "–" if best is None else " / ".join(map(short, best)),
                f"{told['seconds']:.0f}",
            ]
        )
    if not rows:
        return ""
    head = ["data", "default, validation", "second, validation", "taken"]
    head += ["HR@10", "nDCG@10", "best published", "s"]
    return (
        "One recipe for all sets, `honeyguide tune DATA --models fmlp-rec --trials 2 --budget 4h` "
        "(`benchmarks/recipe.py`): the default, then what did well on sparse data; nDCG@10 on "
        "validation picks one, test is read once, one seed. The two were found on the first two "
        "sets:\n\n" + table(head, rows)
    )


def beside() -> str:
    """RecBole."""
    told = read("recbole_sequences")
    if told is None:
        return ""
    rows, faster = [], set()
    for name, one in told["models"].items():
        epoch, rate, goal = one["epoch_seconds"], one["targets_per_second"], one.get("to_quality")
        reached = "–"
        if goal is not None:
            ratio = "not reached" if goal["ratio"] is None else f"1/{1 / goal['ratio']:.0f}"
            reached = f"{ratio} ({goal['ndcg@10']:.4f})"
            faster.add(goal["settings"]["learning_rate"])
        rows.append(
            [
                name,
                f"{epoch['recbole']:.0f}",
                f"{epoch['honeyguide']:.1f}",
                f"1/{1 / epoch['ratio']:.0f}",
                f"{rate['recbole']:,.0f}",
                f"{rate['honeyguide']:,.0f}",
                reached,
            ]
        )
    head = [
        "model-history",
        "RecBole epoch s",
        "our epoch s",
        "ratio",
        "its targets/s",
        "our targets/s",
        "to quality",
    ]
    return (
        "RecBole 1.2.1 and Honeyguide, one after the other on MovieLens-1M, one thread each "
        f"({told['machine']['processor']}, AMX: {'yes' if told['machine']['amx'] else 'no'}), the "
        "same model, width and loss; where its quality is not told, RecBole's epoch follows from "
        "15 batches of it. To quality: our seconds of training (learning rate "
        f"{' or '.join(map(str, sorted(faster)))}) until our "
        "validation nDCG@10 is what RecBole's is (in brackets) after its first epoch, as a part of "
        "its own:\n\n" + table(head, rows)
    )


def costs() -> str:
    """One more event, and the memory of a large step."""
    told = read("sequence_costs")
    if told is None:
        return ""
    rows = [
        [
            name,
            f"{one['update']['p50_ms']:.2f}",
            f"{one['update']['p99_ms']:.2f}",
            f"{one['peak_memory_mb']:,.0f}",
            f"{one['step_seconds']:.1f}",
        ]
        for name, one in told["models"].items()
    ]
    return (
        f"A state that grows by one event (the events of {told['users']} MovieLens-1M users, "
        "the defaults; goal for p99: 2 ms), and the peak memory of training steps with "
        f"{told['batch']} sequences of 200 events and {told['items']:,} items (goal: 4,000 MB):\n\n"
        + table(["model", "p50 ms", "p99 ms", "peak MB", "s a step"], rows)
    )


def epoch() -> str:
    """Of SASRec with all cores."""
    told = read("sequence_epoch")
    if told is None:
        return ""
    about = told["machine"]
    return (
        f"An epoch of {told['model']} on MovieLens-1M at history {told['history']}, "
        f"{about['threads']} threads, AMX: {'yes' if about['amx'] else 'no'}: "
        f"{told['seconds']:.1f} s, {told['targets_per_second']:,.0f} targets a second (goal: 12 s "
        "with AMX).\n"
    )


def news() -> str:
    """Test, then learn."""
    told = read("prequential")
    if told is None:
        return ""
    rows = []
    for name, one in told["models"].items():
        curve = np.array(one["curve"]["mrr@10"], dtype=float)
        rows.append(
            [
                name,
                str(one["memory_hours"]),
                *(interval(one["metrics"][metric]) for metric in ("hit_rate@10", "mrr@10")),
                *map(short, np.nanpercentile(curve, [10, 50, 90])),
                f"{one['seconds']:.0f}",
            ]
        )
    rows.sort(key=lambda row: row[3], reverse=True)
    head = ["model", "hours learned from", "HR@10", "MRR@10", "10 %", "median", "90 %", "s"]
    against = "".join(
        f"- {name}, paired over users: "
        + ", ".join(
            f"{metric} {value['difference']:+.4f} ({value['low']:+.4f} to {value['high']:+.4f})"
            for metric, value in metrics.items()
        )
        + ".\n"
        for name, metrics in told["paired"].items()
    )
    return (
        f"News, tested and then learned from hour by hour ({told['hours']} hours of globo-news, "
        f"{told['questions']:,} clicks of {told['users']:,} readers asked for, a draw from each "
        "hour; how many hours each learns from was chosen on the day before; what is counted is "
        "counted anew, gru4rec goes on from its weights of the hour before). Means over readers; "
        "MRR@10 of the hours as percentiles of its curve:\n\n" + table(head, rows) + "\n" + against
    )
