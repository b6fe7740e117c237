"""The report: whole, well made, safe with any text, the same bytes for the same results."""

import json
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import honeyguide as hg
from commands import refused as refused_command
from commands import typed
from honeyguide.errors import CallError, InputError
from honeyguide.experiment import document as written_document
from honeyguide.experiment.writing import write
from honeyguide.reporting import document as read_document
from honeyguide.reporting import figure, words
from honeyguide.reporting.report import SECTIONS, report
from honeyguide.tuning import Search
from tables import refused

BAD = "<script>alert(\"x\")</script> & 'co' <b>"
METRICS = ("ndcg@10", "recall@10", "coverage@10", "diversity@10", "novelty@10")
VOID = {"meta", "link", "br", "circle", "line", "path", "rect"}


class Page(HTMLParser):
    """What a page is made of; complains where a tag is not closed by its own."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def shop() -> Any:
    table = hg.simulate(6_000, users=150, items=70, seed=1).table
    assert table.items is not None
    first = pl.int_range(table.items.height) == 0
    titles = pl.when(first).then(pl.lit(BAD)).otherwise("title").alias("title")
    return hg.Table(table.events, table.items.with_columns(titles), table.users, table.notes)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a small search."""
    folder = tmp_path_factory.mktemp("tuned")
    told = hg.tune(
        shop(),
        ["popular", "ease", "mf"],
        search_by=Search(budget=60, trials=3),
        metrics=METRICS,
        settings={"mf": {"width": 8, "epochs": 5, "batch": 64}},
    )
    write(told, folder / "results.json")
    return folder


@pytest.fixture(scope="module")
def results(tuned: Path) -> dict[str, Any]:
    """The document of that search; a test changes a copy."""
    told: dict[str, Any] = json.loads((tuned / "results.json").read_text())
    return told


def page_of(folder: Path, *documents: object) -> str:
    """The report of documents, as text."""
    paths = []
    for place, document in enumerate(documents):
        paths.append(folder / f"r{place}.json")
        paths[-1].write_text(json.dumps(document))
    return report(paths, folder / "page.html").read_text()


def numbers(found: object) -> Iterator[float]:
    """All means of metrics in a document."""
    if isinstance(found, dict):
        for key, value in found.items():
            if key == "metrics":
                yield from (one["mean"] for one in value.values())
            else:
                yield from numbers(value)
    elif isinstance(found, list):
        for value in found:
            yield from numbers(value)


# --- what stands on it


def test_every_section_is_there_with_the_numbers_of_the_document(tuned, results, tmp_path):
    text = report(tuned, tmp_path / "page.html").read_text()
    page = Page(text)
    for section in SECTIONS:
        assert f'id="p1-{section.name}"' in text, section.name
    assert results["verdict"] in page.text
    for result in results["results"]:
        for name, told in result["metrics"].items():
            assert name in page.text
            assert words.metric(told["mean"]) in page.text
            if told["low"] is not None:
                assert words.metric(told["low"]) in page.text
        for one in result["slices"]:
            assert one["group"] in page.text
    for trial in results["tuning"]["models"][2]["trials"]:
        assert words.metric(trial["value"]) in page.text
    assert results["machine"]["processor"] in page.text
    assert f"{results['health']['events']:,}" in page.text
    for example in results["examples"]:
        assert f"User {example['user']}" in page.text
        for listed in example["lists"].values():
            assert all((one["title"] or one["item"]).split(" <")[0] in page.text for one in listed)
        for why in example["reasons"].values():
            assert f"Why {why['title']}" in page.text or why["title"] == BAD


def test_the_page_needs_nothing_from_anywhere(tuned, tmp_path):
    text = report(tuned, tmp_path / "page.html").read_text()
    page = Page(text)
    assert not page.of("script")
    assert not page.of("iframe")
    for _, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), name
            if name in {"src", "href", "data", "action", "srcset"}:
                assert value is not None
                assert value.startswith(("#", "data:,")), value
    for reach in ("http://", "https://", "url(", "@import", "file:"):
        assert reach not in text, reach
    assert "default-src 'none'" in text


def test_text_of_the_data_stays_text(results, tmp_path):
    text = page_of(tmp_path, results | {"verdict": BAD} | {"data": results["data"] | {"name": BAD}})
    assert "<script" not in text
    assert BAD in Page(text).text


