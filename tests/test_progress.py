"""The bar says where the run stands on a terminal, and nothing anywhere else."""

from contextlib import suppress
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from honeyguide.train import progress
from honeyguide.train.progress import Bar, Moment, Quiet

HALF = Moment(
    epoch=4,
    epochs=10,
    done=500,
    total=1_000,
    loss=0.12345,
    metric="ndcg@10",
    value=0.06789,
    targets_per_second=1_234_567.8,
)


def shown(moments, *, terminal=True, width=120) -> str:
    out = StringIO()
    console = Console(file=out, force_terminal=terminal, width=width, legacy_windows=False)
    with Bar("mf [b]", console) as bar:
        for moment in moments:
            bar.step(moment)
        if terminal:
            bar._bar.refresh()
    return out.getvalue()


def test_a_terminal_sees_loss_metric_throughput_and_time_left(monkeypatch):
    now = iter(range(0, 10_000, 30))
    monkeypatch.setattr(progress, "monotonic", lambda: next(now))
    text = shown([replace(HALF, done=done) for done in (100, 300, 500)])
    for said in ("mf [b]", "epoch 5 of 10", "loss 0.1235", "ndcg@10 0.0679", "1,234,568 targets/s"):
        assert said in text
    assert "0:0" in text.rsplit("targets/s", 1)[1], "the time left"


def test_no_metric_before_the_first_validation():
    text = shown([replace(HALF, value=None)])
    assert "loss 0.1235 1,234,568 targets/s" in text
    assert "ndcg" not in text


@pytest.mark.parametrize("width", [80, 100, 200])
def test_it_stays_on_one_line(width):
    text = shown([HALF], width=width)
    assert "loss 0.1235" in text
    assert text.count("\x1b[1A") == 1, "one line to erase at the end"


def test_elsewhere_nothing_is_written():
    assert shown([HALF, replace(HALF, done=1_000)], terminal=False) == ""


def test_a_standard_error_that_is_no_terminal_stays_empty(capfd):
    with Bar("mf") as bar:
        bar.step(HALF)
    assert capfd.readouterr() == ("", "")


def test_the_bar_is_gone_afterwards_and_after_an_error():
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    with suppress(ZeroDivisionError), Bar("mf", console) as bar:
        bar.step(HALF)
        raise ZeroDivisionError
    assert out.getvalue().endswith("\x1b[2K"), "the line is erased"
    assert "\x1b[?25h" in out.getvalue(), "the cursor is back"


def test_it_moves_at_most_ten_times_a_second_and_at_the_end(monkeypatch):
    now = 0.0
    monkeypatch.setattr(progress, "monotonic", lambda: now)
    bar = Bar("mf", Console(file=StringIO(), force_terminal=True))
    moved = []
    monkeypatch.setattr(
        bar._bar, "update", lambda task, **fields: moved.append(fields["completed"])
    )
    for done in range(1, 1_001):
        now += 0.001
        bar.step(replace(HALF, done=done))
    assert 9 <= len(moved) <= 12
    assert (moved[0], moved[-1]) == (1, 1_000)


def test_quiet_says_nothing(capfd):
    Quiet().step(HALF)
    assert capfd.readouterr() == ("", "")
