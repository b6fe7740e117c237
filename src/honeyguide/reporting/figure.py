"""The figures of a report: SVG written by hand, coloured by the page's own variables.

Special: no script and no colour of its own, so that a figure follows light, dark and print with the
text around it. A figure is drawn PANEL wide, which is what a telephone shows at full size, so that
its letters are never scaled; a page has as many side by side as fit. What matters is told apart by
shape and weight, colour only adds to it. Small marks inside tables are hidden from screen readers,
for the numbers stand beside them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup, escape

PANEL, HEIGHT = 340.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 14.0, 24.0, 40.0  # around the plot
SMALL, THIN = 104.0, 12.0  # a mark inside a table
LETTER, LINE = 7.0, 13.0  # of a label: width and height


@dataclass(frozen=True, slots=True)
class Scale:
    """From values (low to high) to places (start to end)."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value stands."""
        span = self.high - self.low
        share = (value - self.low) / span if span else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int, *, whole: bool = False) -> list[float]:
        """About so many round values between low and high, never more."""
        span = self.high - self.low
        power = 10.0 ** floor(log10(span / most))
        step = next(power * f for f in (1, 2, 5, 10, 20) if span / (power * f) <= most)
        step = max(step, 1.0) if whole else step
        first, last = ceil(self.low / step), floor(self.high / step)
        return [place * step for place in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Mark:
    """A point with its name. strong: one of those to look at; shape: dot, ring, cross, diamond."""

    x: float
    y: float
    name: str = ""
    strong: bool = False
    shape: str = "dot"


@dataclass(frozen=True, slots=True)
class Curve:
    """Points joined by a line, by steps where a value holds until the next one."""

    points: Sequence[tuple[float, float]]
    strong: bool = True
    steps: bool = False


def spread(values: Sequence[float], room: float) -> tuple[float, float]:
    """The range of some values, a share of it left free on both sides; 0 is not crossed for it."""
    low, high = min(values), max(values)
    more = (high - low) * room or abs(high) * room or 1.0
    return (max(low - more, 0.0) if low >= 0 else low - more), high + more


def interval(
    measured: Sequence[tuple[float, float | None, float | None]],
    domain: tuple[float, float],
    *,
    strong: bool,
    zero: bool = False,
) -> Markup:
    """Means with their intervals on a common scale, one below the other. zero: mark it."""
    x = Scale(*domain, 4.0, SMALL - 4)
    step = THIN if len(measured) == 1 else 7.0
    height = step * len(measured)
    kind = "strong" if strong else "plain"
    rows = [step * (row + 0.5) for row in range(len(measured))]
    parts = [_line(0.0, y, SMALL, y, "track") for y in rows]
    if zero:
        parts.append(_line(x(0.0), 0.0, x(0.0), height, "zero"))
    for y, (mean, low, high) in zip(rows, measured, strict=True):
        if low is not None and high is not None:
            parts.append(_line(x(low), y, x(high), y, f"range {kind}"))
        parts.append(f'<circle cx="{x(mean):.1f}" cy="{y:.1f}" r="3" class="dot {kind}"/>')
    return _svg(SMALL, height, parts, "mark")


def share(value: float) -> Markup:
    """A part of a whole, 0 to 1, as a bar."""
    width = SMALL * min(max(value, 0.01), 1.0)
    parts = [
        f'<rect x="0" y="3" width="{SMALL:g}" height="6" class="bed"/>',
        f'<rect x="0" y="3" width="{width:.1f}" height="6" class="bar"/>',
    ]
    return _svg(SMALL, THIN, parts, "mark")


def panel(
    about: str,
    x_name: str,
    y_name: str,
    *,
    curves: Sequence[Curve] = (),
    marks: Sequence[Mark] = (),
    whole: bool = False,
) -> Markup:
    """Curves and marks between two axes. about: what a screen reader says; whole: x counts."""
    points = [point for curve in curves for point in curve.points]
    points += [(mark.x, mark.y) for mark in marks]
    x = Scale(*spread([p[0] for p in points], 0.04 if whole else 0.12), LEFT, PANEL - RIGHT)
    y = Scale(*spread([p[1] for p in points], 0.1), HEIGHT - BOTTOM, TOP)
    parts = _axes(x, y, x_name, y_name, whole)
    parts += [_curve(curve, x, y) for curve in curves]
    parts += [_shape(mark, x(mark.x), y(mark.y)) for mark in marks]
    parts += _labels(marks, x, y)
    return _svg(PANEL, HEIGHT, parts, "panel", about)


def _axes(x: Scale, y: Scale, x_name: str, y_name: str, whole: bool) -> list[str]:
    floor_, right = HEIGHT - BOTTOM, PANEL - RIGHT
    parts = []
    for tick in y.ticks(4):
        parts.append(_line(LEFT, y(tick), right, y(tick), "grid"))
        parts.append(_text(LEFT - 7, y(tick) + 4, _tick(tick), "tick", "end"))
    for tick in x.ticks(5, whole=whole):
        parts.append(_line(x(tick), floor_, x(tick), floor_ + 4, "axis"))
        parts.append(_text(x(tick), floor_ + 16, _tick(tick), "tick", "middle"))
    parts.append(_line(LEFT, floor_, right, floor_, "axis"))
    parts.append(_text(right, HEIGHT - 6, x_name, "name", "end"))
    parts.append(_text(4.0, 11.0, y_name, "name", "start"))
    return parts


def _tick(value: float) -> str:
    return f"{value:,.6g}".replace("-", "−")


def _curve(curve: Curve, x: Scale, y: Scale) -> str:
    path: list[str] = []
    for number, (right, up) in enumerate(curve.points):
        if number and curve.steps:
            path.append(f"H{x(right):.1f}")
        path.append(f"{'L' if number else 'M'}{x(right):.1f} {y(up):.1f}")
    return f'<path d="{"".join(path)}" class="curve {"strong" if curve.strong else "plain"}"/>'


def _shape(mark: Mark, x: float, y: float) -> str:
    kind = f'class="{mark.shape} {"strong" if mark.strong else "plain"}"'
    if mark.shape == "cross":
        return f'<path d="M{x - 3:.1f} {y - 3:.1f}l6 6m0 -6l-6 6" {kind}/>'
    if mark.shape == "diamond":
        return f'<path d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z" {kind}/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" {kind}/>'


Box = tuple[float, float, float, float]  # left, top, right, bottom
_BEFORE = {"start": 0.0, "middle": 0.5, "end": 1.0}  # part of a text left of where it is put


def _labels(marks: Sequence[Mark], x: Scale, y: Scale) -> list[str]:
    """Names beside their marks, each where it covers least of what is there already."""
    taken = [_box(x(m.x) - 5, y(m.y) - 5, 10.0, 10.0) for m in marks]
    parts = []
    for mark in marks:
        if not mark.name:
            continue
        width, at, up = LETTER * len(mark.name), x(mark.x), y(mark.y)
        places = [(at + 8, up, "start"), (at - 8, up, "end")]
        for lines in (-1, 1, -2, 2):
            aside = up + lines * LINE
            places += [(at + 4, aside, "start"), (at - 4, aside, "end"), (at, aside, "middle")]
        boxes = [
            _box(left - width * _BEFORE[anchor], middle - LINE / 2, width, LINE)
            for left, middle, anchor in places
        ]
        costs = [sum(_shared(box, other) for other in taken) + _outside(box) for box in boxes]
        best = costs.index(min(costs))
        taken.append(boxes[best])
        left, middle, anchor = places[best]
        kind = "label strong" if mark.strong else "label"
        parts.append(_text(left, middle + 4, mark.name, kind, anchor))
    return parts


def _box(left: float, top: float, width: float, height: float) -> Box:
    return left, top, left + width, top + height


def _shared(a: Box, b: Box) -> float:
    """The area that two boxes share."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    return max(wide, 0.0) * max(high, 0.0)


def _outside(box: Box) -> float:
    """What of a box lies outside the plot; the last thing to be chosen."""
    whole = (box[2] - box[0]) * (box[3] - box[1])
    return 100 * (whole - _shared(box, (LEFT, TOP - 8, PANEL, HEIGHT - BOTTOM)))


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _text(x: float, y: float, words: str, kind: str, anchor: str) -> str:
    where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {where} class="{kind}">{escape(words)}</text>'


def _svg(width: float, height: float, parts: Sequence[str], kind: str, about: str = "") -> Markup:
    told = f'role="img" aria-label="{escape(about)}"' if about else 'aria-hidden="true"'
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return Markup(f'<svg {size} class="{kind}" {told}>{"".join(parts)}</svg>')