def test_ids_links_headings_and_names_for_who_cannot_see(results, tmp_path):
    for documents in ([results], [results, results]):
        page = Page(page_of(tmp_path, *documents))
        ids = [a["id"] for _, a in page.tags if "id" in a]
        assert len(ids) == len(set(ids))
        for link in page.of("a"):
            assert link["href"] is not None
            assert link["href"][1:] in ids
        levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))
        for svg in page.of("svg"):
            assert svg.get("aria-label") or svg.get("aria-hidden") == "true"
        for row in page.of("table"):
            assert row.get("role") == "table"


def test_the_same_results_give_the_same_bytes(tuned, tmp_path):
    first = report(tuned, tmp_path / "a.html").read_bytes()
    assert first == report([tuned], tmp_path / "b.html").read_bytes()
    assert str(tmp_path).encode() not in first
    assert str(tuned).encode() not in first


def test_a_small_comparison_says_what_it_has_not(results, tmp_path):
    one = results["results"][0] | {"curve": [], "slices": []}
    bare = results | {
        "results": [one],
        "aggregate": results["aggregate"][:1],
        **{"tests": [], "tuning": None, "examples": [], "health": None},
    }
    text = page_of(tmp_path, bare)
    assert Page(text).text.count("No section “") == 6
    assert "No section “Tuning”: nothing was searched for." in Page(text).text


def test_seeds_folds_flags_and_skipped_models(tmp_path):
    told = hg.compare(
        shop(), ["popular", "mf"], metrics=METRICS[:2], seeds=(0, 1), settings=_quick()
    ).document()
    odd = told["results"][0]
    odd["flags"] = {"tied": 1, "short": 0, "constant": 12}
    skipped = {**odd, "model": "sasrec", "metrics": {}, "skipped": "it needs <order>", "flags": {}}
    page = Page(page_of(tmp_path, told | {"results": [*told["results"], skipped]}))
    assert "2 trainings" in page.text
    assert "Skipped: sasrec" in page.text
    assert "it needs <order>" in page.text
    assert "for 12 users" in page.text
    assert "for 1 user" in page.text
    folds = hg.compare(
        shop(), ["popular", "ease"], metrics=METRICS[:2], inputs=hg.Inputs(split="k-fold", folds=3)
    )
    assert "fold 2" in Page(page_of(tmp_path, folds.document())).text


def test_a_lone_model_whose_every_value_is_zero(results, tmp_path):
    zero = {"mean": 0.0, "low": 0.0, "high": 0.0}
    one = results["results"][2] | {"slices": [], "metrics": dict.fromkeys(METRICS, zero)}
    one["curve"] = [
        {"epoch": 0, "loss": None, "valid": {"ndcg@10": 0.0}, "seconds": 1.0, "more": 1}
    ]
    alone = {"model": one["model"], "seeds": 1, "metrics": {}}
    alone["metrics"] = {name: {"mean": 0.0, "sd": None} for name in METRICS}
    Page(page_of(tmp_path, results | {"results": [one], "aggregate": [alone], "tests": []}))


def _quick() -> dict[str, dict[str, Any]]:
    return {"mf": {"width": 8, "epochs": 2, "batch": 64}}


def test_a_default_that_the_budget_cut_is_named(results, tmp_path):
    changed = json.loads(json.dumps(results))
    changed["tuning"]["models"][2]["trials"][0]["state"] = "cut"
    text = Page(page_of(tmp_path, changed)).text
    assert "The budget ended the training of the default of mf." in text
    assert "The budget ended" not in Page(page_of(tmp_path, results)).text


@pytest.mark.parametrize(
    ("value", "told"), [(-1e-9, "0.0000"), (0.0, "0.0000"), (-0.12, "−0.1200"), (0.5, "0.5000")]
)
def test_a_metric_in_words(value, told):
    assert words.metric(value) == told


# --- figures


def test_ticks_are_round_and_few():
    for low, high in ((0.0, 1.0), (0.0381, 0.0399), (-3.0, 17.0), (1e-9, 2e-9), (0.0, 1e6)):
        ticks = figure.Scale(low, high, 0.0, 100.0).ticks(5)
        assert 1 <= len(ticks) <= 6
        assert all(low - 1e-12 <= tick <= high + 1e-12 for tick in ticks)
    whole = figure.Scale(1.0, 3.0, 0.0, 100.0).ticks(5, whole=True)
    assert whole == [1, 2, 3]


def test_labels_of_a_figure_do_not_cover_each_other():
    marks = [figure.Mark(0.1 + 0.001 * place, 0.5, f"model-{place}") for place in range(6)]
    drawn = figure.panel("about", "x", "y", marks=marks)
    found = re.findall(r'x="([\d.]+)" y="([\d.]+)"[^>]*class="label', drawn)
    assert len(found) == len(marks)
    assert len(set(found)) == len(marks)


