"""The demo: what it shows, that it reaches out only when asked, and that it answers at the end."""

import json
import re
import socket

import pytest

import honeyguide as hg
from commands import films, log, refused, typed
from honeyguide.cli import demo as demo_module
from honeyguide.data import sets


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """A small shop, two models, no MovieLens, no network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HONEYGUIDE_DATA", raising=False)
    monkeypatch.setattr(demo_module, "SETTINGS", {"popular": {}, "ease": {"l2": 50.0}})
    shop = hg.simulate(5_000).table
    known = sets.SETS["simulated-shop"]
    monkeypatch.setitem(
        sets.SETS, known.name, sets.BuiltIn(known.name, lambda: shop, known.protocol)
    )

    def offline(*args, **rest):
        raise AssertionError("the demo reached out")

    monkeypatch.setattr(socket.socket, "connect", offline)
    return tmp_path


def test_the_demo_ends_with_a_bundle_that_answers(capsys, quick):
    said = typed(capsys, "demo", "--no-serve", "--json", "out.json")
    assert said.status == 0, said.err
    assert "MovieLens is not on this machine" in said.out
    assert "honeyguide demo --download" in said.out
    verdict = json.loads((quick / "out.json").read_text())["verdict"]
    assert verdict in said.out
    rec = hg.load("honeyguide-demo")
    assert rec.spec.name in ("popular", "ease")
    assert rec.state.resolved["data"] == "simulated-shop"
    (user,) = re.findall(r"^User (\S+) last met:$", said.out, re.MULTILINE)
    first = rec.recommend([user], k=1)["item_id"][0]
    titles = rec.state.items.titles
    assert titles is not None
    assert titles[int(rec.state.items.vocab.numbers([first])[0])] in said.out
    # and again into the same folder
    assert typed(capsys, "demo", "--no-serve").status == 0


def test_the_demo_takes_films_that_lie_here(capsys, quick, monkeypatch):
    folder = quick / "data" / "ml-100k"
    folder.mkdir(parents=True)
    frame = log().rename({"time": "timestamp"})
    monkeypatch.setenv("HONEYGUIDE_DATA", str(quick / "data"))
    known = sets.SETS["movielens-100k"]
    assert isinstance(known, sets.Kept)
    for name in known.tables:
        frame.write_parquet(folder / f"{name}.parquet")
    made = hg.read(log(), items=films())
    monkeypatch.setitem(
        sets.SETS,
        known.name,
        sets.Kept(known.name, known.folder, known.tables, lambda _: made, known.protocol),
    )
    said = typed(capsys, "demo", "--no-serve", "--out", "b")
    assert said.status == 0, said.err
    assert "MovieLens is not" not in said.out
    assert said.out.startswith("movielens-100k: ")
    assert "Film " in said.out


def test_a_folder_with_other_things_is_refused_first(capsys, quick):
    (quick / "honeyguide-demo").mkdir()
    (quick / "honeyguide-demo" / "letter.txt").write_text("dear")
    refused(typed(capsys, "demo", "--no-serve"), 2, "letter.txt")
    assert (quick / "honeyguide-demo" / "letter.txt").read_text() == "dear"


def test_the_demo_serves_what_it_saved(capsys, quick, monkeypatch):
    from honeyguide.serve import server

    def serve(bundle, host, port, on_ready):
        assert (hg.load(bundle).spec.name, host, port) == (hg.load(bundle).spec.name, "::1", 9)
        on_ready("http://[::1]:9")

    monkeypatch.setattr(server, "serve", serve)
    said = typed(capsys, "demo", "--host", "::1", "--port", 9)
    assert said.status == 0
    (body,) = re.findall(r"curl http://\[::1\]:9/v1/recommendations --json '(.*)'", said.out)
    assert set(json.loads(body)) == {"user_id", "k"}
