"""The tables of collaborative filtering: quality by recipe, peers, growth."""

import json
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import _recipes
from _pages import RESULTS, interval, published_cells, read, short, table
from honeyguide.reporting import figure

FOUND = "Settings were found on validation only (`benchmarks/search.py`)"
TITLES = {
    "gowalla": "Gowalla",
    "movielens-1m-811": "MovieLens-1M, a split for each seed",
    "movielens-100k-811": "MovieLens-100K, with true times",
    "movielens-100k-u1": "MovieLens-100K, ratings predicted",
}


def tables() -> str:
    """All data sets."""
    return "\n".join(part for data, title in TITLES.items() if (part := recipes(data, title)))


def opened(path: Path) -> dict[str, Any]:
    """A JSON file."""
    told: dict[str, Any] = json.loads(path.read_text())
    return told


def finals(data: str) -> list[dict[str, Any]]:
    """What benchmarks/final.py wrote, one for each recipe and seed."""
    told = map(opened, sorted((RESULTS / "final" / data).glob("*-[0-9].json")))
    return [one for one in told if "recipe" in one]


def cell(cells: dict[str, Any], one: dict[str, Any]) -> str:
    """What is published for a recipe, or else for its model."""
    name = one["recipe"].removesuffix("-tenth").removesuffix("-many").removesuffix("-fast")
    found = cells.get(name, cells.get(one["model"]))
    return " / ".join(map(short, found["values"])) if found else "–"


def recipes(data: str, title: str) -> str:
    """What benchmarks/final.py read on test, beside published cells."""
    told = finals(data)
    if not told:
        return ""
    published = published_cells()[data]
    metrics, rows = published["metrics"], []
    for recipe in dict.fromkeys(one["recipe"] for one in told):
        mine = [one for one in told if one["recipe"] == recipe]
        read = [one for one in mine if one["metrics"]]
        search = RESULTS / "search" / data / f"{recipe}.json"
        trials = json.loads(search.read_text())["trials"] if search.exists() else []
        if not read:
            rows.append([recipe, f"skipped: {mine[0]['skipped']}", *[""] * (len(metrics) + 4)])
            continue
        # where settings were written down beforehand, what is not as for the others of a model
        label = _recipes.labelled(data, recipe) if "settings" in published else recipe
        rows.append(
            [
                label,
                *(spread([one["metrics"][name] for one in read]) for name in metrics),
                str(len(read)),
                cell(published["cells"], mine[0]),
                f"{fmean(one['seconds'] for one in read):.0f}",
                f"{sum(one['seconds'] for one in trials):.0f}" if trials else "–",
                f"{max(one['peak_memory_mb'] for one in read):.0f}",
            ]
        )
    lower = metrics[0] == "rmse"
    key = {row[0]: row[1] for row in rows}
    rows.sort(key=lambda row: key[row[0]], reverse=not lower)
    told_cells = [
        f"{name} {' / '.join(map(short, cell['values']))} ({cell['paper']})"
        for name, cell in published["cells"].items()
    ]
    known = f"Published: {'; '.join(told_cells)}. " if told_cells else ""
    head = ["recipe", *metrics, "seeds", "published", "fit s", "tuning s", "peak MB"]
    return (
        f"{title} ({published['protocol']}). {published.get('settings', FOUND)}, test was read "
        "once for each recipe and seed (`benchmarks/final.py`). One seed: 95 % interval over "
        "users; several: mean ± standard deviation.\n\n"
        + table(head, rows)
        + f"\n{known}{published['note']}\n"
        + against(data)
    )


