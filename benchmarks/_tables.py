"""Result files become docs/results.md and the table of the README; run it after a benchmark.

No number on those pages is typed by hand; a test runs this again and compares.
"""

import _collaborative as collaborative
import _sequences as sequences
from _family import family
from _pages import COSTS, ROOT, costs, interval, read, table

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def movielens() -> str:
    """The comparison on MovieLens-1M."""
    told = read("movielens_1m")
    if told is None:
        return ""
    rows = [
        [
            row["model"],
            interval(row["metrics"]["hit_rate@10"]),
            interval(row["metrics"]["ndcg@10"]),
            *costs(row),
        ]
        for row in told["results"]
        if not row["skipped"]
    ]
    head = ["model", "HR@10", "nDCG@10", *COSTS]
    users = told["data"]["test_users"]
    return (
        f"MovieLens-1M, 5-core, last item of each of {users:,} users by order, whole catalogue "
        f"ranked, seen items left out, one seed, the defaults of {told['date']} (threads: "
        f"{told['machine']['threads']}, AMX: {'yes' if told['machine']['amx'] else 'no'}):\n\n"
        + table(head, rows)
        + f"\n{told['verdict']}\n\nThe seconds of this run were taken while tests ran on the same "
        "two cores; they are upper bounds.\n"
    )


def gowalla() -> str:
    """The yardsticks on Gowalla."""
    told = read("gowalla_baselines")
    if told is None:
        return ""
    rows = [
        [name, interval(row["metrics"]["recall@20"]), interval(row["metrics"]["ndcg@20"])]
        for name, row in told["results"].items()
    ]
    return (
        "Gowalla (LightGCN split), settings of item-kNN chosen on a tenth of train; published: "
        "ItemCF .1570 / .1214 (targets read before any other number is believed):\n\n"
        + table(["model", "recall@20", "nDCG@20"], rows)
    )


def shop() -> str:
    """The simulated shop against its own truth."""
    told = read("shop_truth")
    if told is None:
        return ""
    models = list(dict.fromkeys(row["model"] for row in told["rows"]))
    rows = []
    for model in models:
        line = [model]
        for shuffled in (False, True):
            found = [r for r in told["rows"] if r["model"] == model and r["shuffled"] == shuffled]
            line.append(" · ".join(f"{r['mean']:.4f}".lstrip("0") for r in found) or "–")
        rows.append(line)
    checks = {
        "popular < every learned model": told["popular_below_every_learned"],
        "every learned model < oracle": told["every_learned_below_oracle"],
        "shuffled: none clearly above popular": told["shuffled_none_clearly_above_popular"],
    }
    inside = told["shuffled_interval_holds_popular"]
    said = "; ".join(f"{name}: {'yes' if held else '**no**'}" for name, held in checks.items())
    outside = [name for name, held in inside.items() if not held]
    return (
        "Simulated shop, 100,000 events, split by time, nDCG@10, defaults, a number per seed:\n\n"
        + table(["model", "as drawn", "users shuffled"], rows)
        + f"\n{said}. Shuffled, the paired interval to popular holds 0 for "
        f"{len(inside) - len(outside)} of {len(inside)} runs"
        + (f"; outside it (below popular): {', '.join(outside)}" if outside else "")
        + ".\n"
    )


def statistics() -> str:
    """Whether intervals cover, and whether equal models stay without a winner."""
    told = read("intervals")
    if told is None:
        return ""
    covered = [
        [f"{r['users']:,}", f"{r['hits']:g}", f"{r['covered']:.3f}"] for r in told["coverage"]
    ]
    equal = [
        [f"{r['users']:,}", str(r["models"]), str(r["seeds"]), f"{r['winner_named']:.3f}"]
        for r in told["equal_models"]
    ]
    return (
        f"{told['runs']:,} simulations of each case, nDCG@10 of one held-out item per user. How "
        "often a 95 % interval (BCa) holds the true mean:\n\n"
        + table(["users", "share of hits", "covered"], covered)
        + "\nHow often a clear winner is named among equal models (5 % is the promise; its "
        "error over so many runs is .007):\n\n"
        + table(["users", "models", "seeds", "winner named"], equal)
    )


def speed() -> str:
    """Evaluation and latency."""
    said = ""
    told = read("evaluation_speed")
    if told is not None:
        said += (
            f"Evaluating all {told['users']:,} MovieLens-1M users (seven metrics, width 64, seen "
            f"items left out) takes {told['ratio']:.2f} times as long as `implicit`'s top-20 for "
            f"all users with the same vectors, in one run.\n\n"
        )
    told = read("latency")
    if told is not None:
        rows = [
            [name, f"{m['p50_ms']:.2f}", f"{m['p99_ms']:.2f}", f"{m['goal_p99_ms']:g}"]
            for name, m in told["models"].items()
        ]
        said += (
            f"One answer through `rec.recommend([history])`, names in, frame out, "
            f"{told['histories']:,} MovieLens-1M histories of at most {told['at_most_events']} "
            f"events, milliseconds:\n\n" + table(["model", "p50", "p99", "goal for p99"], rows)
        )
    return said


