"""One object from a table to an answer: fit, ask, measure, save."""

from honeyguide.recommender.recommender import Answer, Recommender, load

__all__ = ["Answer", "Recommender", "load"]