def headline() -> str:
    """Gowalla in short: what was read on test beside what is published."""
    cells = published_cells()["gowalla"]["cells"]
    told = [one for one in finals("gowalla") if one["metrics"]]
    if not told:
        return ""
    rows = [
        [
            one["recipe"],
            *(interval(one["metrics"][name]) for name in ("recall@20", "ndcg@20")),
            cell(cells, one),
        ]
        for one in sorted(told, key=lambda one: -one["metrics"]["recall@20"]["mean"])
    ]
    best = cells["chebycf-paper"]["values"][0], cells["nescl"]["values"][1]
    said = " and ".join(map(short, best))
    return (
        "Gowalla, LightGCN's split, settings fixed before test was read; "
        f"the highest published recall@20 and nDCG@20 known to us are {said}:\n\n"
        + table(["recipe", "recall@20", "nDCG@20", "published"], rows)
    )


def spread(values: list[dict[str, float | None]]) -> str:
    """One value with its interval, or the mean of several with their deviation."""
    if len(values) == 1:
        return interval(values[0])
    means = [value["mean"] or 0.0 for value in values]
    return " ± ".join(map(short, (fmean(means), stdev(means))))


def against(data: str) -> str:
    """Paired comparisons of two recipes."""
    lines = []
    for path in sorted((RESULTS / "final" / data).glob("*-against-*.json")):
        told = json.loads(path.read_text())
        found = ", ".join(
            f"{name} {value['difference']:+.4f} (p {value['p_t']:.2g})"
            for name, value in told["metrics"].items()
        )
        lines.append(f"- {told['one']} minus {told['other']}, paired over users: {found}.")
    return "\n" + "\n".join(lines) + "\n" if lines else ""


def peers() -> str:
    """Beside RecBole and implicit."""
    said = ""
    told = read("recbole_speed")
    if told is not None:
        rows = []
        for name, one in told["models"].items():
            epoch = one["epoch_seconds"]
            first, *more = one["to_quality"]
            line = [name, *(f"{epoch[who]:.2f}" for who in ("recbole", "honeyguide", "ratio"))]
            for goal in (first, *more[:1]):
                ratio = "not reached" if goal["ratio"] is None else f"{goal['ratio']:.3f}"
                line.append(f"{ratio} ({goal['ndcg@10']:.4f})")
            rows.append(line + ["–"] * (6 - len(line)))
        said += (
            "RecBole 1.2.1 and Honeyguide in one run on MovieLens-1M, one thread each "
            f"({told['machine']['processor']}, AMX: {'yes' if told['machine']['amx'] else 'no'}), "
            "other work on the second core. Seconds of an epoch with the same model, width, "
            "positives per step and negatives; seconds of training until RecBole's validation "
            "nDCG@10 (in brackets) after 5 and 20 of its epochs is reached, as parts of its own:"
            "\n\n"
            + table(
                ["model", "RecBole s", "Honeyguide s", "ratio", "to quality, 5", "to quality, 20"],
                rows,
            )
        )
    told = read("implicit_speed")
    if told is not None:
        rows = [
            [
                name,
                model,
                f"{one['implicit']['ndcg@10']:.4f}",
                f"{one['implicit']['seconds']:.1f}",
                f"{one['honeyguide']['ndcg@10']:.4f}",
                f"{one['honeyguide']['seconds']:.1f}",
                "not reached" if one["ratio"] is None else f"{one['ratio']:.2f}",
            ]
            for name, models in told["data"].items()
            for model, one in models.items()
        ]
        head = ["data", "model-width", "its nDCG@10", "its s", "our nDCG@10", "our s", "ratio"]
        said += (
            "\n`implicit` 0.7.3 with its defaults (ALS, BPR) and the time until iALS and MF reach "
            "its validation nDCG@10:\n\n" + table(head, rows)
        )
    return said


def starts() -> str:
    """Noise and spectral vectors, epoch by epoch."""
    told = read("starts")
    if told is None:
        return ""
    rows = [
        [name, start, *map(short, one["ndcg@20"])]
        for name, starts in told["models"].items()
        for start, one in starts.items()
    ]
    epochs = [f"epoch {number + 1}" for number in range(told["epochs"])]
    return (
        "nDCG@20 on Gowalla's validation, by epoch, where vectors start from noise and from the "
        "leading directions of the normalised matrix (`benchmarks/starts.py`):\n\n"
        + table(["model", "start", *epochs], rows)
    )


