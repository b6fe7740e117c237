"""How numbers and names read in a report."""

from typing import Any


def metric(value: float) -> str:
    """A metric: four digits behind the point, a true minus."""
    return _minus(f"{value:.4f}")


def signed(value: float) -> str:
    """A difference."""
    return _minus(f"{value:+.4f}")


def probability(value: float) -> str:
    """A p value; below a thousandth the digits mean nothing."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def seconds(value: int | float | None) -> str:
    """Seconds, with fewer digits where there are many of them."""
    if value is None:
        return "–"
    if value < 0.01:
        return "< 0.01"
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def number(value: int | float | None) -> str:
    """Any other number: 12,345 or 0.1234."""
    if value is None:
        return "–"
    whole = float(value).is_integer() and abs(value) < 1e15
    return _minus(f"{value:,.0f}" if whole else f"{value:,.4g}")


def percent(value: int | float) -> str:
    """A share."""
    return f"{100 * value:.1f} %" if value >= 0.001 or value == 0 else f"{100 * value:.3g} %"


def setting(value: Any, digits: int = 17) -> str:
    """The value of a setting as one would write it, by default with all its digits."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return str(value) if digits >= 17 else f"{value:.{digits}g}"
    if isinstance(value, list):
        return ", ".join(setting(one, digits) for one in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {setting(one, digits)}" for key, one in value.items()) or "none"
    return str(value)


def label(key: str) -> str:
    """A key of the document in words."""
    return key.replace("_", " ")


def _minus(text: str) -> str:
    """A true minus, and none before what was rounded to 0."""
    return text.replace("-", "−") if text.strip("+-0.") else text.replace("-", "")
