"""Honeyguide: from a table of what people did to a live recommender."""

__version__ = "0.1.0"