def growth() -> str:
    """The shop up to 50 M events."""
    told = read("growth")
    if told is None:
        return ""
    rows = [
        [
            f"{row['events']:,}",
            f"{row['users']:,}",
            f"{row['pairs']:,}",
            f"{row['read_seconds']:.1f}",
            f"{row['read_peak_mb']:,.0f}",
            f"{row['epoch_seconds']:.1f}",
            f"{row['train_peak_mb']:,.0f}",
        ]
        for row in told["sizes"]
    ]
    head = [
        "events",
        "users",
        "pairs",
        "read s",
        "peak MB, reading",
        "epoch s",
        "peak MB, training",
    ]
    shop, straight = told["shop"], told["line"]
    return (
        f"The simulated shop with {shop['events']:,} events of {shop['users']:,} users and "
        f"{shop['items']:,} items ({shop['seconds']:.0f} s) and {shop['friendships']:,} "
        f"friendships ({shop['friendship_seconds']:.0f} s); unsorted Parquet to Interactions, then "
        "an epoch of MF by BPR over the distinct pairs (`benchmarks/growth.py`):\n\n"
        + table(head, rows)
        + f"\nA line through 0: {straight['seconds_per_million_pairs']:.2f} s per million pairs; "
        f"the worst point lies {straight['worst_deviation']:.0%} off it.\n\n"
        "![Seconds of an epoch by millions of pairs, and the line](growth.svg)\n"
    )


# of a figure that stands alone, light or dark
STYLE = """<style>svg{color:#222;background:#fff}text{font:11px sans-serif;fill:currentColor}
.grid,.axis{stroke:#8886}.curve{fill:none;stroke:#888}.dot{fill:#1668b8}
@media(prefers-color-scheme:dark){svg{color:#ddd;background:#111}.dot{fill:#69b3f5}}</style>"""


def growth_figure() -> str:
    """docs/growth.svg: the epochs, and the line through 0."""
    told = read("growth")
    assert told is not None
    slope = told["line"]["seconds_per_million_pairs"]
    found = [(row["pairs"] / 1e6, row["epoch_seconds"]) for row in told["sizes"]]
    ends = [(0.0, 0.0), (found[-1][0], slope * found[-1][0])]
    drawn = figure.panel(
        "Seconds of an epoch over millions of pairs, with a straight line through 0",
        "million pairs",
        "seconds of an epoch",
        curves=[figure.Curve(ends, strong=False)],
        marks=[figure.Mark(x, y, strong=True) for x, y in found],
    )
    alone = '<svg xmlns="http://www.w3.org/2000/svg" '
    return str(drawn).replace("<svg ", alone, 1).replace("><", f">{STYLE}<", 1) + "\n"


def performance() -> str:
    """Where the time goes."""
    told = read("performance")
    if told is None:
        return ""
    limit, machine = told["limits"], told["machine"]
    rows = [
        [
            part["part"],
            f"{part['milliseconds']:.2f}",
            f"{part['needs'] / 1e6:,.1f} M{'FLOP' if part['unit'] == 'FLOP' else 'B'}",
            f"{part['reached']:.1f} G{part['unit']}/s",
            f"{part['times_the_limit']:.1f}",
        ]
        for part in told["parts"]
    ]
    return (
        f"{machine['processor']}, {machine['threads']} threads, AMX: "
        f"{'yes' if machine['amx'] else 'no'}. Limits: products of f32 matrices "
        f"{limit['product_gflops']:.0f} GFLOP/s, of bf16 ones "
        f"{limit['product_bf16_gflops']:.0f}, a copy through memory {limit['copy_gbs']:.1f} "
        f"GB/s, rows at random from a small table {limit['near_rows_gbs']:.1f} GB/s, from a large "
        f"one {limit['far_rows_gbs']:.1f} GB/s (reading and writing counted).\n\n"
        + table(["part", "ms", "needs", "reached", "times the limit"], rows)
    )
