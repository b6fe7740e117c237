"""Search for better settings, on validation only: whatever is in here is never handed test."""

from honeyguide.tuning.search import Found, Learning, Search, search
from honeyguide.tuning.trials import Trial, TrialLog

__all__ = ["Found", "Learning", "Search", "Trial", "TrialLog", "search"]