def scale() -> str:
    """A large catalogue."""
    told = read("evaluation_scale")
    if told is None:
        return ""
    rows = [
        [name, f"{told[key]['seconds']:.0f}", f"{told[key]['peak_mb_above']:.0f}"]
        for name, key in (("the usual metrics", "default"), ("and AUC", "with auc"))
    ]
    return (
        f"Full-catalogue evaluation of {told['users']:,} users × {told['items']:,} items, width "
        f"{told['width']}, {told['machine']['cores']} cores:\n\n"
        + table(["metrics", "seconds", "MB above the model"], rows)
    )


def tuning() -> str:
    """The two searches, and their readings of test."""
    said = []
    for name in ("tpe", "random"):
        told = read(f"tuning_{name}")
        if told is None:
            continue
        rows = [
            [
                row["model"],
                f"{row['default']:.4f}".lstrip("0") + (" (cut)" if row["default_was_cut"] else ""),
                f"{row['best']:.4f}".lstrip("0"),
                str(row["trials"]),
                f"{row['seconds']:.0f}",
                ", ".join(f"{k} {_setting(v)}" for k, v in row["settings"].items())
                if row["number"]
                else "the default",
                interval(row["test"]["ndcg@10"]),
                interval(row["test"]["hit_rate@10"]),
            ]
            for row in told["models"]
        ]
        head = ["model", "default", "best", "trials", "s", "settings", "test nDCG@10", "test HR@10"]
        prune = "with" if told["search"]["prune"] else "without"
        said.append(
            f"{name}, {prune} pruning, {told['search']['budget'] / 60:.0f} minutes for all models; "
            "default and best are nDCG@10 on validation, test was read once for each model:\n\n"
            + table(head, rows)
            + f"\n{told['verdict']}\n"
        )
    if not said:
        return ""
    return (
        "MovieLens-1M, the six models under one budget on two cores. A default marked (cut) would "
        "have needed longer than its share of the budget.\n\n" + "\n".join(said)
    )


def _setting(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def explanations() -> str:
    """Whether reasons are true to the models, and what they cost."""
    said = ""
    told = read("explain_fidelity")
    if told is not None:
        orders = ("explained", "nearest", "popular", "random")
        rows = [
            [model, way, *(_area(ways[way][order]) for order in orders)]
            for model, ways in told["models"].items()
            for way in ("deletion", "insertion")
        ]
        said += (
            f"The first recommendation of {told['users']} MovieLens-1M users: mean of 1 / log2(1 + "
            f"rank) while the first {told['steps']} events of an order are taken away (deletion, "
            "less is better) or given alone (insertion, more is better). In brackets the larger p "
            "of a paired t test and a randomisation test against the order explained:\n\n"
            + table(["model", "", *orders], rows)
            + "\n"
        )
    told = read("explain_latency")
    if told is not None:
        rows = [
            [name, f"{m['p50_ms']:.1f}", f"{m['p95_ms']:.1f}", f"{m['goal_p95_ms']:g}"]
            for name, m in told["models"].items()
        ]
        said += (
            f"One explanation of a history of {told['events']} events, names in, sentences out, "
            "milliseconds:\n\n" + table(["model", "p50", "p95", "goal for p95"], rows)
        )
    return said


def _area(told: dict[str, float]) -> str:
    area = f"{told['area']:.3f}".lstrip("0")
    if "p_t" not in told:
        return area
    p = max(told["p_t"], told["p_randomisation"])
    return f"{area} (p {'≤ .0002' if p < 0.00025 else f'= {p:.4f}'})"


def readme_part() -> str:
    """What the README shows."""
    return "\n".join(
        part for part in (collaborative.headline(), sequences.headline(), speed()) if part
    )


def results_page() -> str:
    """docs/results.md, whole."""
    sections = {
        "Yardsticks first": gowalla(),
        "Collaborative filtering": collaborative.tables(),
        "Sequences": sequences.tables(),
        "Beside RecBole and implicit": collaborative.peers(),
        "Where vectors start": collaborative.starts(),
        "Growth": collaborative.growth(),
        "MovieLens-1M": movielens(),
        "All models": family(),
        "The simulated shop": shop(),
        "Tuning": tuning(),
        "Explanations": explanations(),
        "Statistics": statistics(),
        "Speed": "\n".join(part for part in (speed(), scale()) if part),
    }
    body = "\n".join(f"## {title}\n\n{text}" for title, text in sections.items() if text)
    return (
        "# Results\n\nWritten by `benchmarks/_tables.py` from the files in `benchmarks/results`, "
        "which the scripts in `benchmarks/` wrote. Means with 95 % intervals over users. Times are "
        "of one run on one machine; compare them inside a table only.\n\n" + body
    )


def with_readme_part(readme: str) -> str:
    """The README with its table replaced."""
    return between(readme, readme_part())


def with_performance(page: str) -> str:
    """docs/performance.md with its table replaced."""
    return between(page, collaborative.performance())


def between(page: str, part: str) -> str:
    """The page with what stands between the marks replaced."""
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{part}{END}{after}"


def main() -> None:
    """Write the pages and the figure."""
    readme = ROOT / "README.md"
    readme.write_text(with_readme_part(readme.read_text()))
    (ROOT / "docs" / "results.md").write_text(results_page())
    (ROOT / "docs" / "growth.svg").write_text(collaborative.growth_figure())
    performance = ROOT / "docs" / "performance.md"
    performance.write_text(with_performance(performance.read_text()))


if __name__ == "__main__":
    main()