# --- what it refuses


@pytest.mark.parametrize(
    ("change", "say"),
    [
        ({"format": 1}, "is of format 1; this version of honeyguide reads format 2"),
        ({"format": 99}, "is of format 99"),
        ({"format": None}, "names no format"),
        ({"results": 3}, "is damaged at results"),
        ({"verdict": None}, "is damaged at verdict"),
    ],
)
def test_other_versions_and_damage_are_refused(results, tmp_path, change, say):
    path = tmp_path / "r.json"
    path.write_text(json.dumps(results | change))
    refused(InputError, lambda: report(path, tmp_path / "page.html"), str(path), say)
    assert not (tmp_path / "page.html").exists()


def test_what_is_no_results_file_is_refused(tmp_path):
    out = tmp_path / "page.html"
    for name, text in (
        ("a.json", "{"),
        ("b.json", "[]"),
        ("c.json", '{"x": 1}'),
        ("d", "[" * 9999),
    ):
        (tmp_path / name).write_text(text)
        refused(InputError, lambda name=name: report(tmp_path / name, out), name)
    (tmp_path / "e.json").write_bytes(b"\xff\xfe\x00")
    refused(InputError, lambda: report(tmp_path / "e.json", out), "is not JSON")
    refused(CallError, lambda: report(tmp_path / "none.json", out), "cannot be read")
    refused(CallError, lambda: report(tmp_path, out), "results.json cannot be read")
    refused(CallError, lambda: report([], out), "No results file was given")
    assert not out.exists()


def test_where_it_cannot_be_written(tuned, tmp_path):
    results = tuned / "results.json"
    refused(CallError, lambda: report(tuned, tmp_path), "is a folder")
    refused(CallError, lambda: report(tuned, tmp_path / "no" / "page.html"), "There is no folder")
    refused(CallError, lambda: report(tuned, results), "is one of the results files")
    assert json.loads(results.read_text())["verdict"]


def test_it_reads_the_format_that_is_written():
    assert read_document.FORMAT == written_document.FORMAT


def test_the_command(tuned, tmp_path, capsys):
    said = typed(capsys, "report", tuned, "--out", tmp_path / "page.html")
    assert said.status == 0
    assert said.out == f"Written: {tmp_path / 'page.html'}.\n"
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    said = typed(capsys, "report", tmp_path / "none", "--out", tmp_path / "page.html")
    refused_command(said, 2, "cannot be read", "Check the path.")


# --- in a real browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium; without one skipped, on the build machine failed."""
    from playwright.sync_api import sync_playwright

    place = shutil.which("chromium")
    if place is None:
        pytest.skip("there is no program chromium (on Debian: apt-get install chromium)")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=place, args=flags)
        yield chromium
        chromium.close()


@pytest.mark.faults
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_in_chromium(browser, tuned, tmp_path, scheme, width):
    path = report(tuned, tmp_path / "page.html")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(path.as_uri())
    for summary in page.locator("summary").all():
        summary.click()
    assert asked == [path.as_uri()]  # nothing but itself
    assert said == []
    # nothing is cut off on the right, unless it scrolls by itself
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(_FAINT) == []
    context.close()


@pytest.mark.faults
def test_printed_by_chromium(browser, tuned, tmp_path):
    page = browser.new_page(color_scheme="dark")
    page.goto(report(tuned, tmp_path / "page.html").as_uri())
    printed = page.pdf(format="A4", print_background=True)
    assert printed.startswith(b"%PDF")
    page.emulate_media(media="print")
    # dark letters on white paper, even where the screen is dark
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate(_FAINT) == []
    page.close()


# Texts whose contrast with what is behind them is below 4.5, as WCAG 2.1 AA asks.
_FAINT = """() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const s = [r, g, b].map(v => v / 255)
      .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * s[0] + .7152 * s[1] + .0722 * s[2];
  };
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = parts(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const node of document.querySelectorAll("main *, nav *")) {
    if (![...node.childNodes].some(c => c.nodeType === 3 && c.textContent.trim())) continue;
    const style = getComputedStyle(node);
    if (!node.getClientRects().length) continue;
    const drawn = node.namespaceURI.endsWith("svg") ? style.fill : style.color;
    const [a, b] = [light(parts(drawn)), light(behind(node))].sort((x, y) => y - x);
    if ((a + .05) / (b + .05) < 4.5) faint.push(node.textContent.trim().slice(0, 40));
  }
  return faint;
}"""
